rule spillover_reference:
    input:
        events=of_stains("events.arrow"),
        records=of_stains("ingest.json"),
    output:
        out=ensure(f"{REFERENCE}/{{panel}}/spillover.csv", non_empty=True),
    log:
        f"{LOGS}/spillover_reference/{{panel}}.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=mem_mb("spillover_reference"),
        runtime=runtime("spillover_reference"),
    params:
        made_by=made_by("spillover_reference"),
        made=made_of_stains,
        panel=panel_digest,
        tubes=stains_option,
        identities=identities_of_stains,
    message:
        message("spillover_reference")
    shell:
        "flowmrd --log {log:q} --mem-mb {resources.mem_mb} --made {params.made} spillover-reference"
        " --panel {wildcards.panel} {params.tubes}"
