rule cohort:
    input:
        mrd=collect(f"{SAMPLES}/{{sample}}/mrd.json", sample=PLAN.analysed),
        qc=collect(f"{SAMPLES}/{{sample}}/qc.json", sample=PLAN.analysed),
        reports=collect(f"{SAMPLES}/{{sample}}/report.html", sample=PLAN.analysed),
    output:
        index=ensure(
            report(
                f"results/cohort/index.html",
                caption="../report/cohort.rst",
                category="Reports",
                labels={"tube": "all"},
            ),
            non_empty=True,
        ),
        table=ensure(
            report(
                f"results/cohort/mrd.tsv",
                caption="../report/table.rst",
                category="MRD",
                labels={"tube": "all"},
            ),
            non_empty=True,
        ),
    log:
        f"{LOGS}/cohort.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=mem_mb("cohort"),
        runtime=runtime("cohort"),
    params:
        made_by=made_by("cohort"),
        identities=identities_of_all(),
        refused=refused_digest(),
        signatures=PLAN.signatures_digest(),
    message:
        message("cohort")
    shell:
        "flowmrd --log {log:q} --mem-mb {resources.mem_mb} cohort"
