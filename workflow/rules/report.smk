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
    message:
        "{wildcards.sample}: report"
    shell:
        "flowmrd --log {log:q} --mem-mb {resources.mem_mb} report --sample {wildcards.sample}"
