"""Results as the pipeline would write them, made without the pipeline."""

from __future__ import annotations

from pathlib import Path

from flowmrd.flags import Flag
from flowmrd.mrd.limits import limits
from flowmrd.mrd.reported import report_level
from flowmrd.mrd.result import (
    Counts,
    Laip,
    Level,
    MrdResult,
    Provenance,
    Sensitivity,
    Verdict,
    VerdictClass,
)
from flowmrd.store import write_json
from flowmrd.trial.reenactment import copy_tables, read_tubes

TARGET = 1e-4


def result(sample: str, patient: str, negative: bool | None, fraction: float = 0.0) -> MrdResult:
    """A minimal but complete ``mrd.json``."""
    level = Level(fraction=fraction, percent=100 * fraction, log10=None, ci95=(0.0, 1e-5))
    klass = {
        True: VerdictClass.NEGATIVE,
        False: VerdictClass.POSITIVE,
        None: VerdictClass.NEGATIVE_INSUFFICIENT_SENSITIVITY,
    }[negative]
    return MrdResult(
        sample=sample,
        patient=patient,
        role="followup",
        timepoint="day21",
        panel="ino10",
        counts=Counts(
            total=400_000,
            analysable=390_000,
            singlets=380_000,
            nucleated=350_000,
            mononuclear=100_000,
            b_lineage=200,
            mrd_events=int(350_000 * fraction),
        ),
        denominator="nucleated",
        mrd=report_level(level, klass, limits(350_000, background=0), int(350_000 * fraction)),
        mrd_without_time_mask=level,
        sensitivity=Sensitivity(
            target=1e-4,
            background_per_million=0.0,
            background_ci95=(0.0, 1.0),
            lob_events=0,
            detect_events=20,
            quantify_events=50,
            lod_nominal=6e-5,
            lod95=8e-5,
            loq=1.8e-4,
            achieved=negative is not None,
            events_needed=278_793,
            spike_in=None,
        ),
        verdict=Verdict(class_=klass, mrd_negative=negative, reasons=(Flag("QUANTIFIED", "Made for a test."),)),
        laip=Laip(mode="none", markers=(), clusters=()),
        targets={},
        provenance=Provenance(
            fcs_sha256="0" * 64,
            config_sha256="0" * 64,
            panel_sha256="0" * 64,
            reference_sha256=None,
            laip_sha256=None,
            flowmrd_version="0",
        ),
    )


def run_after_quantify(folder: Path) -> Path:
    """A run directory after the quantify stage, with the calls an error-free analysis would give."""
    copy_tables(folder)
    rows = ["sample\tpatient\trole\tfcs\ttimepoint"]
    for tube in read_tubes():
        sample = f"{tube.patient}-{tube.timepoint}"
        rows.append(f"{sample}\t{tube.patient}\tfollowup\t{sample}.fcs\t{tube.timepoint}")
        found = result(sample, tube.patient, tube.level < TARGET, tube.level)
        write_json(folder / "results" / "samples" / sample / "mrd.json", found.to_json_dict())
    (folder / "config" / "samples.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "config" / "config.yaml").write_text("panel: ino10\nsamples: config/samples.tsv\n", encoding="utf-8")
    return folder
