"""Response by named, versioned rule sets, with a code for every reason.

Definitions: CR needs marrow blasts below 5 %, no circulating blasts, no extramedullary disease, neutrophils of at least
1.0 and platelets of at least 100 x 10⁹/L without transfusion; CRi is the same without full recovery of either count;
MLFS needs no recovery; PR is 5 to 25 % blasts with a decrease of at least half (ELN recommendations for adult ALL,
Gökbuget et al., Blood 2024; NCI tables). The protocol of ChiCTR2400093987 asks for blasts below 5 %, haematological
recovery and no extramedullary disease; its public text gives no count limits, so the ELN ones are used.

A measurement that is missing never makes a response better: where it decides, the class is NE with a code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from flowmrd.errors import ConfigError
from flowmrd.trial.tables import Patient

Because = Callable[[str, str], None]
"""Notes a reason: code and sentence."""


@dataclass(frozen=True)
class RuleSet:
    """Thresholds of one version of one definition. Counts in 10⁹/L, blasts in percent."""

    name: str
    source: str
    blasts_below: float
    neutrophils_min: float
    platelets_min: float
    untransfused: bool
    circulating_blasts_required: bool
    partial_below: float
    partial_decrease: float
    relapse_blasts_from: float


RULE_SETS: Final = {
    rules.name: rules
    for rules in (
        RuleSet(
            name="chictr2400093987-1",
            source="ChiCTR2400093987 (blasts, recovery, extramedullary disease); count limits of ELN ALL 2024",
            blasts_below=5,
            neutrophils_min=1.0,
            platelets_min=100,
            untransfused=True,
            circulating_blasts_required=False,
            partial_below=25,
            partial_decrease=0.5,
            relapse_blasts_from=5,
        ),
        RuleSet(
            name="eln-all-2024-1",
            source="ELN adult ALL 2024 (Gökbuget et al., Blood 2024)",
            blasts_below=5,
            neutrophils_min=1.0,
            platelets_min=100,
            untransfused=True,
            circulating_blasts_required=True,
            partial_below=25,
            partial_decrease=0.5,
            relapse_blasts_from=5,
        ),
    )
}


class Code(BaseModel):
    """One reason: a stable code and a sentence."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$")
    message: str


class Response(BaseModel):
    """Response of one patient."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    klass: str = Field(alias="class", pattern="^(CR|CRi|MLFS|PR|NR|NE)$")
    reasons: tuple[Code, ...]

    @property
    def remission(self) -> bool:
        """CR or CRi."""
        return self.klass in ("CR", "CRi")


def rule_set(name: str) -> RuleSet:
    """The rule set of that name.

    Raises
    ------
    ConfigError
        Where there is none.
    """
    if name not in RULE_SETS:
        near = get_close_matches(name, RULE_SETS, n=1)
        raise ConfigError(
            "config.yaml, trial.rules",
            found=repr(name[:80]),
            expected=f"one of {', '.join(RULE_SETS)}",
            todo=f"did you mean {near[0]}?" if near else "choose one of them",
        )
    return RULE_SETS[name]


def classify(patient: Patient, rules: RuleSet) -> Response:
    """Response of a patient by a rule set."""
    reasons: list[Code] = []

    def because(code: str, message: str) -> None:
        reasons.append(Code(code=code, message=message))

    klass = _classify(patient, rules, because)
    reported = patient.response_reported
    if reported is not None and reported != klass:
        because("DIFFERS_FROM_REPORTED", f"The investigator reported {reported}; the rule set gives {klass}.")
    return Response(**{"class": klass}, reasons=tuple(reasons))


def _classify(p: Patient, rules: RuleSet, because: Because) -> str:
    if p.blasts is None:
        because("NO_ASSESSMENT", "No marrow was assessed after treatment.")
        return "NE"
    if p.extramedullary:
        because("EXTRAMEDULLARY_DISEASE", "Extramedullary disease is present.")
    if p.circulating_blasts:
        because("CIRCULATING_BLASTS", "Blasts circulate in the blood.")
    if p.blasts >= rules.blasts_below:
        because("BLASTS_NOT_BELOW_LIMIT", f"{p.blasts:g} % marrow blasts; CR needs less than {rules.blasts_below:g} %.")
        return _partial(p, p.blasts, rules, because)
    if p.extramedullary or p.circulating_blasts:
        return "NR"
    if p.extramedullary is None:
        because("EXTRAMEDULLARY_UNKNOWN", "Extramedullary disease was not recorded as present or absent.")
        return "NE"
    if p.circulating_blasts is None and rules.circulating_blasts_required:
        because("CIRCULATING_BLASTS_UNKNOWN", "Circulating blasts were not recorded as present or absent.")
        return "NE"
    because("BLASTS_BELOW_LIMIT", f"{p.blasts:g} % marrow blasts, below {rules.blasts_below:g} %.")
    return _recovery(p, rules, because)


def _recovery(p: Patient, rules: RuleSet, because: Because) -> str:
    if p.neutrophils is None or p.platelets is None:
        missing = [
            name for name, value in (("neutrophils", p.neutrophils), ("platelets", p.platelets)) if value is None
        ]
        because("COUNTS_MISSING", f"No count of {' and '.join(missing)}: recovery cannot be judged.")
        return "NE"
    short_neutrophils = p.neutrophils < rules.neutrophils_min
    short_platelets = p.platelets < rules.platelets_min
    if short_neutrophils:
        because("NEUTROPHILS_NOT_RECOVERED", f"{p.neutrophils:g} x 10⁹/L, below {rules.neutrophils_min:g}.")
    if short_platelets:
        because("PLATELETS_NOT_RECOVERED", f"{p.platelets:g} x 10⁹/L, below {rules.platelets_min:g}.")
    elif rules.untransfused and p.platelet_transfusion:
        because("PLATELETS_TRANSFUSED", "The platelet count was reached with transfusion.")
        short_platelets = True
    if short_neutrophils and short_platelets:
        return "MLFS"
    if short_neutrophils or short_platelets:
        return "CRi"
    because("RECOVERED", "Neutrophils and platelets have recovered.")
    return "CR"


def _partial(p: Patient, blasts: float, rules: RuleSet, because: Because) -> str:
    if p.extramedullary or p.circulating_blasts or blasts > rules.partial_below:
        return "NR"
    if p.baseline_blasts is None:
        because("BASELINE_MISSING", "No marrow blasts before treatment: a partial response cannot be told.")
        return "NR"
    if p.baseline_blasts > 0 and blasts <= p.baseline_blasts * (1 - rules.partial_decrease):
        because("BLASTS_HALVED", f"From {p.baseline_blasts:g} % to {blasts:g} %.")
        return "PR"
    return "NR"


def relapse_reasons(p: Patient, rules: RuleSet) -> tuple[Code, ...]:
    """Whether a recorded relapse meets the rule set; it is counted either way, and a doubt is shown."""
    if p.relapse is None or p.relapse_site == "extramedullary":
        return ()
    if p.relapse_site is None:
        return (Code(code="RELAPSE_SITE_MISSING", message="The site of the relapse is not recorded."),)
    if p.relapse_site == "blood" or (p.relapse_blasts or 0) >= rules.relapse_blasts_from:
        return ()
    if p.relapse_blasts is None:
        return (Code(code="RELAPSE_BLASTS_MISSING", message="A marrow relapse without its blast percentage."),)
    return (
        Code(
            code="RELAPSE_BELOW_LIMIT",
            message=f"{p.relapse_blasts:g} % marrow blasts at relapse; the rule asks for "
            f"{rules.relapse_blasts_from:g} %.",
        ),
    )
