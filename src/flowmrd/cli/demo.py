"""``flowmrd demo``: two run directories that anybody can make, and their reports.

``real``
    The day-15 marrow of a child with B-ALL that ships inside the installed fcsparser package (MIT licence), without
    controls: what the file alone allows to say.
``cohort``
    Simulated 10-colour tubes: controls, patients at diagnosis and at follow-up, one control too small for 1e-4.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from flowmrd.cli.launch import launch
from flowmrd.errors import ConfigError
from flowmrd.home import PANELS
from flowmrd.panel import find_panel, load_panel
from flowmrd.stages.simulate import DEFAULT_SEED, simulate
from flowmrd.store import write_text

REAL_FILE = Path("tests/data/FlowCytometers/FACS_Diva/facs_diva_test.fcs")


def real_file() -> Path:
    """The real B-ALL file inside the installed fcsparser package.

    Raises
    ------
    ConfigError
        If fcsparser is not installed with its test data.
    """
    spec = find_spec("fcsparser")
    path = Path(spec.origin).parent / REAL_FILE if spec is not None and spec.origin else None
    if path is None or not path.is_file():
        raise ConfigError(
            "package fcsparser",
            found="no test data in the installed package",
            expected=str(REAL_FILE),
            todo="install the environment from requirements.lock ('make env')",
        )
    return path


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


def demo(folder: Path, *, cores: int | None = None) -> int:
    """Make both run directories, run them, and say where the reports are; return the worse exit code."""
    write_real(folder / "real")
    panel = load_panel(find_panel("ino10", run_directory=folder, shipped=PANELS))
    simulate(folder / "cohort", preset="demo", seed=DEFAULT_SEED, panel=panel)
    code = max(launch(folder / name, cores=cores) for name in ("real", "cohort"))
    print("\nOpen in a browser:")  # noqa: T201
    for page in sorted(folder.glob("*/results/cohort/index.html")) + sorted(
        folder.glob("real/results/samples/*/report.html")
    ):
        print(f"  {page.resolve()}")  # noqa: T201
    return code
