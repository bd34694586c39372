rule quantify:
    input:
        preprocessed=f"{WORK}/{{sample}}/preprocessed.arrow",
        gated=f"{WORK}/{{sample}}/gated.arrow",
        classified=f"{WORK}/{{sample}}/classified.arrow",
        classification=f"{WORK}/{{sample}}/classification.json",
        record=f"{WORK}/{{sample}}/ingest.json",
        gates=f"{WORK}/{{sample}}/gates.json",
        qc=f"{SAMPLES}/{{sample}}/qc.json",
        reference=normal_reference("reference.json"),
        reference_arrays=normal_reference("reference.npz"),
        laip=laip_file("laip.json"),
        laip_arrays=laip_file("laip.npz"),
    output:
        mrd=ensure(
            report(
                f"{SAMPLES}/{{sample}}/mrd.json",
                caption="../report/mrd.rst",
                category="MRD",
                labels={"tube": "{sample}"},
            ),
            non_empty=True,
        ),
        kept=ensure(f"{WORK}/{{sample}}/mrd.json", non_empty=True),
    log:
        f"{LOGS}/quantify/{{sample}}.log",
    benchmark:
        f"{BENCHMARKS}/quantify/{{sample}}.tsv"
    group:
        group_of("judge")
    conda:
        "../../environment.yml"
    resources:
        mem_mb=mem_mb("quantify"),
        runtime=runtime("quantify"),
    params:
        made_by=made_by("quantify"),
        reference=reference_option,
        laip=laip_option,
    message:
        message("quantify")
    shell:
        "flowmrd --log {log:q} --mem-mb {resources.mem_mb} quantify"
        " --sample {wildcards.sample} {params.reference} {params.laip}"
