"""Stage ``validate``: performance of the assay in this laboratory's tubes, as ``validation.json`` and ``report.html``.

Reads the reference and the LAIPs of a finished run; no tube is read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flowmrd import __version__
from flowmrd.classifier.judge_tube import markers_after
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.storage import load_laip, load_reference
from flowmrd.compare.comparison import Comparison
from flowmrd.compare.tables import RUN_TABLE, read_rows
from flowmrd.config import RunConfig
from flowmrd.errors import ArtefactError, counted
from flowmrd.panel import PanelModel
from flowmrd.records.read import checked, read_if_there, read_record
from flowmrd.records.references import LaipFile
from flowmrd.records.validation import ValidationFile
from flowmrd.report.language import language
from flowmrd.report.page import write_page
from flowmrd.report.validation_page import render
from flowmrd.store import write_json
from flowmrd.validate.dilution import dilute
from flowmrd.validate.figures import figures
from flowmrd.validate.kinds import kinds_of
from flowmrd.validate.series import MeasuredValidation, judge_series, read_rules, read_series

__all__ = ["validate"]


def validate(
    *,
    reference_json: Path,
    laip_json: Sequence[Path],
    panel: PanelModel,
    config: RunConfig,
    out_json: Path,
    out_html: Path,
    measured: MeasuredValidation | None = None,
    comparison: Comparison | None = None,
) -> None:
    """Dilute every leukaemia into every control, and write the report.

    Parameters
    ----------
    measured
        Figures of measured series, for the page and ``measured.json`` beside it.
    comparison
        Agreement with another method, for the page.

    Raises
    ------
    ArtefactError
        If the run has no control tubes or no diagnosis tube with a phenotype: there is nothing to validate.
    """
    reference = load_reference(reference_json)
    laips = [laip for path in sorted(laip_json) if (laip := load_laip(path).laip) is not None]
    if reference.provisional or len(reference.controls) < 2:
        raise ArtefactError(
            str(reference_json),
            found="no reference made from control tubes",
            expected="at least 2 control tubes",
            todo="add control tubes to the sample sheet and run again",
        )
    if not laips:
        raise ArtefactError(
            "results/laip",
            found="no phenotype",
            expected="at least one diagnosis tube with leukaemic cells",
            todo="add diagnosis tubes to the sample sheet and run again",
        )
    parameters = ClassifierParameters(
        background_per_million=config.laip.background_per_million,
        target=config.mrd.target,
        detect_events=config.mrd.min_detect_events,
        shifted=markers_after(panel, frozenset({"steroid"})),
        seed=config.laip.seed,
    )
    found = figures(
        dilute(reference, laips, parameters),
        detect_events=parameters.detect_events,
        kinds=dict(_kinds(path) for path in laip_json),
    )
    warnings = []
    if len(reference.controls) < 5:
        warnings.append(f"Only {len(reference.controls)} control tubes: intervals are wide.")
    if len(laips) < 5:
        warnings.append(f"Only {counted(len(laips), 'diagnosis tube')}: other leukaemias may behave differently.")
    head = {"format": "flowmrd-validation/1", "panel": panel.name, "warnings": warnings}
    write_json(out_json, checked(head | found.model_dump(mode="json", by_alias=True), ValidationFile))
    page = render(
        found,
        detect_events=parameters.detect_events,
        target=parameters.target,
        warnings=warnings,
        panel=panel.name,
        version=__version__,
        measured=measured,
        comparison=comparison,
        language=language(config.report.language),
    )
    if measured is not None:
        write_json(out_json.with_name("measured.json"), measured.model_dump(mode="json"))
    write_page(out_html, page)


def _kinds(laip_json: Path) -> tuple[str, tuple[str, ...]]:
    """A patient, and the kinds of aberrancy of the leukaemia."""
    laip = read_record(laip_json, LaipFile)
    kinds = kinds_of(laip.components, indistinct=bool(laip.indistinct)) if laip.found else ()
    return laip.patient, kinds


def measured_series(run_directory: Path, rules: Path | None) -> MeasuredValidation | None:
    """Figures of the series that ``config/validation.tsv`` names; ``None`` where there is no such table.

    Parameters
    ----------
    rules
        Acceptance limits; ``config/validation_rules.yaml`` of the run where it exists and nothing is given.
    """
    table = run_directory / "config/validation.tsv"
    if not table.is_file():
        return None
    own = run_directory / "config/validation_rules.yaml"
    chosen = rules or (own if own.is_file() else None)
    fractions = {
        row["sample"]: float(row["fraction"])
        for _, row in read_rows(run_directory / RUN_TABLE)
        if row.get("fraction") and row["verdict"] != "NOT_EVALUABLE"
    }
    return judge_series(read_series(table, fractions), None if chosen is None else read_rules(chosen))


def comparison_of(run_directory: Path) -> Comparison | None:
    """The comparison with another method that ``flowmrd compare`` left in a run, if it did."""
    return read_if_there(run_directory / "results/compare/agreement.json", Comparison)
