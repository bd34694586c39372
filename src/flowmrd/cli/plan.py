"""What a run directory asks for: the tubes that can be worked on, those that cannot and why, and what depends on what.

Both the Snakefile and ``flowmrd check`` use this, so they cannot disagree. A tube is *refused* where its row, its
panel or its FCS header is wrong, or where a stage has already found it unusable and nothing has changed since; the
other tubes go on without it, and the cohort names it.

Reading the headers of a thousand files at every start of a job would be slow, so the outcome is kept in
``.snakemake/flowmrd/`` under size and time of each file, and jobs of a cluster take the list of their parent process.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from flowmrd.cli.code import digest
from flowmrd.cli.failure import RECORD_SUFFIX
from flowmrd.cli.layout import CONFIG
from flowmrd.config import RunConfig, Sample, load_config, read_sheet
from flowmrd.config.sheet import Role
from flowmrd.errors import InputError, SheetError
from flowmrd.home import PANELS
from flowmrd.panel import PanelModel, find_panel, load_panel
from flowmrd.store import write_json

LOGS = Path("results/logs")
CACHE = Path(".snakemake/flowmrd")
SAMPLE_STAGES = ("ingest", "preprocess", "gate", "classify", "quantify", "export", "report")


@dataclass(frozen=True)
class Refusal:
    """A tube, or a row of the sheet, that cannot be worked on."""

    sample: str
    patient: str
    role: str
    stage: str
    what: str
    where: str
    todo: str

    @property
    def message(self) -> str:
        """One line for a table."""
        return f"{self.what} ({self.where}); {self.todo}"


@dataclass(frozen=True)
class PanelFile:
    """A panel file in use."""

    path: Path
    model: PanelModel
    sha256: str


@dataclass(frozen=True)
class RunPlan:
    """A checked run directory."""

    run_directory: Path
    config: RunConfig
    config_sha256: str
    samples: dict[str, Sample]
    panels: dict[str, PanelFile]
    panel_of: dict[str, str]
    refusals: tuple[Refusal, ...] = field(default=())

    @cached_property
    def analysed(self) -> tuple[str, ...]:
        """Tubes that get a result, in sheet order: all but compensation tubes."""
        return tuple(name for name, sample in self.samples.items() if sample.role is not Role.COMPENSATION)

    @cached_property
    def controls(self) -> tuple[str, ...]:
        """Control tubes of all panels, in sheet order."""
        return tuple(name for name, sample in self.samples.items() if sample.role is Role.CONTROL)

    @cached_property
    def kept(self) -> tuple[str, ...]:
        """Tubes that others are compared with; their event files are kept."""
        return tuple(n for n in self.analysed if self.samples[n].role in (Role.CONTROL, Role.DIAGNOSIS))

    @cached_property
    def kept_raw(self) -> tuple[str, ...]:
        """Tubes whose raw columns are kept: controls and single-stain tubes."""
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

    def controls_of(self, panel: str) -> list[str]:
        """Control tubes stained with a panel."""
        return [name for name in self.controls if self.panel_of[name] == panel]

    def stored_reference(self, panel: str) -> Path | None:
        """Folder of the reference that the configuration tells to apply unchanged, if it does."""
        section = self.config.reference
        given = section if isinstance(section, str) else section.path
        if given is None:
            return None
        folder = self.run_directory / given
        return folder / panel if (folder / panel).is_dir() else folder

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
        """Whether clinical tables lie beside the sheet, so that there is a trial report."""
        return (self.run_directory / self.config.patients).is_file()

    def fcs(self, sample: str) -> str:
        """Path of a tube's FCS file: below the run directory where it lies there, else absolute."""
        given = self.samples[sample].fcs
        path = given.parent.resolve() / given.name
        root = self.run_directory.resolve()
        return str(path.relative_to(root) if path.is_relative_to(root) else path)

    def size_mb(self, sample: str) -> float:
        """Size of a tube's FCS file."""
        return self.samples[sample].fcs.stat().st_size / 2**20

    def group(self, sample: str, part: str) -> str:
        """Cluster job that a stage of a tube belongs to.

        All stages of a follow-up tube make one job. A control is cut where all controls are looked at together, a
        diagnosis tube where its patient's LAIP is made from several tubes.

        Parameters
        ----------
        part
            ``read`` (ingest), ``scale`` (preprocess), ``gate``, or ``judge`` (classify to report).
        """
        role = self.samples[sample].role
        if role is Role.CONTROL:
            return f"{sample}_{part}"
        if role is Role.DIAGNOSIS:
            return f"{sample}_{'judge' if part == 'judge' else 'prepare'}"
        return sample

    def group_of_laip(self, patient: str) -> str:
        """Cluster job of a patient's LAIP: that of the diagnosis tube where there is one only."""
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
        """Digest of the review log's lines about a tube, or of all, and of the laboratory's key.

        A new signature makes the tube's page again, and so does a key by which signatures are judged from now on.
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
        """Digest of the list of tubes without a result, so that the cohort is made again when it changes."""
        return _short(json.dumps([asdict(refusal) for refusal in self.refusals], sort_keys=True))

    def override_of(self, sample: str) -> Path | None:
        """The reviewer's gate override of a tube, relative to the run directory, if there is one."""
        for suffix in (".yaml", ".yml", ".xml"):
            path = Path("config/overrides") / f"{sample}{suffix}"
            if (self.run_directory / path).is_file():
                return path
        return None

    def identity(self, sample: str) -> str:
        """Short digest that changes with a tube's row, panel or file (size and time)."""
        row = self.samples[sample]
        override = self.override_of(sample)
        facts = {
            **{key: str(value) for key, value in asdict(row).items() if key != "line"},
            "file": _stat_key(row.fcs),
            "panel": self.panels[self.panel_of[sample]].sha256,
            "override": hashlib.sha256((self.run_directory / override).read_bytes()).hexdigest() if override else "",
        }
        return _short(json.dumps(facts, sort_keys=True))

    def identities(self, samples: Iterable[str]) -> str:
        """One digest for several tubes, for what is made from all of them."""
        return _short("".join(self.identity(sample) for sample in samples))


def plan_run(
    run_directory: Path, *, main_process: bool = True, include_failed: bool = True, allow_empty: bool = False
) -> RunPlan:
    """Read configuration, sheet, panels and FCS headers of a run directory.

    Parameters
    ----------
    main_process
        ``False`` in a job that a running workflow has started: the parent's list of refused tubes is taken as it is,
        so that parent and job see the same plan even where a file changes in between.
    include_failed
        ``False`` leaves tubes out that failed in an earlier pass for whatever reason, not only for their input's.
    allow_empty
        Accept a sheet without a usable tube, for looking at the workflow itself.

    Raises
    ------
    InputError
        Where nothing can be done: no configuration, no readable sheet, or not one usable tube.
    """
    config_path = run_directory / CONFIG
    config = load_config(config_path)
    rows, problems = read_sheet(run_directory / config.samples)
    cache = run_directory / CACHE / "plan.json"
    panels: dict[str, PanelFile] = {}
    panel_of: dict[str, str] = {}
    refusals = [_refuse_row(problem) for problem in problems]
    admitted: dict[str, Sample] = {}
    known = None if main_process or not cache.is_file() else json.loads(cache.read_text(encoding="utf-8"))
    headers = HeaderCache(run_directory)
    for row in rows:
        try:
            panel = _panel(row.panel or config.panel, run_directory, panels)
            if known is None:
                headers.check(row, panel)
        except InputError as error:
            refusals.append(refuse(row, "check", error))
            continue
        admitted[row.sample] = row
        panel_of[row.sample] = panel.model.name
    if known is None:
        earlier = _earlier_failures(run_directory, admitted, include_failed)
        refusals.extend(earlier)
        headers.save()
    else:
        refusals = [Refusal(**item) for item in known]
    refused = {refusal.sample for refusal in refusals}
    for name in refused & admitted.keys():
        del admitted[name], panel_of[name]
    if known is None and main_process:
        _keep(cache, [asdict(refusal) for refusal in refusals])
    if not admitted and not allow_empty:
        lines = "\n".join(f"  {refusal.sample}: {refusal.message}" for refusal in refusals[:20])
        raise SheetError(
            str(run_directory / config.samples),
            found="no tube that can be worked on" + (f":\n{lines}\n" if lines else ""),
            expected="at least one row whose FCS file and panel are usable",
            todo="run 'flowmrd check' and correct what it lists",
        )
    used = {panel_of[name] for name in admitted}
    return RunPlan(
        run_directory=run_directory,
        config=config,
        config_sha256=hashlib.sha256(config_path.read_bytes()).hexdigest(),
        samples=admitted,
        panels={file.model.name: file for file in panels.values() if file.model.name in used},
        panel_of=panel_of,
        refusals=tuple(refusals),
    )


def refuse(row: Sample, stage: str, error: InputError) -> Refusal:
    """Turn an input error about a tube into its refusal."""
    return Refusal(
        sample=row.sample,
        patient=row.patient,
        role=row.role.value,
        stage=stage,
        what=f"found {error.found}; expected {error.expected}",
        where=error.where,
        todo=error.todo,
    )


def rows_of_refused(plan: RunPlan) -> list[Sample]:
    """Rows for the tubes without a result; a row of the sheet that cannot be read is known by its line."""
    rows = {row.sample: row for row in read_sheet(plan.run_directory / plan.config.samples)[0]}
    unknown = {"patient": "unknown", "role": Role.FOLLOWUP, "fcs": Path()}
    return [
        rows.get(name) or Sample(sample=name, **unknown)  # type: ignore[arg-type]
        for name in dict.fromkeys(refusal.sample for refusal in plan.refusals)
    ]


def _refuse_row(error: SheetError) -> Refusal:
    name = error.where.rsplit(", ", maxsplit=1)[-1].replace(" ", "-")
    return Refusal(name, "", "", "check", f"found {error.found}; expected {error.expected}", error.where, error.todo)


def _panel(name: str, run_directory: Path, known: dict[str, PanelFile]) -> PanelFile:
    if name not in known:
        path = find_panel(name, run_directory=run_directory, shipped=PANELS)
        known[name] = PanelFile(path, load_panel(path), hashlib.sha256(path.read_bytes()).hexdigest())
    return known[name]


class HeaderCache:
    """Outcome of checking FCS headers, kept by size and time of the files."""

    def __init__(self, run_directory: Path) -> None:
        self._path = run_directory / CACHE / "headers.json"
        self._code = digest("flowmrd.cli.headers")
        self._old: dict[str, Any] = {}
        self._new: dict[str, Any] = {}
        try:
            stored = json.loads(self._path.read_text(encoding="utf-8"))
            if stored["code"] == self._code:
                self._old = stored["files"]
        except (OSError, ValueError, KeyError):
            self._old = {}  # a cache that cannot be read is only a slower start

    def check(self, row: Sample, panel: PanelFile) -> None:
        """Raise the input error of a tube's header, from memory where the file has not changed."""
        from flowmrd.cli.headers import check_header

        key = f"{row.fcs}|{panel.sha256}|{row.role.value == Role.COMPENSATION.value}"
        stat = _stat_key(row.fcs)
        known = self._old.get(key)
        if known is not None and known["stat"] == stat:
            self._new[key] = known
            if known["error"] is not None:
                raise InputError(**known["error"])
            return
        error: InputError | None = None
        try:
            check_header(row.fcs, None if row.role is Role.COMPENSATION else panel.model)
        except InputError as problem:
            error = problem
            raise
        finally:
            self._new[key] = {
                "stat": stat,
                "error": None
                if error is None
                else {"where": error.where, "found": error.found, "expected": error.expected, "todo": error.todo},
            }

    def save(self) -> None:
        """Keep what was learned for the next start."""
        if self._new != self._old:
            _keep(self._path, {"code": self._code, "files": self._new})


def _earlier_failures(run_directory: Path, samples: dict[str, Sample], include_failed: bool) -> list[Refusal]:
    """Tubes that a stage has already found unusable, unless something they depend on has changed since.

    Compared are the times at which the system last changed an inode (ctime), because a file put in place by copying
    may well carry an older modification time.
    """
    found: dict[str, Refusal] = {}
    newest_code = max(_changed(file) for file in (Path(__file__).resolve().parents[1]).rglob("*.py"))
    for stage in SAMPLE_STAGES:
        for name, row in samples.items():
            record = run_directory / LOGS / stage / f"{name}{RECORD_SUFFIX}"
            if name in found or not record.is_file():
                continue
            try:
                facts = json.loads(record.read_text(encoding="utf-8"))
                code = int(facts["exit_code"])
                texts = {key: str(facts[key]) for key in ("what", "where", "todo")}
            except (OSError, ValueError, KeyError):
                continue  # a record cut short by a crash says nothing: try again
            inputs = (row.fcs, run_directory / CONFIG)
            if code == 2 and max(newest_code, *(_changed(path) for path in inputs)) > _changed(record):
                continue
            if code != 2 and include_failed:
                continue
            found[name] = Refusal(name, row.patient, row.role.value, stage, **texts)
    return list(found.values())


def _changed(path: Path) -> int:
    try:
        return path.stat().st_ctime_ns
    except OSError:
        return 0


def _stat_key(path: Path) -> str:
    try:
        stat = path.stat()
    except OSError:
        return "absent"
    return f"{stat.st_size}-{stat.st_mtime_ns}"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _keep(path: Path, value: Any) -> None:
    """Write a cache file; where that is not possible the run only loses time."""
    if os.access(path.parent if path.parent.is_dir() else path.parents[2], os.W_OK):
        write_json(path, value)
