rule gate_reference:
    input:
        tubes=of_controls("gate_reference", "preprocessed.arrow"),
    output:
        out=ensure(f"{REFERENCE}/{{panel}}/gates.json", non_empty=True),
    log:
        f"{LOGS}/gate_reference/{{panel}}.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=mem_mb("gate_reference"),
        runtime=runtime("gate_reference"),
    params:
        made_by=made_by("gate_reference"),
        made=made_of_controls("gate_reference"),
        panel=panel_digest,
        tubes=controls_option,
        identities=identities_of_controls,
    message:
        message("gate_reference")
    shell:
        "flowmrd --log {log:q} --mem-mb {resources.mem_mb} --made {params.made} gate-reference"
        " --panel {wildcards.panel} {params.tubes}"
