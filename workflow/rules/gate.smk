# Controls, whose columns are kept because others are compared with them. Other tubes go through this step where they
# are read (prepare.smk, judge.smk).
rule gate:
    input:
        preprocessed=f"{WORK}/{{sample}}/preprocessed.arrow",
        qc=f"{SAMPLES}/{{sample}}/qc.json",
        record=f"{WORK}/{{sample}}/ingest.json",
        thresholds=from_controls("gates.json"),
    output:
        gated=ensure(f"{WORK}/{{sample}}/gated.arrow", non_empty=True),
        gates=ensure(f"{WORK}/{{sample}}/gates.json", non_empty=True),
        populations=ensure(
            report(
                f"{SAMPLES}/{{sample}}/populations.tsv",
                caption="../report/populations.rst",
                category="Populations",
                labels={"tube": "{sample}"},
            ),
            non_empty=True,
        ),
        gatingml=ensure(f"{SAMPLES}/{{sample}}/gates.xml", non_empty=True),
    log:
        f"{LOGS}/gate/{{sample}}.log",
    wildcard_constraints:
        sample=one_of(PLAN.controls),
    group:
        group_of("gate")
    conda:
        "../../environment.yml"
    resources:
        mem_mb=mem_mb("gate"),
        runtime=runtime("gate"),
    params:
        made_by=made_by("gate"),
        thresholds=thresholds_option,
        override=override_option,
    message:
        message("gate")
    shell:
        "flowmrd --log {log:q} --mem-mb {resources.mem_mb} gate"
        " --sample {wildcards.sample} {params.thresholds} {params.override}"
