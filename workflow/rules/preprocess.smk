# Controls, whose columns are kept because others are compared with them. Other tubes go through this step where they
# are read (prepare.smk, judge.smk).
rule preprocess:
    input:
        events=f"{WORK}/{{sample}}/events.arrow",
        record=f"{WORK}/{{sample}}/ingest.json",
        transforms=from_controls("transform.json"),
        spillover=spillover,
    output:
        out=ensure(f"{WORK}/{{sample}}/preprocessed.arrow", non_empty=True),
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
    wildcard_constraints:
        sample=one_of(PLAN.controls),
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
