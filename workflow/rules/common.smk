# Helpers of the rules; no rules here. What depends on what is decided in flowmrd.engine (tubes_of_run, run_plan), where it is tested.
import hashlib
import re
from collections.abc import Iterable

from flowmrd.engine.stage_table import CONTRACT, STAGES, Unit, code_and_config

WORK = "results/work"
SAMPLES = "results/samples"
REFERENCE = "results/reference"
LOGS = "results/logs"


def one_of(names: Iterable[str]) -> str:
    """Regular expression that matches exactly these names."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


def all_results() -> list[str]:
    results = collect(
        f"{SAMPLES}/{{sample}}/{{name}}", sample=PLAN.analysed, name=CONTRACT
    )
    results += [
        "results/cohort/index.html",
        "results/cohort/mrd.tsv",
        "results/provenance.json",
    ]
    if PLAN.has_trial:
        results.append("results/cohort/trial.html")
    return results + learned_here()


def learned_here() -> list[str]:
    """What is learned in this run, so that it is made again where somebody deleted it: a next run may be given it."""
    files = collect("results/laip/{patient}/laip.json", patient=PLAN.patients_with_laip)
    for panel in PLAN.panels:
        if PLAN.stored_reference(panel) is None:
            names = ["reference.json"]
            if PLAN.controls_of(panel):
                names += ["transform.json", "gates.json"]
            files += collect(
                "results/reference/{panel}/{name}", panel=panel, name=names
            )
    return files


def panel_digest(wildcards) -> str:
    return PLAN.panels[panel_name(wildcards)].meaning


def panel_wording(wildcards) -> str:
    return PLAN.panels[panel_name(wildcards)].wording


def panel_name(wildcards) -> str:
    if "panel" in wildcards.keys():
        return wildcards.panel
    if "patient" in wildcards.keys():
        return PLAN.patients_with_laip[wildcards.patient]
    return PLAN.panel_of[wildcards.sample]


def made_by(stage: str):
    """Digest of the code and configuration that a stage and the stages before it depend on."""
    return code_and_config(stage, PLAN.config)


def identity(wildcards) -> str:
    return PLAN.identity(wildcards.sample)


def identities_of_controls(wildcards) -> str:
    return PLAN.identities(PLAN.controls_of(panel_name(wildcards)))


def identities_of_all() -> str:
    return PLAN.identities(PLAN.analysed)


def made_of(values: Iterable[str]) -> str:
    """Digest of what a job is given besides files; it leaves it beside its log when it has ended well."""
    return hashlib.sha256("\0".join(map(str, values)).encode()).hexdigest()[:16]


def made_so(record: str, values: Iterable[str]) -> bool:
    """Whether the last job of this name was given the same."""
    path = Path(f"{LOGS}/{record}.made")
    return path.is_file() and path.read_text(encoding="utf-8") == made_of(values)


def settled(paths: Iterable[str], record: str, values: Iterable[str]) -> list:
    """Files of other tubes, whose age must not matter where what is made from them would be made in the same way.

    Tubes that others are compared with keep their event files, and what is learned from them is redone when the
    tubes, the code or the configuration change (params), not when one tube's files are made again. But Snakemake does
    not look at the parameters of a job that comes after one that runs, so where these have changed, age must count.
    """
    paths = list(paths)
    return [ancient(path) for path in paths] if made_so(record, values) else paths


def of_controls(stage: str, name: str):
    """Files of the controls of a panel, for what is learned from all of them."""

    def files(wildcards):
        panel = panel_name(wildcards)
        return settled(
            (f"{WORK}/{control}/{name}" for control in PLAN.controls_of(panel)),
            f"{stage}/{panel}",
            given_controls(stage, wildcards),
        )

    return files


def given_controls(stage: str, wildcards) -> tuple[str, ...]:
    return (
        made_by(stage),
        panel_digest(wildcards),
        controls_option(wildcards),
        identities_of_controls(wildcards),
    )


def made_of_controls(stage: str):
    def digest(wildcards) -> str:
        return made_of(given_controls(stage, wildcards))

    return digest


def of_stains(name: str):
    def files(wildcards):
        panel = panel_name(wildcards)
        return settled(
            (f"{WORK}/{tube}/{name}" for tube in PLAN.stains_of(panel)),
            f"spillover_reference/{panel}",
            given_stains(wildcards),
        )

    return files


def given_stains(wildcards) -> tuple[str, ...]:
    return (
        made_by("spillover_reference"),
        panel_digest(wildcards),
        stains_option(wildcards),
        identities_of_stains(wildcards),
    )


def made_of_stains(wildcards) -> str:
    return made_of(given_stains(wildcards))


def spillover(wildcards):
    """The matrix made from single-stain tubes, where the configuration asks for it."""
    panel = panel_name(wildcards)
    return f"{REFERENCE}/{panel}/spillover.csv" if PLAN.makes_spillover(panel) else []


def spillover_option(wildcards, input) -> str:
    return option("--spillover", input.spillover)


def stains_option(wildcards) -> str:
    return " ".join(option("--tube", tube) for tube in PLAN.stains_of(wildcards.panel))


def identities_of_stains(wildcards) -> str:
    return PLAN.identities(PLAN.stains_of(wildcards.panel))


def from_controls(name: str):
    """A file learned from the controls of a panel, where there are controls and no stored reference is applied."""

    def file(wildcards):
        panel = panel_name(wildcards)
        made_here = PLAN.stored_reference(panel) is None and PLAN.controls_of(panel)
        return f"{REFERENCE}/{panel}/{name}" if made_here else []

    return file


def normal_reference(name: str):
    """One file of the normal reference; without enough controls it is a provisional one, and none is made here where
    a stored one is applied."""

    def file(wildcards):
        panel = panel_name(wildcards)
        return (
            f"{REFERENCE}/{panel}/{name}"
            if PLAN.stored_reference(panel) is None
            else []
        )

    return file


def laip_file(name: str):
    """One file of the patient's LAIP, where the patient has a diagnosis tube of the same panel."""

    def file(wildcards):
        patient = PLAN.samples[wildcards.sample].patient
        same = PLAN.patients_with_laip.get(patient) == PLAN.panel_of[wildcards.sample]
        return f"results/laip/{patient}/{name}" if same else []

    return file


def diagnosis_files(name: str):
    def files(wildcards):
        patient = wildcards.patient
        return settled(
            (
                f"{WORK}/{tube}/{name}"
                for tube in PLAN.diagnoses(patient, PLAN.patients_with_laip[patient])
            ),
            f"laip/{patient}",
            given_diagnoses(wildcards),
        )

    return files


def given_diagnoses(wildcards) -> tuple[str, ...]:
    return (
        made_by("laip"),
        diagnoses_option(wildcards),
        identities_of_diagnoses(wildcards),
    )


def made_of_diagnoses(wildcards) -> str:
    return made_of(given_diagnoses(wildcards))


def option(name: str, value) -> str:
    """Text of a command line option, empty where there is no value."""
    return f"{name} {shlex.quote(str(value))}" if value else ""


def sizes_mb(stage: str, wildcards) -> list[float]:
    """Size of the raw columns of every tube whose events a job reads."""
    unit = STAGES[stage].unit
    of = "" if unit is Unit.RUN else wildcards[unit]
    return [PLAN.columns_mb.get(tube, 0.0) for tube in PLAN.tubes_of(stage, of)]


def message(stage: str) -> str:
    """Whose turn it is and what is done, for the screen; `flowmrd run --dry-run` reads it as well."""
    unit = STAGES[stage].unit
    of = stage if unit is Unit.RUN else f"{{wildcards.{unit}}}"
    return f"{of}: {STAGES[stage].does}"


def mem_mb(stage: str):
    """Memory by the size of the largest tube, doubled with every attempt."""

    def need(wildcards, attempt):
        return STAGES[stage].ask_mb(max(sizes_mb(stage, wildcards), default=0), attempt)

    return need


def runtime(stage: str):
    """Minutes by the size of all tubes together, doubled with every attempt."""

    def need(wildcards, attempt):
        return STAGES[stage].ask_minutes(sum(sizes_mb(stage, wildcards)), attempt)

    return need


def group_of(part: str):
    """One cluster job for a tube; controls and diagnosis tubes are cut where others wait for them."""

    def group(wildcards) -> str:
        return PLAN.group(wildcards.sample, part)

    return group


def learned(name: str, wildcards, made_here) -> str | Path | None:
    """A file learned from controls: the one of this run, or that of the stored reference if it has it."""
    stored = PLAN.stored_reference(panel_name(wildcards))
    if stored is None:
        return made_here or None
    return stored / name if (stored / name).is_file() else None


def transforms_option(wildcards, input) -> str:
    return option(
        "--transforms", learned("transform.json", wildcards, input.transforms)
    )


def thresholds_option(wildcards, input) -> str:
    return option("--thresholds", learned("gates.json", wildcards, input.thresholds))


def override_option(wildcards) -> str:
    return option("--override", PLAN.override_of(wildcards.sample))


def reference_option(wildcards, input) -> str:
    return option("--reference", learned("reference.json", wildcards, input.reference))


def laip_option(wildcards, input) -> str:
    return option("--laip", input.laip)


def controls_option(wildcards) -> str:
    return " ".join(
        option("--tube", control) for control in PLAN.controls_of(wildcards.panel)
    )


def diagnoses_option(wildcards) -> str:
    tubes = PLAN.diagnoses(
        wildcards.patient, PLAN.patients_with_laip[wildcards.patient]
    )
    return " ".join(option("--tube", tube) for tube in tubes)


def identities_of_diagnoses(wildcards) -> str:
    return PLAN.identities(
        PLAN.diagnoses(wildcards.patient, PLAN.patients_with_laip[wildcards.patient])
    )


def group_of_laip(wildcards) -> str:
    return PLAN.group_of_laip(wildcards.patient)


def refused_digest() -> str:
    return PLAN.refused_digest


def settled_for_report(paths: Iterable[str], wildcards) -> list:
    return settled(
        paths,
        f"judge/{wildcards.sample}",
        given_report(wildcards),
    )


def given_report(wildcards) -> tuple[str, ...]:
    return (
        made_by("judge"),
        controls_of_sample_option(wildcards),
        identities_for_report(wildcards),
    )


def made_of_report(wildcards) -> str:
    return made_of(given_report(wildcards))


def qc_of_controls(wildcards):
    """Copies outside the results of a tube, so that making one tube again does not touch the reports of others."""
    controls = PLAN.controls_of(panel_name(wildcards))
    return settled_for_report(
        (f"{WORK}/{name}/qc.json" for name in controls), wildcards
    )


def columns_beside(wildcards):
    """Event files of the tubes that are drawn beside this one, so that they are made again where somebody deleted them."""
    patient = PLAN.samples[wildcards.sample].patient
    panel = panel_name(wildcards)
    shown = [*PLAN.controls_of(panel), *PLAN.diagnoses(patient, panel)]
    return settled_for_report(
        (
            f"{WORK}/{tube}/{name}.arrow"
            for tube in shown
            if tube != wildcards.sample
            for name in ("preprocessed", "gated")
        ),
        wildcards,
    )


def history(wildcards):
    """Results of the patient's tubes before this one; its own is made by the job itself."""
    tubes = [
        tube for tube in PLAN.history(wildcards.sample) if tube != wildcards.sample
    ]
    return settled_for_report((f"{WORK}/{name}/mrd.json" for name in tubes), wildcards)


def identities_for_report(wildcards) -> str:
    return PLAN.identities(
        [*PLAN.controls_of(panel_name(wildcards)), *PLAN.history(wildcards.sample)]
    )


def controls_of_sample_option(wildcards) -> str:
    return " ".join(
        option("--control", control)
        for control in PLAN.controls_of(panel_name(wildcards))
    )
