rule trial:
    input:
        mrd=collect(f"{SAMPLES}/{{sample}}/mrd.json", sample=PLAN.analysed),
    output:
        page=ensure(
            report(
                f"results/cohort/trial.html",
                caption="../report/trial.rst",
                category="Reports",
                labels={"tube": "trial"},
            ),
            non_empty=True,
        ),
        result=ensure(f"results/cohort/trial.json", non_empty=True),
    log:
        f"{LOGS}/trial.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=mem_mb("trial"),
        runtime=runtime("trial"),
    params:
        made_by=made_by("trial"),
        sheet=identities_of_all(),
        clinical=PLAN.clinical_digest,
        signatures=PLAN.signatures_digest(),
    message:
        message("trial")
    shell:
        "flowmrd --log {log:q} --mem-mb {resources.mem_mb} trial"
