"""A finished run in a notebook: further tubes judged by its frozen scales, gates, normal reference and phenotypes.

Every step is the one that the run's own jobs take, so a tube of the run gets the result of the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from flowmrd.classifier.laip_of_tubes import FoundLaip
from flowmrd.classifier.patient_laip import PatientLaip
from flowmrd.classifier.storage import load_laip
from flowmrd.classifier.stored_library import load_library
from flowmrd.config import RunConfig, Sample
from flowmrd.errors import ArtefactError
from flowmrd.mrd.result import MrdResult
from flowmrd.panel import PanelModel, load_panel
from flowmrd.records.read import read_record
from flowmrd.run_files import RunFiles, override_of
from flowmrd.stages.classify import classify_loaded
from flowmrd.stages.laboratory_files import decisions_file, stored_library, stored_reference
from flowmrd.stages.prepare import gated_from_fcs
from flowmrd.stages.quantify import digests_of
from flowmrd.stages.review_calls import count_with_review
from flowmrd.tube import Tube

if TYPE_CHECKING:
    from flowmrd.classifier.estimators import NormalReference

__all__ = ["FinishedRun"]


@dataclass(frozen=True)
class FinishedRun:
    """A finished run directory. Nothing is written to it.

    Attributes
    ----------
    directory
        The run directory.

    Examples
    --------
    A tube of the run, and a tube that was acquired later::

        run = flowmrd.FinishedRun("my-run")
        tube = run.judge("P01_day21")
        result = run.quantify(tube)

        later = flowmrd.Sample("P01_day50", "P01", flowmrd.Role.FOLLOWUP, Path("P01_day50.fcs"))
        result = run.quantify(run.judge(later), later)
    """

    directory: Path | str

    @cached_property
    def _files(self) -> RunFiles:
        return RunFiles(Path(self.directory))

    @property
    def config(self) -> RunConfig:
        """The configuration of the run."""
        return self._files.config

    @property
    def samples(self) -> dict[str, Sample]:
        """Rows of the sample sheet by the name of the tube."""
        return self._files.samples

    def panel(self, sample: Sample | str) -> PanelModel:
        """Panel of a tube."""
        return load_panel(self._panel_path(self._row(sample)))

    def reference(self, panel: str = "") -> NormalReference:
        """The fitted normal reference of a panel, by its name; of the panel of the configuration where none is given.

        Raises
        ------
        ArtefactError
            If the run has none, or it was altered.
        """
        from flowmrd.classifier.estimators import NormalReference  # scikit-learn, which judging does not need

        name = panel or load_panel(self._files.panel_path(self.config.panel)).name
        return NormalReference.load(self._reference_json(name))

    def laip(self, patient: str) -> FoundLaip | None:
        """What was found in a patient's diagnosis tubes; None where there were none."""
        path = self._files.laip(patient, "laip.json")
        return load_laip(path) if path.is_file() else None

    def library(self) -> tuple[PatientLaip, ...]:
        """Phenotypes of other patients that the configuration names; none where it names none."""
        folder = self.config.laip.library
        return () if folder is None else load_library(Path(self.directory) / folder)

    def result(self, sample: str) -> MrdResult:
        """``mrd.json`` of a tube of the run.

        Raises
        ------
        ArtefactError
            If the run has no result of this tube.
        """
        return read_record(self._files.result(sample, "mrd.json"), MrdResult)

    def gated(self, sample: Sample | str) -> Tube:
        """A tube read from its FCS file, preprocessed and gated as in the run.

        Parameters
        ----------
        sample
            Name of a tube of the run, or a row as in the sheet for another file. The row says patient, role, file,
            panel, batch and therapy before the tube.

        Returns
        -------
        Tube
            With ``facts`` to ``routes``; arrays of shape (n_events,), one row per event of the file.

        Raises
        ------
        InputError
            If the run has no such tube, or the file cannot be read, preprocessed or gated.
        """
        row = self._row(sample)
        panel = load_panel(self._panel_path(row))
        override = override_of(Path(self.directory), row.sample) if row.sample in self.samples else None
        return gated_from_fcs(
            row,
            None,
            panel=panel,
            config=self.config,
            transforms=self._learned(panel.name, "transform.json"),
            spillover=self._spillover(panel.name),
            thresholds=self._learned(panel.name, "gates.json"),
            override=None if override is None else Path(self.directory) / override,
            base=self._files.sheet.parent,
        )

    def judge(self, sample: Sample | str, tube: Tube | None = None) -> Tube:
        """A tube with its leukaemic cells and the classification, as the run judges it.

        Parameters
        ----------
        sample
            As for :meth:`gated`.
        tube
            The tube as :meth:`gated` returned it, where that has been done; else it is read first.

        Returns
        -------
        Tube
            As :func:`flowmrd.classify_tube` returns it.

        Raises
        ------
        ArtefactError
            If the run has no reference of the tube's panel, or a file of it was altered.
        """
        row = self._row(sample)
        tube = self.gated(row) if tube is None else tube
        return classify_loaded(
            tube,
            patient=row.patient,
            prior_therapy=row.prior_therapy,
            reference_json=self._reference_json(tube.panel.name),
            laip_json=self._laip_json(row.patient, tube.panel.name),
            library_json=stored_library(Path(self.directory), self.config),
            decisions_json=decisions_file(Path(self.directory), self.config),
            config=self.config,
        )

    def quantify(self, tube: Tube, sample: Sample | None = None) -> MrdResult:
        """Counts, intervals, limits and verdict of a judged tube, with the reviewers' calls of the run's log.

        Parameters
        ----------
        tube
            As :meth:`judge` returned it.
        sample
            The tube's row, where it is not a tube of the run.

        Returns
        -------
        MrdResult
            For a tube of the run the content of its ``mrd.json``.
        """
        row = self._row(sample or tube.name)
        digests = digests_of(
            self.config,
            self._panel_path(row),
            self._reference_json(tube.panel.name),
            self._laip_json(row.patient, tube.panel.name),
        )
        return count_with_review(tube, self.config, sample=row, digests=digests, run_directory=Path(self.directory))[1]

    def _row(self, sample: Sample | str) -> Sample:
        return sample if isinstance(sample, Sample) else self._files.sample(sample)

    def _panel_path(self, row: Sample) -> Path:
        return self._files.panel_path(row.panel or self.config.panel)

    def _learned(self, panel: str, name: str) -> Path | None:
        """A file that was learned from the controls, of this run or of the stored reference; None without one."""
        folder = stored_reference(Path(self.directory), self.config, panel)
        path = self._files.reference(panel, name) if folder is None else folder / name
        return path if path.is_file() else None

    def _reference_json(self, panel: str) -> Path:
        path = self._learned(panel, "reference.json")
        if path is None:
            raise ArtefactError(
                str(self._files.reference(panel, "reference.json")),
                found="no normal reference",
                expected="a finished run with tubes of this panel",
                todo="run 'flowmrd run' first, or give a tube of a panel that the run has",
            )
        return path

    def _spillover(self, panel: str) -> Path | None:
        """The matrix that the run made from its single-stain tubes, where its configuration asks for it."""
        section = self.config.compensation
        path = self._files.reference(panel, "spillover.csv")
        return path if section != "none" and section.source == "controls" and path.is_file() else None

    def _laip_json(self, patient: str, panel: str) -> Path | None:
        """``laip.json`` of a patient whose diagnosis tube was stained with this panel."""
        found = self.laip(patient)
        if found is None or self.panel(found.diagnosis).name != panel:
            return None
        return self._files.laip(patient, "laip.json")
