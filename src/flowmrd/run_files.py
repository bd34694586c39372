"""The files of a run: the path of each, and a stage's access to configuration, sheet and panels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from flowmrd.config import RunConfig, Sample, load_config, read_sheet
from flowmrd.errors import SheetError
from flowmrd.panel import PanelModel, find_panel, load_panel

__all__ = ["CONFIG", "OVERRIDES", "OVERRIDE_SUFFIXES", "RunFiles", "override_of"]

CONFIG = Path("config/config.yaml")
OVERRIDES = Path("config/overrides")
"""Folder for a reviewer's gates; the file is ``<sample>`` with one of :data:`OVERRIDE_SUFFIXES`."""
OVERRIDE_SUFFIXES = (".yaml", ".yml", ".xml")


@dataclass(frozen=True)
class RunFiles:
    """A run directory as one stage sees it; the headers of other tubes are not opened."""

    directory: Path

    @cached_property
    def config(self) -> RunConfig:
        """The configuration."""
        return load_config(self.directory / CONFIG)

    @cached_property
    def sheet(self) -> Path:
        """The sample sheet."""
        return self.directory / self.config.samples

    @cached_property
    def samples(self) -> dict[str, Sample]:
        """Valid rows of the sheet by sample."""
        return {row.sample: row for row in read_sheet(self.sheet)[0]}

    def sample(self, name: str) -> Sample:
        """One row of the sheet.

        Raises
        ------
        SheetError
            If no good row has this name.
        """
        if name not in self.samples:
            raise SheetError(
                str(self.sheet),
                found=f"no usable row for sample {name[:80]!r}",
                expected=f"one of {', '.join(list(self.samples)[:10])}",
                todo="run 'flowmrd check' and correct the sheet, or the name",
            )
        return self.samples[name]

    def panel_path(self, name: str) -> Path:
        """Panel file of a panel, given by name or path."""
        return find_panel(name, run_directory=self.directory)

    def panel_path_of(self, sample: str) -> Path:
        """Panel file of a tube."""
        return self.panel_path(self.sample(sample).panel or self.config.panel)

    def panel_of(self, sample: str) -> PanelModel:
        """Panel of a tube."""
        return load_panel(self.panel_path_of(sample))

    def panel_named(self, name: str) -> PanelModel:
        """Panel of this name among those in use in this run."""
        for given in dict.fromkeys([self.config.panel, *(row.panel for row in self.samples.values() if row.panel)]):
            panel = load_panel(self.panel_path(given))
            if panel.name == name:
                return panel
        return load_panel(self.panel_path(name))

    def work(self, sample: str, name: str) -> Path:
        """An intermediate file of a tube."""
        return self.directory / "results" / "work" / sample / name

    def result(self, sample: str, name: str) -> Path:
        """A result file of a tube."""
        return self.directory / "results" / "samples" / sample / name

    def reference(self, panel: str, name: str) -> Path:
        """A file of the reference of a panel."""
        return self.directory / "results" / "reference" / panel / name

    def laip(self, patient: str, name: str) -> Path:
        """A file of a patient's LAIP."""
        return self.directory / "results" / "laip" / patient / name

    def cohort(self, name: str) -> Path:
        """A file of the cohort."""
        return self.directory / "results" / "cohort" / name


def override_of(run_directory: Path, sample: str) -> Path | None:
    """The reviewer's gates of a tube, relative to the run directory; None where there are none."""
    for suffix in OVERRIDE_SUFFIXES:
        path = OVERRIDES / f"{sample}{suffix}"
        if (run_directory / path).is_file():
            return path
    return None
