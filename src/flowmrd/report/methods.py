"""Methods paragraph, its references and the limits of the result, written from the steps that a tube really went
through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from flowmrd.mrd.result import MrdResult
from flowmrd.report import formatting
from flowmrd.report.page_inputs import PageInputs

REFERENCES: Final[Mapping[str, str]] = {
    "logicle": "Parks DR, Roederer M, Moore WA. Cytometry A 2006;69:541-551; "
    "Moore WA, Parks DR. Cytometry A 2012;81:273-277 (logicle scale).",
    "peacoqc": "Emmaneel A et al. Cytometry A 2022;101:325-338 (PeacoQC: robust deviations in stretches of a run).",
    "cherian": "Cherian S et al. Cytometry B 2018;94:112-120 (B lineage without CD19).",
    "garwood": "Garwood F. Biometrika 1936;28:437-442 (exact Poisson interval).",
    "theunissen": "Theunissen P et al. Blood 2017;129:347-357 (cells needed for a sensitivity).",
    "eln": "Gökbuget N et al. Blood 2024;143:1891-1902 (ELN recommendations for adult ALL: classes of MRD response).",
    "westgard": "Westgard JO et al. Clin Chem 1981;27:493-501 (control rules).",
}
"""Sources that the methods paragraph may cite."""


@dataclass(frozen=True)
class Methods:
    """Methods paragraphs, and the references that they cite, in order: the first is number one."""

    paragraphs: list[str]
    references: list[str]


def methods(inputs: PageInputs, *, controls_charted: bool) -> Methods:
    """Methods for a publication or a patient's file, from the steps that were really taken; numbers in brackets are
    references.

    Parameters
    ----------
    controls_charted
        Whether there were enough controls to judge their sequence.
    """
    cited: list[str] = []

    def cite(name: str) -> str:
        if REFERENCES[name] not in cited:
            cited.append(REFERENCES[name])
        return f"[{cited.index(REFERENCES[name]) + 1}]"

    return Methods(_paragraphs(inputs, cite, controls_charted=controls_charted), cited)


def _paragraphs(inputs: PageInputs, cite: Callable[[str], str], *, controls_charted: bool) -> list[str]:
    config, result, qc = inputs.config, inputs.result, inputs.qc
    condition = None if qc is None else qc.compensation.condition
    kinds = sorted({entry.kind for entry in (() if qc is None else qc.transforms.values())} - {"linear"})
    scaled = f" {cite('logicle')}" if "logicle" in kinds else ""
    facts = result.sensitivity
    by_classifier = inputs.classification.n_controls if inputs.classification is not None else 0
    controls = by_classifier or (inputs.reference.n_controls if inputs.reference is not None else 0)
    interval = facts.background_ci95
    span = f" (95 % interval {formatting.number(interval[0])} to {formatting.number(interval[1])})" if interval else ""
    background = (
        f"The background was {formatting.number(facts.background_per_million)} per million{span}, from "
        f"controls judged by "
        "references built without them"
        if facts.background_per_million is not None
        else "No background rate was known"
    )
    spiked = (
        f"recovery of leukaemic cells spiked in silico into the same tube ({facts.spike_in.replicates} replicates)"
        if facts.spike_in is not None
        else "recovery of leukaemic cells spiked in silico into the same tube, which could not be tried"
    )
    return [
        f"FCS data were analysed with flowmrd {result.provenance.flowmrd_version} and the panel {inputs.panel.name} "
        f"version {inputs.panel.version}. No event was deleted; exclusions are masks. "
        f"Compensation: {_compensation_words('' if qc is None else qc.compensation.source)}"
        + (f" (condition number {formatting.number(condition)})" if condition else "")
        + f". Fluorescence was scaled by {' and '.join(kinds) or 'a transform that was not recorded'}{scaled}; "
        "scatter linearly. Events with invalid values"
        + (
            ", events at the margins of scatter and events in stretches of the run with a disturbed signal "
            f"(deviations as in {cite('peacoqc')})"
            if config.quality.time_mask
            else " and events at the margins of scatter"
        )
        + " were not analysed.",
        f"Gates of the panel were placed on all events, the B lineage by CD19 and by routes that need no CD19 "
        f"{cite('cherian')}; {_nucleated(result)}. "
        f"Leukaemic cells were recognised by {_MODE_WORDS.get(result.laip.mode, result.laip.mode)}, against "
        f"{_reference_words(controls)}, and had to form a cluster.",
        f"MRD is the number of clustered events per {result.denominator} cell with its exact Poisson 95 % interval "
        f"{cite('garwood')}. At least {config.mrd.min_detect_events} events count as detected and "
        f"{config.mrd.min_quantify_events} as quantifiable. {background}. The limit of detection is the smallest rate "
        f"found with {formatting.percent(config.mrd.power)} probability at a limit of blank of "
        f"{formatting.percent(config.mrd.alpha)}; it depends on "
        f"the number of cells {cite('theunissen')}. A negative result needs a limit of detection at or below "
        f"{formatting.level(facts.target, 1)} and {spiked}. Classes follow ELN 2024 {cite('eln')}"
        + (f"; the controls' sequence was judged by Westgard's rules {cite('westgard')}." if controls_charted else "."),
    ]


def _reference_words(controls: int) -> str:
    """What normal cells were learned from."""
    if controls == 0:
        return "simulated normal marrow, because there were no control marrows"
    return f"a normal reference learned from {controls} control marrow{'' if controls == 1 else 's'}"


def _nucleated(result: MrdResult) -> str:
    """How many nucleated cells there were, as a clause."""
    count = result.counts.nucleated
    if count is None:
        return "nucleated cells could not be gated"
    return f"{formatting.count(count)} nucleated cells were found"


def _compensation_words(source: str) -> str:
    """Where the spillover matrix came from."""
    kind, _, detail = source.partition(":")
    words_for = {
        "file": "the matrix stored in the FCS file",
        "csv": "a matrix supplied by the laboratory",
        "controls": "a matrix computed from single-stain tubes",
        "none": "none, as configured",
    }
    return words_for.get(kind, source or "a source that was not recorded") + (f" ({detail})" if detail else "")


_MODE_WORDS: Final = {
    "patient": "the immunophenotype at diagnosis combined with difference from normal",
    "library": "a library of other patients' leukaemias combined with difference from normal",
    "different_from_normal": "difference from normal alone",
    "none": "no model, because no reference was available",
}


def limitations(inputs: PageInputs) -> list[str]:
    """Limits of what this result can say."""
    lines = [
        "The result describes this tube, not the marrow: sampling, haemodilution and cell loss are not measured by it.",
        "Sensitivity is computed for phenotypes like those known to the reference; a leukaemia that looks "
        "normal in this panel "
        "is not seen.",
        "No nucleic-acid dye: erythroblasts and debris are told apart by scatter and CD45."
        if not any(channel.kind.value == "nucleic_acid" for channel in inputs.panel.channels)
        else "",
        "No diagnosis tube was used for this patient." if inputs.result.laip.mode != "patient" else "",
        "Events in unstable stretches of the run are excluded; the result with them is shown beside it."
        if inputs.config.quality.time_mask
        else "",
    ]
    return [line for line in lines if line]
