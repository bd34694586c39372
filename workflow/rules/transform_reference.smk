rule transform_reference:
    input:
        events=of_controls("transform_reference", "events.arrow"),
        records=of_controls("transform_reference", "ingest.json"),
        spillover=spillover,
    output:
        out=ensure(f"{REFERENCE}/{{panel}}/transform.json", non_empty=True),
    log:
        f"{LOGS}/transform_reference/{{panel}}.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=mem_mb("transform_reference"),
        runtime=runtime("transform_reference"),
    params:
        made_by=made_by("transform_reference"),
        made=made_of_controls("transform_reference"),
        panel=panel_digest,
        tubes=controls_option,
        spillover=spillover_option,
        identities=identities_of_controls,
    message:
        message("transform_reference")
    shell:
        "flowmrd --log {log:q} --mem-mb {resources.mem_mb} --made {params.made} transform-reference"
        " --panel {wildcards.panel} {params.tubes} {params.spillover}"
