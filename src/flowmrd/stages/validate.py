"""Stage ``validate``: what this laboratory's tubes allow, as ``validation.json`` and ``report.html``.

Reads the reference and the LAIPs of a finished run; no tube is read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flowmrd import __version__
from flowmrd.classifier.judge_tube import markers_after
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.classifier.storage import load_laip, load_reference
from flowmrd.config import RunConfig
from flowmrd.errors import ArtefactError
from flowmrd.panel import PanelModel
from flowmrd.report.page import write_page
from flowmrd.report.validation import render
from flowmrd.store import read_json, write_json
from flowmrd.validate import dilute, figures, kinds_of

__all__ = ["validate"]


def validate(
    *,
    reference_json: Path,
    laip_json: Sequence[Path],
    panel: PanelModel,
    config: RunConfig,
    out_json: Path,
    out_html: Path,
) -> None:
    """Dilute every diagnosis into every control and report.

    Raises
    ------
    ArtefactError
        If the run has no control tubes or no diagnosis tube with a phenotype: there is nothing to validate.
    """
    reference = load_reference(reference_json)
    laips = [laip for laip in (load_laip(path) for path in sorted(laip_json)) if laip is not None]
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
        warnings.append(f"Only {len(laips)} diagnosis tube(s): other leukaemias may behave differently.")
    write_json(out_json, {"format": "flowmrd-validation/1", "panel": panel.name, "warnings": warnings, **found})
    page = render(
        found,
        detect_events=parameters.detect_events,
        target=parameters.target,
        warnings=warnings,
        panel=panel.name,
        version=__version__,
    )
    write_page(out_html, page)


def _kinds(laip_json: Path) -> tuple[str, tuple[str, ...]]:
    """A patient, and in which ways the leukaemia is aberrant."""
    facts = read_json(laip_json)
    kinds = kinds_of(facts["components"], indistinct=bool(facts["indistinct"])) if facts.get("found") else ()
    return str(facts["patient"]), kinds
