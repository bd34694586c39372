rule report:
    input:
        preprocessed=f"{WORK}/{{sample}}/preprocessed.arrow",
        gated=f"{WORK}/{{sample}}/gated.arrow",
        classified=f"{WORK}/{{sample}}/classified.arrow",
        classification=f"{WORK}/{{sample}}/classification.json",
        record=f"{WORK}/{{sample}}/ingest.json",
        gates=f"{WORK}/{{sample}}/gates.json",
        qc=f"{SAMPLES}/{{sample}}/qc.json",
        mrd=f"{SAMPLES}/{{sample}}/mrd.json",
        populations=f"{SAMPLES}/{{sample}}/populations.tsv",
        reference=normal_reference("reference.json"),
        reference_arrays=normal_reference("reference.npz"),
        laip=laip_file("laip.json"),
        laip_arrays=laip_file("laip.npz"),
        controls_qc=qc_of_controls,
        history=history,
    output:
        page=ensure(
            report(
                f"{SAMPLES}/{{sample}}/report.html",
                caption="../report/sample.rst",
                category="Reports",
                labels={"tube": "{sample}"},
            ),
            non_empty=True,
        ),
        numbers=ensure(f"{SAMPLES}/{{sample}}/report.json", non_empty=True),
        table=ensure(f"{SAMPLES}/{{sample}}/report.tsv", non_empty=True),
    log:
        f"{LOGS}/report/{{sample}}.log",
    benchmark:
        f"{BENCHMARKS}/report/{{sample}}.tsv"
    group:
        group_of("judge")
    conda:
        "../../environment.yml"
    resources:
        mem_mb=mem_mb("report"),
        runtime=runtime("report"),
    params:
        made_by=made_by("report"),
        reference=reference_option,
        laip=laip_option,
        controls=controls_of_sample_option,
        identities=identities_for_report,
        signatures=signatures,
    message:
        message("report")
    shell:
        "flowmrd --log {log:q} --mem-mb {resources.mem_mb} report"
        " --sample {wildcards.sample} {params.reference} {params.laip} {params.controls}"
