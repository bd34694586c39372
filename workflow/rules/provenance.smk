rule provenance:
    input:
        index="results/cohort/index.html",
        table="results/cohort/mrd.tsv",
        reports=collect(f"{SAMPLES}/{{sample}}/report.html", sample=PLAN.analysed),
        trial="results/cohort/trial.html" if PLAN.has_trial else [],
        exports=collect(f"{SAMPLES}/{{sample}}/annotated.fcs", sample=PLAN.analysed),
    output:
        record=ensure("results/provenance.json", non_empty=True),
        crate=ensure("results/ro-crate-metadata.json", non_empty=True),
        manifest=ensure("results/manifest.json", non_empty=True),
    log:
        f"{LOGS}/provenance.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=mem_mb("provenance"),
        runtime=runtime("provenance"),
    params:
        made_by=made_by("provenance"),
        refused=refused_digest(),
    message:
        message("provenance")
    shell:
        "flowmrd --log {log:q} --mem-mb {resources.mem_mb} provenance"
