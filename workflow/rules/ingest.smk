# Tubes that something common is learned from; a follow-up tube is read where it is judged (judge.smk).
# The FCS file is no input: its age does not count (clocks of instruments go wrong), its size and time are in `identity`.
rule ingest:
    output:
        events=temp(ensure(f"{WORK}/{{sample}}/events.arrow", non_empty=True)),
        record=ensure(f"{WORK}/{{sample}}/ingest.json", non_empty=True),
    log:
        f"{LOGS}/ingest/{{sample}}.log",
    benchmark:
        f"{BENCHMARKS}/ingest/{{sample}}.tsv"
    wildcard_constraints:
        sample=one_of(PLAN.prepared),
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


# Kept for tubes that something common is made from: controls and single-stain tubes.
use rule ingest as ingest_kept with:
    output:
        events=ensure(f"{WORK}/{{sample}}/events.arrow", non_empty=True),
        record=ensure(f"{WORK}/{{sample}}/ingest.json", non_empty=True),
    wildcard_constraints:
        sample=one_of(PLAN.kept_raw),


ruleorder: ingest_kept > ingest
