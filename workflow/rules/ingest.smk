# Tubes that something common is learned from; a diagnosis tube is read where it is gated
# (prepare.smk), a follow-up tube where it is judged (judge.smk).
# The FCS file is no input: its age does not count (clocks of instruments go wrong), its size and time are in `identity`.
rule ingest:
    output:
        events=ensure(f"{WORK}/{{sample}}/events.arrow", non_empty=True),
        record=ensure(f"{WORK}/{{sample}}/ingest.json", non_empty=True),
    log:
        f"{LOGS}/ingest/{{sample}}.log",
    wildcard_constraints:
        sample=one_of(PLAN.kept_raw),
    group:
        group_of("read")
    conda:
        "../../environment.yml"
    resources:
        mem_mb=mem_mb("ingest"),
        runtime=runtime("ingest"),
    params:
        made_by=made_by("ingest"),
        identity=identity,
    message:
        message("ingest")
    shell:
        "flowmrd --log {log:q} --mem-mb {resources.mem_mb} ingest --sample {wildcards.sample}"
