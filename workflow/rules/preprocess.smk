rule preprocess:
    input:
        events=f"{WORK}/{{sample}}/events.arrow",
        record=f"{WORK}/{{sample}}/ingest.json",
        transforms=from_controls("transform.json"),
        spillover=spillover,
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
        kept=ensure(f"{WORK}/{{sample}}/qc.json", non_empty=True),
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
        spillover=spillover_option,
    message:
        message("preprocess")
    shell:
        "flowmrd --log {log:q} --mem-mb {resources.mem_mb} preprocess"
        " --sample {wildcards.sample} {params.transforms} {params.spillover}"


# Kept for tubes that others are compared with: controls and diagnoses.
use rule preprocess as preprocess_kept with:
    output:
        out=ensure(f"{WORK}/{{sample}}/preprocessed.arrow", non_empty=True),
        qc=ensure(f"{SAMPLES}/{{sample}}/qc.json", non_empty=True),
        kept=ensure(f"{WORK}/{{sample}}/qc.json", non_empty=True),
    wildcard_constraints:
        sample=one_of(PLAN.kept),


ruleorder: preprocess_kept > preprocess
