"""The tubes of a run by their use: those from which something is learned, those that are judged, those that go
together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from flowmrd.config import RunConfig, Sample
from flowmrd.config.sheet import Role
from flowmrd.engine.panel_file import PanelFile
from flowmrd.engine.refusals import Refusal
from flowmrd.engine.stage_table import STAGES, Unit
from flowmrd.run_files import override_of
from flowmrd.stages.laboratory_files import stored_reference

__all__ = ["TubesOfRun"]


@dataclass(frozen=True)
class TubesOfRun:
    """The usable tubes of a checked run directory, and the tubes that each job reads."""

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

    def override_of(self, sample: str) -> Path | None:
        """The reviewer's gate override of a tube, relative to the run directory, if there is one."""
        return override_of(self.run_directory, sample)
