rule export:
    input:
        events=f"{WORK}/{{sample}}/events.arrow",
        record=f"{WORK}/{{sample}}/ingest.json",
        preprocessed=f"{WORK}/{{sample}}/preprocessed.arrow",
        gated=f"{WORK}/{{sample}}/gated.arrow",
        classified=f"{WORK}/{{sample}}/classified.arrow",
        classification=f"{WORK}/{{sample}}/classification.json",
        # not read: side by side in one cluster job, report and export would ask for twice the memory
        after=ancient(f"{SAMPLES}/{{sample}}/report.html"),
    output:
        events=ensure(f"{SAMPLES}/{{sample}}/events.parquet", non_empty=True),
        annotated=ensure(f"{SAMPLES}/{{sample}}/annotated.fcs", non_empty=True),
    log:
        f"{LOGS}/export/{{sample}}.log",
    benchmark:
        f"{BENCHMARKS}/export/{{sample}}.tsv"
    group:
        group_of("judge")
    conda:
        "../../environment.yml"
    resources:
        mem_mb=mem_mb("export"),
        runtime=runtime("export"),
    params:
        made_by=made_by("export"),
    message:
        message("export")
    shell:
        "flowmrd --log {log:q} --mem-mb {resources.mem_mb} export --sample {wildcards.sample}"
