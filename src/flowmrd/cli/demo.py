"""``flowmrd demo``: three run directories that anybody can make, and their reports.

``real``
    The day-15 marrow of a child with B-ALL that ships inside the fcsparser package (MIT licence), without controls:
    what the file alone allows to say.
``cohort``
    Simulated 10-colour tubes: controls, patients at diagnosis and at follow-up, one control too small for 1e-4.
``pooled``
    One simulated specimen in five acquisitions, judged by the reference of ``cohort``: together its 6 million cells can
    say less than 1 in 100,000, which none of the tubes can alone.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from flowmrd.engine.launch import launch
from flowmrd.errors import ConfigError
from flowmrd.mrd.result import MrdResult, VerdictClass
from flowmrd.mrd.specimen import SpecimenResult
from flowmrd.panel import PanelModel, find_panel, load_panel
from flowmrd.records.read import read_record
from flowmrd.simulate.cohort import SimulatedCohort, simulate_cohort
from flowmrd.simulate.design import plan_preset, resized
from flowmrd.stages.monitor import monitor_runs
from flowmrd.stages.simulate import DEFAULT_SEED, simulate
from flowmrd.store import write_text

REAL_FILE = Path("tests/data/FlowCytometers/FACS_Diva/facs_diva_test.fcs")


def real_file() -> Path:
    """The real B-ALL file inside the fcsparser package.

    The release that the environment installs (0.2.4) lacks it, so ``make env`` lays a newer one beside the packages
    as data (``requirements-data.lock``).

    Raises
    ------
    ConfigError
        If the file is in neither.
    """
    folders = [Path(sys.prefix) / "share" / "flowmrd" / "fcsparser"]
    spec = find_spec("fcsparser")
    if spec is not None and spec.origin:
        folders.insert(0, Path(spec.origin).parent)
    for folder in folders:
        if (folder / REAL_FILE).is_file():
            return folder / REAL_FILE
    raise ConfigError(
        "package fcsparser",
        found=f"no test data in {' or '.join(str(folder) for folder in folders)}",
        expected=str(REAL_FILE),
        todo="install the environment with 'make env', or the data alone: "
        f"pip install --no-deps --target {folders[-1].parent} -r requirements-data.lock",
    )


def write_real(run_directory: Path) -> None:
    """Write the run directory of the real file; nothing is rewritten that is already so."""
    sheet = (
        "sample\tpatient\trole\tfcs\ttimepoint\tspecimen\n"
        f"day15-marrow\tchild-1\tfollowup\t{real_file()}\tday15\tbone marrow\n"
    )
    for name, text in (
        ("samples.tsv", sheet),
        ("config.yaml", "panel: vienna_b8\nsamples: config/samples.tsv\n"),
    ):
        path = run_directory / "config" / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)


def write_pooled(folder: Path, panel: PanelModel, *, nucleated: int | None = None) -> SimulatedCohort:
    """Write the run directory of one specimen in several acquisitions, beside the cohort whose reference judges it.

    Parameters
    ----------
    nucleated
        Nucleated cells per tube instead of the preset's.
    """
    design = plan_preset("pooled", panel, DEFAULT_SEED)
    return simulate_cohort(
        folder / "pooled",
        design if nucleated is None else resized(design, nucleated),
        DEFAULT_SEED,
        panel,
        label="pooled",
        settings=f"reference: {{path: ../cohort/results/reference/{panel.name}}}\nmrd: {{target: 1.0e-5}}\n",
    )


def pooled_lines(run_directory: Path) -> list[str]:
    """What the run says of each specimen of several tubes, for the terminal."""
    lines = []
    for path in sorted((run_directory / "results" / "specimens").glob("*.json")):
        found = read_record(path, SpecimenResult)
        limit = "none" if found.sensitivity.lod95 is None else f"{found.sensitivity.lod95:.2g}"
        cells = f"{len(found.tubes)} tubes, {found.denominator:,} {found.denominator_name} cells together"
        answer = f"{found.verdict.class_.value} at {found.sensitivity.target:g}, {found.mrd.reported}"
        lines.append(f"{found.specimen_id}: {cells}: {answer} (limit of detection {limit})")
    return lines


def demo(folder: Path, *, cores: int | None = None) -> int:
    """Make the run directories, run them, and say where the reports are; return the worst exit code."""
    write_real(folder / "real")
    panel = load_panel(find_panel("ino10", run_directory=folder))
    simulate(folder / "cohort", preset="demo", seed=DEFAULT_SEED, panel=panel)
    write_pooled(folder, panel)
    code = max(launch(folder / name, cores=cores) for name in ("real", "cohort", "pooled"))
    monitor_runs(folder, folder / "monitoring", seed=DEFAULT_SEED, again=2)
    print("\nSeveral tubes of one specimen:")  # noqa: T201
    for line in pooled_lines(folder / "pooled"):
        print(f"  {line}")  # noqa: T201
    print("\nOpen in a browser:")  # noqa: T201
    for said, page in [
        *(("all tubes of a run", page) for page in sorted(folder.glob("*/results/cohort/index.html"))),
        *(("a real tube", page) for page in sorted(folder.glob("real/results/samples/*/report.html"))),
        *pages_to_see(folder / "cohort").items(),
        ("monitoring over all runs", folder / "monitoring" / "index.html"),
    ]:
        print(f"  {page.resolve()}  ({said})")  # noqa: T201
    return code


def pages_to_see(run: Path) -> dict[str, Path]:
    """One page of every kind that a finished run has, by what it shows.

    ``positive`` (with the canonical view of its cells), ``negative`` (with spiked cells), ``atypical group`` and
    ``control``.
    """
    found: dict[str, Path] = {}
    for path in sorted((run / "results" / "samples").glob("*/mrd.json")):
        result = read_record(path, MrdResult)
        kinds = {
            "positive": result.role == "followup" and result.verdict.class_ is VerdictClass.POSITIVE,
            "negative": result.verdict.class_ is VerdictClass.NEGATIVE and not result.counts.mrd_events,
            "atypical group": result.role == "followup" and any(group.call == "atypical" for group in result.groups),
            "control": result.role == "control",
        }
        for kind, fits in kinds.items():
            if fits:
                found.setdefault(kind, path.with_name("report.html"))
    return found
