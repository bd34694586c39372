"""Response classes by rule set, one promise a test."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flowmrd.errors import ConfigError
from flowmrd.trial.response import classify, relapse_reasons, rule_set
from flowmrd.trial.tables import Patient

PROTOCOL = rule_set("chictr2400093987-1")
ELN = rule_set("eln-all-2024-1")
BASE = Patient(
    patient="P1",
    last_contact=200,
    alive=True,
    first_dose=1,
    baseline_blasts=60,
    response_day=22,
    blasts=1.0,
    circulating_blasts=False,
    extramedullary=False,
    neutrophils=1.5,
    platelets=120,
)

CASES = [
    ({}, "CR", "RECOVERED"),
    ({"blasts": 4.9}, "CR", "BLASTS_BELOW_LIMIT"),
    ({"blasts": 5.0}, "PR", "BLASTS_NOT_BELOW_LIMIT"),
    ({"blasts": 25.0}, "PR", "BLASTS_HALVED"),
    ({"blasts": 25.1}, "NR", "BLASTS_NOT_BELOW_LIMIT"),
    ({"blasts": 20.0, "baseline_blasts": 30.0}, "NR", "BLASTS_NOT_BELOW_LIMIT"),
    ({"blasts": 20.0, "baseline_blasts": None}, "NR", "BASELINE_MISSING"),
    ({"neutrophils": 0.99}, "CRi", "NEUTROPHILS_NOT_RECOVERED"),
    ({"neutrophils": 1.0, "platelets": 100.0}, "CR", "RECOVERED"),
    ({"platelets": 99.0}, "CRi", "PLATELETS_NOT_RECOVERED"),
    ({"platelet_transfusion": True}, "CRi", "PLATELETS_TRANSFUSED"),
    ({"neutrophils": 0.4, "platelets": 30.0}, "MLFS", "PLATELETS_NOT_RECOVERED"),
    ({"extramedullary": True}, "NR", "EXTRAMEDULLARY_DISEASE"),
    ({"circulating_blasts": True}, "NR", "CIRCULATING_BLASTS"),
    ({"neutrophils": None}, "NE", "COUNTS_MISSING"),
    ({"platelets": None}, "NE", "COUNTS_MISSING"),
    ({"extramedullary": None}, "NE", "EXTRAMEDULLARY_UNKNOWN"),
    ({"blasts": None, "response_day": None}, "NE", "NO_ASSESSMENT"),
]


@pytest.mark.parametrize(("changes", "klass", "code"), CASES)
def test_every_response_follows_the_rule_and_gives_its_reason(
    changes: dict[str, object], klass: str, code: str
) -> None:
    found = classify(replace(BASE, **changes), PROTOCOL)  # type: ignore[arg-type]
    assert found.klass == klass
    assert code in [reason.code for reason in found.reasons]


def test_unknown_circulating_blasts_matter_only_where_the_rule_set_asks() -> None:
    unknown = replace(BASE, circulating_blasts=None)
    assert classify(unknown, PROTOCOL).klass == "CR"
    assert classify(unknown, ELN).klass == "NE"


def test_reported_response_that_differs_is_shown_and_does_not_decide() -> None:
    found = classify(replace(BASE, neutrophils=0.2, platelets=20, response_reported="CR"), PROTOCOL)
    assert found.klass == "MLFS"
    assert "DIFFERS_FROM_REPORTED" in [reason.code for reason in found.reasons]


def test_unknown_rule_set_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean eln-all-2024-1"):
        rule_set("eln-all-2024")


@pytest.mark.parametrize(
    ("site", "blasts", "codes"),
    [
        ("marrow", 12.0, []),
        ("marrow", 4.0, ["RELAPSE_BELOW_LIMIT"]),
        ("marrow", None, ["RELAPSE_BLASTS_MISSING"]),
        ("extramedullary", None, []),
        (None, None, ["RELAPSE_SITE_MISSING"]),
    ],
)
def test_relapse_that_does_not_meet_the_rule_is_shown(site: str | None, blasts: float | None, codes: list[str]) -> None:
    patient = replace(BASE, relapse=100, relapse_site=site, relapse_blasts=blasts)
    assert [code.code for code in relapse_reasons(patient, PROTOCOL)] == codes
