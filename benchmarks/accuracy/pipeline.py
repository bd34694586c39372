"""The stages of a run, called in this process by the same commands that a run uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import process_time

from flowmrd.cli.app import call
from flowmrd.errors import InternalError
from flowmrd.store import write_text

REFUSED = 2
"""Exit code of a command whose input is refused."""


class RefusedError(InternalError):
    """The product refuses a tube of a benchmark, with a reason."""


@dataclass(frozen=True)
class Pipeline:
    """Stage commands on one run directory."""

    run: Path
    panel: str
    controls: tuple[str, ...]

    @property
    def reference(self) -> Path:
        """Folder of the panel's reference."""
        return self.run / "results" / "reference" / self.panel

    def prepare(self, rows: Sequence[Sequence[str]]) -> None:
        """Make the run directory: sheet (header first), configuration, folder of FCS files."""
        config = self.run / "config"
        write_text(config / "samples.tsv", "".join("\t".join(row) + "\n" for row in rows))
        write_text(config / "config.yaml", f"panel: {self.panel}\nsamples: config/samples.tsv\n")
        (self.run / "fcs").mkdir()

    def work(self, sample: str, name: str) -> Path:
        """An intermediate file of a tube."""
        return self.run / "results" / "work" / sample / name

    def result(self, sample: str) -> Path:
        """``mrd.json`` of a tube."""
        return self.run / "results" / "samples" / sample / "mrd.json"

    def laip(self, patient: str) -> Path:
        """``laip.json`` of a patient."""
        return self.run / "results" / "laip" / patient / "laip.json"

    def command(self, *words: str | Path) -> float:
        """Run one stage command and return its processor time in seconds.

        Raises
        ------
        RefusedError
            If the stage refuses the tube.
        InternalError
            If the stage fails.
        """
        start = process_time()
        arguments = [str(word) for word in (*words, "--run", self.run)]
        code = call(arguments)
        if code == REFUSED:
            raise RefusedError(f"'flowmrd {' '.join(arguments)}' refused the tube")
        if code != 0:
            raise InternalError(f"'flowmrd {' '.join(arguments)}' ended with exit code {code}")
        return process_time() - start

    @property
    def _tubes(self) -> list[str]:
        return [word for name in self.controls for word in ("--tube", name)]

    def gate_controls(self) -> None:
        """Take the controls from their files to gated events, scaling and gates learned from all of them."""
        for name in self.controls:
            self.command("ingest", "--sample", name)
        self.command("transform-reference", "--panel", self.panel, *self._tubes)
        for name in self.controls:
            self.command("preprocess", "--sample", name, "--transforms", self.reference / "transform.json")
        self.command("gate-reference", "--panel", self.panel, *self._tubes)
        for name in self.controls:
            self.command("gate", "--sample", name, "--thresholds", self.reference / "gates.json")

    def learn(self) -> float:
        """Reference of the gated controls; processor time in seconds."""
        return self.command("reference", "build", "--panel", self.panel, *self._tubes)

    def gate(self, sample: str) -> None:
        """Take a tube from its file to gated events."""
        self.command("ingest", "--sample", sample)
        self.command("preprocess", "--sample", sample, "--transforms", self.reference / "transform.json")
        self.command("gate", "--sample", sample, "--thresholds", self.reference / "gates.json")

    def learn_laip(self, patient: str, sample: str) -> float:
        """Phenotype of a patient's gated diagnosis tube."""
        normal = self.reference / "reference.json"
        return self.command("laip", "--patient", patient, "--tube", sample, "--reference", normal)

    def judge(self, sample: str, laip: Path | None, library: Sequence[Path] = ()) -> float:
        """Classify and quantify a gated tube."""
        normal: tuple[str | Path, ...] = ("--reference", self.reference / "reference.json")
        own: tuple[str | Path, ...] = () if laip is None else ("--laip", laip)
        others = [word for path in library for word in ("--library", path)]
        seconds = self.command("classify", "--sample", sample, *normal, *own, *others)
        return seconds + self.command("quantify", "--sample", sample, *normal, *own)
