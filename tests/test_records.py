"""Typed artefacts: nothing unknown is written or read, and an error names the field and never its value."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from flowmrd.cli.generated import ARTEFACTS
from flowmrd.errors import ArtefactError, InternalError
from flowmrd.home import REPOSITORY
from flowmrd.records.read import checked, read_if_there, read_record
from flowmrd.records.run import DigestEntry, FailureFile, ManifestFile

FAILURE = {
    "stage": "ingest", "unit": "P01", "what": "it is cut short", "where": "P01.fcs", "todo": "copy it again",
    "exit_code": 2, "lasting": True, "fingerprint": "",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(ARTEFACTS))
def test_every_part_of_every_artefact_is_frozen_and_takes_no_unknown_field(name: str) -> None:
    waiting, seen = [ARTEFACTS[name][0]], set()
    while waiting:
        model = waiting.pop()
        if model in seen:
            continue
        seen.add(model)
        assert model.model_config.get("extra") == "forbid", model
        assert model.model_config.get("frozen"), model
        for field in model.model_fields.values():
            kinds = [field.annotation]
            while kinds:
                kind = kinds.pop()
                kinds += getattr(kind, "__args__", ())
                if isinstance(kind, type) and issubclass(kind, BaseModel):
                    waiting.append(kind)
    schema = yaml.safe_load((REPOSITORY / f"workflow/schemas/{name}.schema.yaml").read_text(encoding="utf-8"))
    assert schema["additionalProperties"] is False


def test_a_file_with_a_field_that_does_not_fit_is_refused_by_the_name_of_the_field(tmp_path: Path) -> None:
    path = tmp_path / "P01.error.json"
    for change, named in (({"exit_code": "MUSTERMANN"}, "exit_code"), ({"patient_name": "MUSTERMANN"}, "patient_name")):
        path.write_text(json.dumps(FAILURE | change), encoding="utf-8")
        with pytest.raises(ArtefactError, match=named) as error:
            read_record(path, FailureFile)
        assert "MUSTERMANN" not in str(error.value)
        assert error.value.exit_code == 2


def test_a_missing_record_is_none_and_a_sound_one_is_read(tmp_path: Path) -> None:
    path = tmp_path / "P01.error.json"
    assert read_if_there(path, FailureFile) is None
    assert read_if_there(None, FailureFile) is None
    path.write_text(json.dumps(FAILURE), encoding="utf-8")
    assert read_record(path, FailureFile).exit_code == 2


def test_a_stage_cannot_write_what_its_model_does_not_describe() -> None:
    good = {"format": "flowmrd-manifest/1", "files": {"a.json": {"sha256": "0" * 64, "bytes": 1}}}
    assert checked(good, ManifestFile) is good
    with pytest.raises(InternalError, match=r"ManifestFile does not describe what is written: tubes"):
        checked(good | {"tubes": []}, ManifestFile)
    with pytest.raises(InternalError, match="sha256"):
        checked({"sha256": "short", "bytes": 1}, DigestEntry)
