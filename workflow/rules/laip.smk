rule laip:
    input:
        gated=diagnosis_files("gated.arrow"),
        preprocessed=diagnosis_files("preprocessed.arrow"),
        quality=diagnosis_files("qc.json"),
        reference=normal_reference("reference.json"),
        arrays=normal_reference("reference.npz"),
    output:
        laip=ensure(f"results/laip/{{patient}}/laip.json", non_empty=True),
        arrays=ensure(f"results/laip/{{patient}}/laip.npz", non_empty=True),
    log:
        f"{LOGS}/laip/{{patient}}.log",
    group:
        group_of_laip
    conda:
        "../../environment.yml"
    resources:
        mem_mb=mem_mb("laip"),
        runtime=runtime("laip"),
    params:
        made_by=made_by("laip"),
        made=made_of_diagnoses,
        tubes=diagnoses_option,
        reference=reference_option,
        identities=identities_of_diagnoses,
    message:
        message("laip")
    shell:
        "flowmrd --log {log:q} --mem-mb {resources.mem_mb} --made {params.made} laip"
        " --patient {wildcards.patient} {params.tubes} {params.reference}"
