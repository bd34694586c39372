rule reference:
    input:
        gated=of_controls("reference", "gated.arrow"),
        preprocessed=of_controls("reference", "preprocessed.arrow"),
        quality=of_controls("reference", "qc.json"),
    output:
        model=ensure(f"{REFERENCE}/{{panel}}/reference.json", non_empty=True),
        arrays=ensure(f"{REFERENCE}/{{panel}}/reference.npz", non_empty=True),
    log:
        f"{LOGS}/reference/{{panel}}.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=mem_mb("reference"),
        runtime=runtime("reference"),
    params:
        made_by=made_by("reference"),
        made=made_of_controls("reference"),
        panel=panel_digest,
        tubes=controls_option,
        identities=identities_of_controls,
    message:
        message("reference")
    shell:
        "flowmrd --log {log:q} --mem-mb {resources.mem_mb} --made {params.made} reference build"
        " --panel {wildcards.panel} {params.tubes}"
