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
from flowmrd.flags import Flag, flag
from flowmrd.trial.tables import Patient

Because = Callable[[Flag], None]
"""Function that notes a reason."""


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


class Response(BaseModel):
    """Response of one patient."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    klass: str = Field(alias="class", pattern="^(CR|CRi|MLFS|PR|NR|NE)$")
    reasons: tuple[Flag, ...]

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
    reasons: list[Flag] = []
    klass = _classify(patient, rules, reasons.append)
    reported = patient.response_reported
    if reported is not None and reported != klass:
        reasons.append(flag("DIFFERS_FROM_REPORTED", reported=reported, found=klass))
    return Response(**{"class": klass}, reasons=tuple(reasons))


def _classify(p: Patient, rules: RuleSet, because: Because) -> str:
    if p.blasts is None:
        because(flag("NO_ASSESSMENT"))
        return "NE"
    if p.extramedullary:
        because(flag("EXTRAMEDULLARY_DISEASE"))
    if p.circulating_blasts:
        because(flag("CIRCULATING_BLASTS"))
    if p.blasts >= rules.blasts_below:
        because(flag("BLASTS_NOT_BELOW_LIMIT", blasts=p.blasts, limit=rules.blasts_below))
        return _partial(p, p.blasts, rules, because)
    if p.extramedullary or p.circulating_blasts:
        return "NR"
    if p.extramedullary is None:
        because(flag("EXTRAMEDULLARY_UNKNOWN"))
        return "NE"
    if p.circulating_blasts is None and rules.circulating_blasts_required:
        because(flag("CIRCULATING_BLASTS_UNKNOWN"))
        return "NE"
    because(flag("BLASTS_BELOW_LIMIT", blasts=p.blasts, limit=rules.blasts_below))
    return _recovery(p, rules, because)


def _recovery(p: Patient, rules: RuleSet, because: Because) -> str:
    if p.neutrophils is None or p.platelets is None:
        missing = [
            name for name, value in (("neutrophils", p.neutrophils), ("platelets", p.platelets)) if value is None
        ]
        because(flag("COUNTS_MISSING", missing=" and ".join(missing)))
        return "NE"
    short_neutrophils = p.neutrophils < rules.neutrophils_min
    short_platelets = p.platelets < rules.platelets_min
    if short_neutrophils:
        because(flag("NEUTROPHILS_NOT_RECOVERED", count=p.neutrophils, limit=rules.neutrophils_min))
    if short_platelets:
        because(flag("PLATELETS_NOT_RECOVERED", count=p.platelets, limit=rules.platelets_min))
    elif rules.untransfused and p.platelet_transfusion:
        because(flag("PLATELETS_TRANSFUSED"))
        short_platelets = True
    if short_neutrophils and short_platelets:
        return "MLFS"
    if short_neutrophils or short_platelets:
        return "CRi"
    because(flag("RECOVERED"))
    return "CR"


def _partial(p: Patient, blasts: float, rules: RuleSet, because: Because) -> str:
    if p.extramedullary or p.circulating_blasts or blasts > rules.partial_below:
        return "NR"
    if p.baseline_blasts is None:
        because(flag("BASELINE_MISSING"))
        return "NR"
    if p.baseline_blasts > 0 and blasts <= p.baseline_blasts * (1 - rules.partial_decrease):
        because(flag("BLASTS_HALVED", before=p.baseline_blasts, after=blasts))
        return "PR"
    return "NR"


def relapse_reasons(p: Patient, rules: RuleSet) -> tuple[Flag, ...]:
    """Reasons why a recorded relapse may not meet the rule set; it is counted either way, and a doubt is shown."""
    if p.relapse is None or p.relapse_site == "extramedullary":
        return ()
    if p.relapse_site is None:
        return (flag("RELAPSE_SITE_MISSING"),)
    if p.relapse_site == "blood" or (p.relapse_blasts or 0) >= rules.relapse_blasts_from:
        return ()
    if p.relapse_blasts is None:
        return (flag("RELAPSE_BLASTS_MISSING"),)
    return (flag("RELAPSE_BELOW_LIMIT", blasts=p.relapse_blasts, limit=rules.relapse_blasts_from),)
