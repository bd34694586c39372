rule preprocess:
    input:
        events=f"{WORK}/{{sample}}/events.arrow",
        record=f"{WORK}/{{sample}}/ingest.json",
        transforms=from_reference("transform.json", has_controls),
    output:
        out=temp(ensure(f"{WORK}/{{sample}}/preprocessed.arrow", non_empty=True)),
        qc=ensure(
            report(
                f"{SAMPLES}/{{sample}}/qc.json",
                caption="../report/qc.rst",
                category="Quality",
                labels={"tube": "{sample}"},
            ),
            non_empty=True,
        ),
    log:
        f"{LOGS}/preprocess/{{sample}}.log",
    benchmark:
        f"{BENCHMARKS}/preprocess/{{sample}}.tsv"
    group:
        group_of("scale")
    conda:
        "../../environment.yml"
    resources:
        mem_mb=mem_mb("preprocess"),
        runtime=runtime("preprocess"),
    params:
        made_by=made_by("preprocess"),
        transforms=transforms_option,
    message:
        "{wildcards.sample}: compensation, scaling, quality"
    shell:
        "flowmrd --log {log:q} --mem-mb {resources.mem_mb} preprocess"
        " --sample {wildcards.sample} {params.transforms}"


use rule preprocess as preprocess_control with:
    output:
        out=ensure(f"{WORK}/{{sample}}/preprocessed.arrow", non_empty=True),
        qc=ensure(f"{SAMPLES}/{{sample}}/qc.json", non_empty=True),
    wildcard_constraints:
        sample=one_of(PLAN.controls),


ruleorder: preprocess_control > preprocess
