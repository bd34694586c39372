rule classify:
    input:
        preprocessed=f"{WORK}/{{sample}}/preprocessed.arrow",
        gated=f"{WORK}/{{sample}}/gated.arrow",
        gates=f"{WORK}/{{sample}}/gates.json",
        qc=f"{SAMPLES}/{{sample}}/qc.json",
        reference=normal_reference("reference.json"),
        reference_arrays=normal_reference("reference.npz"),
        laip=laip_file("laip.json"),
        laip_arrays=laip_file("laip.npz"),
        library=library,
    output:
        classified=temp(ensure(f"{WORK}/{{sample}}/classified.arrow", non_empty=True)),
        classification=ensure(f"{WORK}/{{sample}}/classification.json", non_empty=True),
    log:
        f"{LOGS}/classify/{{sample}}.log",
    benchmark:
        f"{BENCHMARKS}/classify/{{sample}}.tsv"
    group:
        group_of("judge")
    conda:
        "../../environment.yml"
    resources:
        mem_mb=mem_mb("classify"),
        runtime=runtime("classify"),
    params:
        made_by=made_by("classify"),
        reference=reference_option,
        laip=laip_option,
        library=library_option,
    message:
        message("classify")
    shell:
        "flowmrd --log {log:q} --mem-mb {resources.mem_mb} classify"
        " --sample {wildcards.sample} {params.reference} {params.laip} {params.library}"
