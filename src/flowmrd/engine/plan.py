"""Planning a run directory: the usable tubes, and the refused ones with the reason.

Both the Snakefile and ``flowmrd check`` use this, so they cannot disagree. A tube is *refused* where its row, its
panel or its FCS header is wrong, or where a stage has already found it unusable and nothing has changed since; the
other tubes go on without it, and the cohort names it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from flowmrd.config import RunConfig, Sample, load_config, read_sheet
from flowmrd.config.sheet import Role
from flowmrd.engine.headers import HeaderCache, HeaderPreview, RunRequest
from flowmrd.engine.panel_file import PanelFile
from flowmrd.engine.refusals import Refusal, refuse, refuse_row, stage_failures
from flowmrd.engine.run_faults import missing_tables, unknown_names
from flowmrd.engine.run_plan import RunPlan
from flowmrd.engine.state import PLAN_FILE, keep_state
from flowmrd.engine.tube_comparison import compare_tubes, stained_controls
from flowmrd.errors import ColumnError, ConfigError, InputError, SheetError
from flowmrd.run_files import CONFIG

__all__ = ["plan_run", "rows_of_refused"]


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
    if not unreadable and (strangers := list(unknown_names(rows, config, run_directory))):
        # a control that was to be left out would stay in the reference
        raise strangers[0]
    if missing := list(missing_tables(config, run_directory)):
        raise missing[0]
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
    previews: dict[str, HeaderPreview] = field(default_factory=dict)
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
            columns_mb=dict(columns_mb or {name: preview.mb for name, preview in self.previews.items()}),
            refusals=refusals,
        )


def _admit(run_directory: Path, config: RunConfig, rows: Sequence[Sample], headers: HeaderCache | None) -> _Admitted:
    """Check the panel and, with ``headers``, the FCS header of every row."""
    found = _Admitted(run_directory, config)
    request = RunRequest(config, (run_directory / config.samples).parent)
    for row in rows:
        try:
            name = row.panel or config.panel
            if name not in found.panels:
                found.panels[name] = PanelFile.named(name, run_directory)
            panel = found.panels[name]
            if headers is not None:
                _refuse_links_of(row, run_directory)
                found.previews[row.sample] = headers.check(row, panel.model, request, panel_key=panel.sha256)
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
        admitted.previews,
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
    patients = {refusal.sample: refusal.patient or "unknown" for refusal in plan.refusals}
    return [rows.get(name) or Sample(name, patient, Role.FOLLOWUP, Path()) for name, patient in patients.items()]
