"""Writing a simulated cohort as a run directory: FCS files, truth, configuration, sample sheet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flowmrd.errors import ConfigError
from flowmrd.fcs.writer import ChannelSpec, write_fcs
from flowmrd.panel.model import ChannelKind, PanelModel
from flowmrd.records.read import read_record
from flowmrd.records.simulation import SimulatedTubeEntry, SimulationFile
from flowmrd.simulate.cytometer import RANGE, TIMESTEP, Cytometer
from flowmrd.simulate.design import TubePlan, tube_seed
from flowmrd.simulate.populations import Code
from flowmrd.simulate.tube import SimulatedTube, detectors_of, simulate_tube
from flowmrd.store import atomic_path, digest_file, write_columns, write_json, write_text

MANIFEST = "simulation.json"
_SHEET_COLUMNS = ("sample", "patient", "role", "fcs", "timepoint", "prior_therapy", "batch", "stain")


@dataclass(frozen=True)
class SimulatedCohort:
    """Place of a simulated cohort, and the true content of its tubes."""

    run_directory: Path
    manifest: SimulationFile

    @property
    def sheet(self) -> Path:
        """Sample sheet of the run directory."""
        return self.run_directory / "config" / "samples.tsv"


def spillover_keyword(cytometer: Cytometer) -> str:
    """Text of ``$SPILLOVER`` for a cytometer (FCS 3.1, section 3.3: n, names, matrix by rows)."""
    names = [detector.pnn for detector in cytometer.fluorescence]
    values = [format(float(value), ".6g") for value in cytometer.spill.ravel()]
    return ",".join([str(len(names)), *names, *values])


def write_tube(path: Path, tube: SimulatedTube, *, order: int = 0) -> None:
    """Write a tube as FCS 3.1 float32 and its truth beside it as ``<stem>.truth.arrow``, both atomically.

    Parameters
    ----------
    path
        Path of the FCS file.
    tube
        A tube from :func:`flowmrd.simulate_tube`.
    order
        Place of the tube in the acquisition order; sets date and time keywords.
    """
    channels = []
    for detector in detectors_of(tube):
        if detector.kind is ChannelKind.TIME:
            channels.append(ChannelSpec("Time", "", int(RANGE)))
        else:
            marker = detector.marker if detector.dye is not None else ""
            channels.append(ChannelSpec(detector.pnn, marker, int(RANGE), 1.0, detector.voltage))
    columns = [tube.columns[detector.pnn] for detector in detectors_of(tube)]
    seconds = 8 * 3600 + (order % 40) * 900
    duration = int(columns[-1][-1] * TIMESTEP) if "Time" in tube.columns and tube.n_events else 0
    keywords = {
        "$CYT": "flowmrd simulator",
        "$CYTSN": "SIM1",
        "$DATE": f"{order // 40 % 28 + 1:02d}-JAN-2024",
        "$BTIM": _clock(seconds),
        "$ETIM": _clock(seconds + duration),
        "$TIMESTEP": f"{TIMESTEP:g}",
        "$SPILLOVER": spillover_keyword(tube.cytometer),
        "CST SETUP STATUS": "SUCCESS",
    }
    with atomic_path(path) as temporary:
        write_fcs(temporary, columns, channels, keywords)
    codes = {int(code): code.name.lower() for code in Code}
    write_columns(truth_path(path), tube.truth, {"populations": json.dumps(codes)})


def truth_path(fcs: Path) -> Path:
    """Truth file of a simulated FCS file. The pipeline never reads it."""
    return fcs.with_name(f"{fcs.stem}.truth.arrow")


def _clock(seconds: int) -> str:
    return f"{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def simulate_cohort(
    run_directory: Path,
    design: Sequence[TubePlan],
    seed: int,
    panel: PanelModel,
    *,
    label: str = "custom",
    settings: str = "",
) -> SimulatedCohort:
    """Write a run directory that is ready for ``flowmrd run``.

    Files that exist already and would be the same are left untouched, so that a workflow does not run again.

    Parameters
    ----------
    design
        Tubes in acquisition order.
    label
        Name of the design in the manifest.
    settings
        Further lines of the configuration.

    Raises
    ------
    ConfigError
        If the run directory holds a configuration that was not written by the simulator.
    PanelError
        If the panel has a marker unknown to the simulator.
    """
    manifest_path = run_directory / MANIFEST
    config = run_directory / "config" / "config.yaml"
    if config.exists() and not manifest_path.exists():
        raise ConfigError(
            str(config),
            found="a configuration that was not simulated",
            expected="a new or simulated run directory",
            todo="choose another directory; simulated tubes never replace real ones",
        )
    before = read_record(manifest_path, SimulationFile).tubes if manifest_path.exists() else {}
    tubes: dict[str, SimulatedTubeEntry] = {}
    specimens = ("specimen_id",) if any(plan.specimen for plan in design) else ()
    rows = ["\t".join((*_SHEET_COLUMNS, *specimens))]
    code = _code_digest()
    for order, plan in enumerate(design):
        fcs = run_directory / "fcs" / f"{plan.sample}.fcs"
        recipe = f"{plan!r} {seed} {panel.model_dump_json()} {code}"
        known = before.get(plan.sample)
        if known and known.recipe == _digest(recipe) and _untouched(fcs, known):
            tubes[plan.sample] = known
        else:
            tube = simulate_tube(plan.spec, panel, tube_seed(seed, plan.sample))
            write_tube(fcs, tube, order=order)
            tubes[plan.sample] = SimulatedTubeEntry(
                recipe=_digest(recipe),
                patient=plan.patient,
                role=plan.role.value,
                level=plan.spec.level if plan.spec.leukaemia is not None else 0.0,
                events=tube.n_events,
                nucleated=tube.nucleated,
                mrd_events=tube.mrd_events,
                sha256=digest_file(fcs),
                truth_sha256=digest_file(truth_path(fcs)),
            )
        batch = "sim1"
        values = (plan.sample, plan.patient, plan.role.value, f"../fcs/{fcs.name}", plan.timepoint)
        rows.append(
            "\t".join((*values, plan.prior_therapy.value, batch, plan.stain, *(plan.specimen for _ in specimens)))
        )
    manifest = SimulationFile(design=label, seed=seed, panel=panel.name, tubes=tubes)
    _write_if_new(run_directory / "config" / "samples.tsv", "\n".join(rows) + "\n")
    _write_if_new(config, f"panel: {panel.name}\nsamples: config/samples.tsv\n{settings}")
    write_json(manifest_path, manifest.model_dump(mode="json"))
    return SimulatedCohort(run_directory, manifest)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _code_digest() -> str:
    """Digest of the simulator itself, so that tubes of an older simulator are written again."""
    return _digest("".join(digest_file(path) for path in sorted(Path(__file__).parent.glob("*.py"))))


def _untouched(fcs: Path, known: SimulatedTubeEntry) -> bool:
    truth = truth_path(fcs)
    return (
        fcs.is_file()
        and truth.is_file()
        and digest_file(fcs) == known.sha256
        and digest_file(truth) == known.truth_sha256
    )


def _write_if_new(path: Path, text: str) -> None:
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
