# A follow-up tube from its FCS file to its report in one process. The file itself is no input: its age says nothing, its
# size and time are in `identity`.
rule judge:
    input:
        transforms=from_controls("transform.json"),
        spillover=spillover,
        thresholds=from_controls("gates.json"),
        reference=normal_reference("reference.json"),
        reference_arrays=normal_reference("reference.npz"),
        laip=laip_file("laip.json"),
        laip_arrays=laip_file("laip.npz"),
        controls_qc=qc_of_controls,
        history=history,
        beside=columns_beside,
    output:
        record=ensure(f"{WORK}/{{sample}}/ingest.json", non_empty=True),
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
        classification=ensure(f"{WORK}/{{sample}}/classification.json", non_empty=True),
        mrd=ensure(
            report(
                f"{SAMPLES}/{{sample}}/mrd.json",
                caption="../report/mrd.rst",
                category="MRD",
                labels={"tube": "{sample}"},
            ),
            non_empty=True,
        ),
        kept_mrd=ensure(f"{WORK}/{{sample}}/mrd.json", non_empty=True),
        events=ensure(f"{SAMPLES}/{{sample}}/events.parquet", non_empty=True),
        annotated=ensure(f"{SAMPLES}/{{sample}}/annotated.fcs", non_empty=True),
        page=ensure(f"{SAMPLES}/{{sample}}/report.html", non_empty=True),
        numbers=ensure(f"{SAMPLES}/{{sample}}/report.json", non_empty=True),
        table=ensure(
            report(
                f"{SAMPLES}/{{sample}}/report.tsv",
                caption="../report/sample.rst",
                category="Reports",
                labels={"tube": "{sample}"},
            ),
            non_empty=True,
        ),
    log:
        f"{LOGS}/judge/{{sample}}.log",
    wildcard_constraints:
        sample=one_of(PLAN.followups),
    group:
        group_of("judge")
    conda:
        "../../environment.yml"
    resources:
        mem_mb=mem_mb("judge"),
        runtime=runtime("judge"),
    params:
        made_by=made_by("judge"),
        made=made_of_report,
        start="",
        identity=identity,
        wording=panel_wording,
        transforms=transforms_option,
        spillover=spillover_option,
        thresholds=thresholds_option,
        override=override_option,
        reference=reference_option,
        laip=laip_option,
        controls=controls_of_sample_option,
        identities=identities_for_report,
    message:
        message("judge")
    shell:
        "flowmrd --log {log:q} --mem-mb {resources.mem_mb} --made {params.made} judge --sample {wildcards.sample} {params.start}"
        " {params.transforms} {params.spillover} {params.thresholds} {params.override}"
        " {params.reference} {params.laip} {params.controls}"


# Controls and diagnosis tubes start at the columns that have been made of them already.
use rule judge as judge_kept with:
    input:
        preprocessed=f"{WORK}/{{sample}}/preprocessed.arrow",
        gated=f"{WORK}/{{sample}}/gated.arrow",
        record=f"{WORK}/{{sample}}/ingest.json",
        gates=f"{WORK}/{{sample}}/gates.json",
        qc=f"{SAMPLES}/{{sample}}/qc.json",
        populations=f"{SAMPLES}/{{sample}}/populations.tsv",
        reference=normal_reference("reference.json"),
        reference_arrays=normal_reference("reference.npz"),
        laip=laip_file("laip.json"),
        laip_arrays=laip_file("laip.npz"),
        controls_qc=qc_of_controls,
        history=history,
        beside=columns_beside,
    output:
        classification=ensure(f"{WORK}/{{sample}}/classification.json", non_empty=True),
        mrd=ensure(
            report(
                f"{SAMPLES}/{{sample}}/mrd.json",
                caption="../report/mrd.rst",
                category="MRD",
                labels={"tube": "{sample}"},
            ),
            non_empty=True,
        ),
        kept_mrd=ensure(f"{WORK}/{{sample}}/mrd.json", non_empty=True),
        events=ensure(f"{SAMPLES}/{{sample}}/events.parquet", non_empty=True),
        annotated=ensure(f"{SAMPLES}/{{sample}}/annotated.fcs", non_empty=True),
        page=ensure(f"{SAMPLES}/{{sample}}/report.html", non_empty=True),
        numbers=ensure(f"{SAMPLES}/{{sample}}/report.json", non_empty=True),
        table=ensure(
            report(
                f"{SAMPLES}/{{sample}}/report.tsv",
                caption="../report/sample.rst",
                category="Reports",
                labels={"tube": "{sample}"},
            ),
            non_empty=True,
        ),
    wildcard_constraints:
        sample=one_of(PLAN.kept),
    params:
        made_by=made_by("judge"),
        made=made_of_report,
        start="--gated",
        identity=identity,
        wording=panel_wording,
        transforms="",
        spillover="",
        thresholds="",
        override="",
        reference=reference_option,
        laip=laip_option,
        controls=controls_of_sample_option,
        identities=identities_for_report,
