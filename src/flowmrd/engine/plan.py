"""Plan of a run directory: the usable tubes, the refused ones with the reason, and the dependencies between files.

Both the Snakefile and ``flowmrd check`` use this plan, so they cannot disagree. A tube is *refused* if its row, its
panel or its FCS header is wrong, or if a stage has already found it unusable and nothing has changed since. The other
tubes go on without it, and the cohort page names it.

Files from outside the workflow (FCS files, panels, overrides, spillover and clinical tables, a stored reference) are
not inputs of rules, because their age means nothing: clocks go wrong and copies keep old times. Instead, their content,
or for an FCS file its size and time, is part of the identity of the tubes that they concern. The rules have this
identity as a parameter.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from flowmrd.config import RunConfig, Sample, load_config, read_sheet
from flowmrd.config.sheet import Role
from flowmrd.engine.code_digest import state_of
from flowmrd.engine.headers import HeaderCache, HeaderPreview, RunRequest, file_key
from flowmrd.engine.refusals import Refusal, refuse, refuse_row, stage_failures
from flowmrd.engine.stage_table import STAGES, Unit
from flowmrd.engine.state import PLAN_FILE, keep_state
from flowmrd.engine.tube_comparison import Stained, compare_tubes
from flowmrd.errors import ColumnError, ConfigError, InputError, SheetError
from flowmrd.home import PANELS
from flowmrd.panel import PanelModel, find_panel, load_panel
from flowmrd.run_files import CONFIG, OVERRIDE_SUFFIXES, OVERRIDES
from flowmrd.stages.laboratory_files import decisions_file, stored_library


@dataclass(frozen=True)
class PanelFile:
    """A panel file in use.

    Attributes
    ----------
    sha256
        Digest of the file, as results name it.
    """

    path: Path
    model: PanelModel
    sha256: str

    @cached_property
    def meaning(self) -> str:
        """Digest of the content that can change a number; it leaves out comments, titles and plots."""
        return _short(json.dumps(_without_words(self.model.model_dump(mode="json")), sort_keys=True))

    @cached_property
    def wording(self) -> str:
        """Digest of the whole content without comments; pages are rebuilt when it changes."""
        return _short(json.dumps(self.model.model_dump(mode="json"), sort_keys=True))


@dataclass(frozen=True)
class RunPlan:
    """A checked run directory."""

    run_directory: Path
    config: RunConfig
    samples: dict[str, Sample]
    panels: dict[str, PanelFile]
    panel_of: dict[str, str]
    columns_mb: dict[str, float]
    """Size of each tube's raw columns in MB."""

    refusals: tuple[Refusal, ...] = field(default=())

    @cached_property
    def analysed(self) -> tuple[str, ...]:
        """Tubes that get a result, in sheet order: all except compensation tubes."""
        return tuple(name for name, sample in self.samples.items() if sample.role is not Role.COMPENSATION)

    @cached_property
    def controls(self) -> tuple[str, ...]:
        """Control tubes of all panels, in sheet order."""
        return tuple(name for name, sample in self.samples.items() if sample.role is Role.CONTROL)

    @cached_property
    def kept(self) -> tuple[str, ...]:
        """Tubes with which others are compared; their event files are kept."""
        return tuple(n for n in self.analysed if self.samples[n].role in (Role.CONTROL, Role.DIAGNOSIS))

    @cached_property
    def followups(self) -> tuple[str, ...]:
        """Tubes from which nothing is learned; each goes from its FCS file to its report in one process."""
        return tuple(name for name in self.analysed if name not in self.kept)

    @cached_property
    def diagnosis_tubes(self) -> tuple[str, ...]:
        """Tubes from which a patient's leukaemia is learned; each goes to its gated columns in one process."""
        return tuple(name for name in self.analysed if self.samples[name].role is Role.DIAGNOSIS)

    @cached_property
    def kept_raw(self) -> tuple[str, ...]:
        """Controls and single-stain tubes. Something is learned from them, so each is read in a process of its own and
        its raw columns are kept.
        """
        return tuple(n for n, row in self.samples.items() if row.role in (Role.CONTROL, Role.COMPENSATION))

    def stains_of(self, panel: str) -> list[str]:
        """Single-stain tubes of a panel."""
        return [
            name for name, row in self.samples.items() if row.role is Role.COMPENSATION and self.panel_of[name] == panel
        ]

    def makes_spillover(self, panel: str) -> bool:
        """Whether the spillover matrix comes from this run's single-stain tubes."""
        section = self.config.compensation
        return section != "none" and section.source == "controls" and bool(self.stains_of(panel))

    def tubes_of(self, stage: str, unit: str) -> list[str]:
        """Tubes whose events a job of a stage reads; ``unit`` is its tube, patient or panel."""
        of = STAGES[stage].unit
        if of is Unit.SAMPLE:
            return [unit]
        if of is Unit.PATIENT:
            return self.diagnoses(unit, self.patients_with_laip[unit])
        if of is Unit.PANEL:
            return self.stains_of(unit) if stage == "spillover_reference" else self.controls_of(unit)
        return []

    def controls_of(self, panel: str) -> list[str]:
        """Control tubes stained with a panel, without those that the laboratory has excluded."""
        excluded = self.config.controls.excluded
        return [name for name in self.controls if self.panel_of[name] == panel and name not in excluded]

    def stored_reference(self, panel: str) -> Path | None:
        """Folder of the stored reference that the configuration names for a panel; None where it names none."""
        return stored_reference(self.run_directory, self.config, panel)

    def diagnoses(self, patient: str, panel: str) -> list[str]:
        """Diagnosis tubes of a patient stained with a panel."""
        return [
            name
            for name in self.analysed
            if (sample := self.samples[name]).role is Role.DIAGNOSIS
            and sample.patient == patient
            and self.panel_of[name] == panel
        ]

    @cached_property
    def patients_with_laip(self) -> dict[str, str]:
        """Patient to the panel of their first diagnosis tube, where there is one."""
        found: dict[str, str] = {}
        for name in self.analysed:
            sample = self.samples[name]
            if sample.role is Role.DIAGNOSIS:
                found.setdefault(sample.patient, self.panel_of[name])
        return found

    @cached_property
    def has_trial(self) -> bool:
        """Whether there are clinical tables beside the sheet, and so a trial report."""
        return (self.run_directory / self.config.patients).is_file()

    def group(self, sample: str, part: str) -> str:
        """Cluster job to which a stage of a tube belongs.

        All stages of a follow-up tube form one job. The stages of a control are split where all controls are needed
        together. Those of a diagnosis tube are split where its patient's LAIP is made from several tubes.

        Parameters
        ----------
        part
            ``read`` (ingest), ``scale`` (preprocess), ``gate``, ``prepare`` (these three of a diagnosis tube), or
            ``judge`` (to the report).
        """
        role = self.samples[sample].role
        if role is Role.CONTROL:
            return f"{sample}_{part}"
        if role is Role.DIAGNOSIS:
            return f"{sample}_{'judge' if part == 'judge' else 'prepare'}"
        return sample

    def group_of_laip(self, patient: str) -> str:
        """Cluster job of a patient's LAIP: that of the diagnosis tube if the patient has only one."""
        tubes = self.diagnoses(patient, self.patients_with_laip[patient])
        return f"{tubes[0]}_prepare" if len(tubes) == 1 else f"{patient}_laip"

    def history(self, sample: str) -> list[str]:
        """Tubes of a tube's patient in sheet order, up to and including this one.

        Later tubes are left out, so that a report does not change when the patient comes again.
        """
        patient = self.samples[sample].patient
        tubes = [name for name in self.analysed if self.samples[name].patient == patient]
        return tubes[: tubes.index(sample) + 1]

    def signatures_digest(self, sample: str | None = None) -> str:
        """Digest of the laboratory's key and of the review log's lines about a tube, or of all lines.

        A new signature rebuilds the tube's page, and so does a new key, by which signatures are judged from then on.
        """
        from flowmrd.review.status import PUBLIC_KEY

        log, key = self.run_directory / "results/review/log.jsonl", self.run_directory / PUBLIC_KEY
        if not log.is_file():
            return ""
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        mine = [line for line in lines if sample is None or json.dumps(sample) in line]
        if not mine:
            return ""  # as before the first review of all: other tubes' pages stay as they are
        return _short("\n".join([*mine, key.read_text(encoding="utf-8", errors="replace") if key.is_file() else ""]))

    @cached_property
    def refused_digest(self) -> str:
        """Digest of the list of tubes without a result, so that the cohort page is rebuilt when it changes."""
        return _short(json.dumps([asdict(refusal) for refusal in self.refusals], sort_keys=True))

    def override_of(self, sample: str) -> Path | None:
        """The reviewer's gate override of a tube, relative to the run directory, if there is one."""
        for suffix in OVERRIDE_SUFFIXES:
            path = OVERRIDES / f"{sample}{suffix}"
            if (self.run_directory / path).is_file():
                return path
        return None

    def identity(self, sample: str) -> str:
        """Short digest that changes with a tube's row, its file (size and time) and the files on which its result
        rests.
        """
        row = self.samples[sample]
        panel, override = self.panel_of[sample], self.override_of(sample)
        facts = {
            **{key: str(value) for key, value in asdict(row).items() if key != "line"},
            "file": file_key(row.fcs),
            "panel": self.panels[panel].meaning,
            "override": _digest_of(self.run_directory / override) if override is not None else "",
            "spillover": self._spillover_tables,
            "reference": self._stored_reference_digest(panel),
            "library": self._stored_library_digest,
            "expert labels": file_key(row.labels) if row.labels is not None else "",
        }
        decisions = decisions_file(self.run_directory, self.config)
        if decisions is not None:
            facts["decisions"] = _digest_of(decisions)
        if self.config.report.control_limits is not None:
            facts["control limits"] = _digest_of(self.run_directory / self.config.report.control_limits)
        return _short(json.dumps(facts, sort_keys=True))

    @cached_property
    def _spillover_tables(self) -> str:
        section = self.config.compensation
        tables = {} if isinstance(section, str) else section.tables()
        if not tables:
            return ""
        folder = (self.run_directory / self.config.samples).parent
        return _short("".join(f"{place}{_digest_of(folder / given)}" for place, given in sorted(tables.items())))

    def _stored_reference_digest(self, panel: str) -> str:
        folder = self.stored_reference(panel)
        # reference.json names the digest of the arrays beside it
        names = ("reference.json", "gates.json", "transform.json")
        return "" if folder is None else _short("".join(_digest_of(folder / name) for name in names))

    @cached_property
    def _stored_library_digest(self) -> str:
        # each laip.json names the digest of the arrays beside it
        return _short("".join(_digest_of(path) for path in stored_library(self.run_directory, self.config)))

    @cached_property
    def clinical_digest(self) -> str:
        """Digest of the clinical tables."""
        return _short("".join(_digest_of(self.run_directory / name) for name in self.clinical_tables))

    @property
    def clinical_tables(self) -> tuple[str, str]:
        """Patients and adverse events, relative to the run directory; they need not exist."""
        return self.config.patients, self.config.adverse_events

    @cached_property
    def planned(self) -> str:
        """Digest of the configuration and of all code, which must not change during a run."""
        return state_of(self.run_directory / CONFIG)

    def fingerprint(self, sample: str) -> str:
        """Digest of everything on which a stage's refusal of a tube may rest."""
        return _short(self.identity(sample) + self.planned)

    def identities(self, samples: Iterable[str]) -> str:
        """One digest for several tubes, for results that are made from all of them."""
        return _short("".join(self.identity(sample) for sample in samples))


def stored_reference(run_directory: Path, config: RunConfig, panel: str) -> Path | None:
    """Folder of the stored reference that a configuration names for a panel; None where it names none.

    Raises
    ------
    ConfigError
        If the folder holds no reference.
    """
    section = config.reference
    given = section if isinstance(section, str) else section.path
    if given is None:
        return None
    folder = run_directory / given
    folder = folder / panel if (folder / panel).is_dir() else folder
    if not (folder / "reference.json").is_file():
        raise ConfigError(
            f"{run_directory / CONFIG}: reference",
            found=f"no reference.json in {folder}",
            expected=f"results/reference/{panel} of the run that made the reference, or a copy of that folder",
            todo="correct the path, or remove it to build the reference from this run's controls",
        )
    return folder


def stained_controls(run_directory: Path, config: RunConfig, panels: Iterable[str]) -> dict[str, list[Stained]]:
    """Panel to the controls behind its stored reference, by which labels of tubes are judged; empty without a
    reference.
    """
    found: dict[str, list[Stained]] = {}
    for panel in dict.fromkeys(panels):
        try:
            folder = stored_reference(run_directory, config, panel)
            found[panel] = [] if folder is None else Stained.of_reference(folder)
        except InputError:
            found[panel] = []  # told where the reference itself is read
    return found


def plan_run(
    run_directory: Path, *, main_process: bool = True, include_failed: bool = True, allow_empty: bool = False
) -> RunPlan:
    """Read configuration, sheet, panels and FCS headers of a run directory.

    Parameters
    ----------
    main_process
        ``False`` in a job that a running workflow has started. The parent's list of refused tubes is then used as it
        is, so that parent and job see the same plan even if a file changes in between.
    include_failed
        ``False`` also leaves out tubes that failed in an earlier pass for a reason other than their input.
    allow_empty
        Accept a sheet without a usable tube, for looking at the workflow itself.

    Raises
    ------
    InputError
        If there is no configuration, no readable sheet, or not a single usable tube.
    """
    config = load_config(run_directory / CONFIG)
    _refuse_links(run_directory / "results")
    rows, problems = read_sheet(run_directory / config.samples)
    if misspelt := [one for one in problems if isinstance(one, ColumnError) and one.near is not None]:
        # the content of the column would be lost, and every tube judged without it
        raise misspelt[0]
    unreadable = [refuse_row(problem) for problem in problems if not isinstance(problem, ColumnError)]
    known, sizes = (None, {}) if main_process else _told_by_parent(run_directory)
    if known is not None:
        return _admit(run_directory, config, rows, None).plan(known, sizes)
    headers = HeaderCache(run_directory)
    admitted = _admit(run_directory, config, rows, headers)
    refusals = [*unreadable, *admitted.refusals, *_refused_beside_others(admitted)]
    headers.save()
    plan = admitted.plan(refusals)
    failed = [
        failure.refusal
        for failure in stage_failures(run_directory, plan.samples)
        if not include_failed or (failure.lasting and failure.fingerprint == plan.fingerprint(failure.refusal.sample))
    ]
    plan = admitted.plan([*refusals, *failed])
    _tell_jobs(plan)
    if not plan.samples and not allow_empty:
        lines = "\n".join(f"  {refusal.sample}: {refusal.message}" for refusal in plan.refusals[:20])
        raise SheetError(
            str(run_directory / config.samples),
            found="no tube that can be worked on" + (f":\n{lines}\n" if lines else ""),
            expected="at least one row whose FCS file and panel are usable",
            todo="run 'flowmrd check' and correct what it lists",
        )
    return plan


@dataclass
class _Admitted:
    """Rows of the sheet whose panel and FCS header can be used, and the refusals of the others."""

    run_directory: Path
    config: RunConfig
    samples: dict[str, Sample] = field(default_factory=dict)
    panels: dict[str, PanelFile] = field(default_factory=dict)
    panel_of: dict[str, str] = field(default_factory=dict)
    looks: dict[str, HeaderPreview] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)

    def plan(self, refusals: Iterable[Refusal], columns_mb: Mapping[str, float] | None = None) -> RunPlan:
        """The plan without refused tubes; ``columns_mb`` is measured here where it is not given."""
        refusals = tuple(refusals)
        left_out = {refusal.sample for refusal in refusals}
        samples = {name: row for name, row in self.samples.items() if name not in left_out}
        used = {self.panel_of[name] for name in samples}
        return RunPlan(
            run_directory=self.run_directory,
            config=self.config,
            samples=samples,
            panels={file.model.name: file for file in self.panels.values() if file.model.name in used},
            panel_of={name: self.panel_of[name] for name in samples},
            columns_mb=dict(columns_mb or {name: look.mb for name, look in self.looks.items()}),
            refusals=refusals,
        )


def _admit(run_directory: Path, config: RunConfig, rows: Sequence[Sample], headers: HeaderCache | None) -> _Admitted:
    """Check the panel and, with ``headers``, the FCS header of every row."""
    found = _Admitted(run_directory, config)
    asked = RunRequest(config, (run_directory / config.samples).parent)
    for row in rows:
        try:
            panel = _panel(row.panel or config.panel, run_directory, found.panels)
            if headers is not None:
                _refuse_links_of(row, run_directory)
                found.looks[row.sample] = headers.check(row, panel.model, asked, panel_key=panel.sha256)
        except InputError as error:
            found.refusals.append(refuse(row, error))
            continue
        found.samples[row.sample] = row
        found.panel_of[row.sample] = panel.model.name
    return found


def _refused_beside_others(admitted: _Admitted) -> list[Refusal]:
    """Tubes that could be used alone but not beside the others of the sheet (for example the same cells twice)."""
    sheet = admitted.run_directory / admitted.config.samples
    faults = compare_tubes(
        list(admitted.samples.values()),
        admitted.looks,
        admitted.panel_of,
        sheet,
        stored=stained_controls(admitted.run_directory, admitted.config, admitted.panel_of.values()),
        confirmed=admitted.config.labels.confirmed,
    )
    return [refuse(admitted.samples[fault.sample], fault.error) for fault in faults if fault.refused]


def _tell_jobs(plan: RunPlan) -> None:
    facts = {
        "refusals": [asdict(refusal) for refusal in plan.refusals],
        "fingerprints": {name: plan.fingerprint(name) for name in plan.samples},
        "columns_mb": plan.columns_mb,
    }
    keep_state(plan.run_directory / PLAN_FILE, facts)


def _told_by_parent(run_directory: Path) -> tuple[list[Refusal] | None, dict[str, float]]:
    """Refused tubes and sizes of columns from the main process; None and an empty mapping where it left none."""
    try:
        facts = json.loads((run_directory / PLAN_FILE).read_text(encoding="utf-8"))
        refusals = [Refusal(**{key: str(value) for key, value in one.items()}) for one in facts["refusals"]]
        return refusals, {name: float(mb) for name, mb in facts["columns_mb"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None, {}  # no plan that can be read: look again


def _refuse_links(results: Path) -> None:
    """Refuse symbolic links below ``results``; only ``results`` itself may lie elsewhere, by the user's own link."""
    links = sorted(path.name for path in results.iterdir() if path.is_symlink()) if results.is_dir() else []
    if links:
        raise ConfigError(
            f"{results}/{links[0]}",
            found="a symbolic link",
            expected="a folder that flowmrd made",
            todo="remove the link; to keep results on another disk, link 'results' itself",
        )


def _refuse_links_of(row: Sample, run_directory: Path) -> None:
    results = run_directory / "results"
    for folder in (results / "samples" / row.sample, results / "work" / row.sample, results / "laip" / row.patient):
        if folder.is_symlink():
            raise SheetError(
                str(folder),
                found="a symbolic link",
                expected="a folder that flowmrd made",
                todo="remove the link: it would lead results out of the run directory",
            )


def rows_of_refused(plan: RunPlan) -> list[Sample]:
    """Rows for the tubes without a result; a row of the sheet that cannot be read is named by its line."""
    rows = {row.sample: row for row in read_sheet(plan.run_directory / plan.config.samples)[0]}
    unknown = {"patient": "unknown", "role": Role.FOLLOWUP, "fcs": Path()}
    return [
        rows.get(name) or Sample(sample=name, **unknown)  # type: ignore[arg-type]
        for name in dict.fromkeys(refusal.sample for refusal in plan.refusals)
    ]


WORDS = frozenset({"title", "source", "plots"})
"""Keys of a panel file that only affect pages."""


def _without_words(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_words(inner) for key, inner in value.items() if key not in WORDS}
    return [_without_words(inner) for inner in value] if isinstance(value, list) else value


def _panel(name: str, run_directory: Path, known: dict[str, PanelFile]) -> PanelFile:
    if name not in known:
        path = find_panel(name, run_directory=run_directory, shipped=PANELS)
        known[name] = PanelFile(path, load_panel(path), hashlib.sha256(path.read_bytes()).hexdigest())
    return known[name]


def _digest_of(path: Path) -> str:
    """SHA-256 of a small file from outside, ``absent`` where there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "absent"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
