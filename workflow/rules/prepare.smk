# A diagnosis tube from its FCS file to its gated columns in one process; its columns are kept because the patient's
# follow-up tubes are compared with them. The file itself is no input: its size and time are in `identity`.
rule prepare:
    input:
        transforms=from_controls("transform.json"),
        spillover=spillover,
        thresholds=from_controls("gates.json"),
    output:
        record=ensure(f"{WORK}/{{sample}}/ingest.json", non_empty=True),
        preprocessed=ensure(f"{WORK}/{{sample}}/preprocessed.arrow", non_empty=True),
        qc=ensure(
            report(
                f"{SAMPLES}/{{sample}}/qc.json",
                caption="../report/qc.rst",
                category="Quality",
                labels={"tube": "{sample}"},
            ),
            non_empty=True,
        ),
        kept_qc=ensure(f"{WORK}/{{sample}}/qc.json", non_empty=True),
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
        f"{LOGS}/prepare/{{sample}}.log",
    wildcard_constraints:
        sample=one_of(PLAN.diagnosis_tubes),
    group:
        group_of("prepare")
    conda:
        "../../environment.yml"
    resources:
        mem_mb=mem_mb("prepare"),
        runtime=runtime("prepare"),
    params:
        made_by=made_by("prepare"),
        identity=identity,
        transforms=transforms_option,
        spillover=spillover_option,
        thresholds=thresholds_option,
        override=override_option,
    message:
        message("prepare")
    shell:
        "flowmrd --log {log:q} --mem-mb {resources.mem_mb} prepare --sample {wildcards.sample}"
        " {params.transforms} {params.spillover} {params.thresholds} {params.override}"
