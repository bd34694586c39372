"""``review.json`` as the report page saves it. It is read with limits, because it may come from anybody's e-mail.

Fields follow 21 CFR 11.50: the printed name, the date and time, and the meaning of the signature.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
)

from flowmrd.config.sheet import ID_PATTERN
from flowmrd.errors import ReviewError

FORMAT: Final = "flowmrd-review/1"
MAX_FILE_BYTES: Final = 256_000
MAX_COMMENT: Final = 20_000
MAX_NAME: Final = 200
FORBIDDEN_CATEGORIES: Final = {"Cc", "Cs"}
"""Control characters and lone surrogates, which nobody types and which terminals may act on."""


class Decision(StrEnum):
    """Decision of the reviewer."""

    ACCEPT = "accept"
    REJECT = "reject"
    COMMENT = "comment"


def _plain_text(value: str) -> str:
    for character in value:
        if character not in "\n\t\r" and unicodedata.category(character) in FORBIDDEN_CATEGORIES:
            raise ValueError(f"holds the control character U+{ord(character):04X}")
    return value


class GroupOpinion(BaseModel):
    """A signer's call of one group of ``mrd.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    group: int = Field(ge=0, description="Place of the group in the result's list of groups, from 0.")
    call: str = Field(
        max_length=80,
        pattern=r"^(leukaemia|undecided|(normal|artefact)(:[A-Za-z0-9 +._-]+)?)$",
        description="What it is: leukaemia, normal:<population>, artefact:<kind>, or undecided to take a call back.",
    )


class ReviewFile(BaseModel):
    """One signed decision about one ``mrd.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal["flowmrd-review/1"]
    sample: str = Field(pattern=rf"^{ID_PATTERN.pattern}$")
    mrd_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    decision: Literal["accept", "reject", "comment"]
    comment: str = Field(max_length=MAX_COMMENT)
    name: str = Field(min_length=1, max_length=MAX_NAME, description="Printed name of the signer.")
    meaning: str = Field(min_length=1, max_length=MAX_NAME, description="Meaning of the signature, such as review.")
    signed_at: str = Field(max_length=40, description="ISO 8601 date and time with time zone.")
    checklist: list[Annotated[str, Field(max_length=MAX_NAME)]] = Field(
        [], max_length=40, description="Points of the laboratory's checklist that the signer ticked."
    )
    groups: list[GroupOpinion] = Field([], max_length=60, description="What the signer calls the groups of the result.")

    @model_serializer(mode="wrap")
    def _without_empty_lists(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Leave out empty lists, so that logs of versions without checklists and opinions keep their bytes."""
        plain: dict[str, object] = handler(self)
        return {name: value for name, value in plain.items() if value or name not in {"checklist", "groups"}}

    @field_validator("checklist")
    @classmethod
    def _plain_points(cls, value: list[str]) -> list[str]:
        for point in value:
            _plain_text(point)
        return value

    @field_validator("comment", "name", "meaning")
    @classmethod
    def _no_control_characters(cls, value: str) -> str:
        return _plain_text(value)

    @field_validator("name", "meaning")
    @classmethod
    def _one_visible_line(cls, value: str) -> str:
        visible = [c for c in value if not c.isspace() and unicodedata.category(c) not in {"Cf", "Zs"}]
        if not visible or "\n" in value or "\r" in value:
            raise ValueError("must be one line with something to read")
        return value

    @field_validator("signed_at")
    @classmethod
    def _has_time_zone(cls, value: str) -> str:
        if datetime.fromisoformat(value).tzinfo is None:
            raise ValueError("has no time zone")
        return value

    @property
    def decides(self) -> bool:
        """Whether this accepts or rejects; a comment decides nothing."""
        return self.decision != Decision.COMMENT.value

    @property
    def signed(self) -> datetime:
        """Time of the signature."""
        return datetime.fromisoformat(self.signed_at)


def read_review(path: Path) -> ReviewFile:
    """Read and check a review file.

    Raises
    ------
    ReviewError
        Where the file is missing, too large, not JSON, or holds anything unexpected.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ReviewError(
            str(path),
            found="no such file" if isinstance(error, FileNotFoundError) else f"an unreadable file ({error.strerror})",
            expected="the review that the report's page saved (NAME.review.json)",
            todo="give the path of that file",
        ) from error
    if len(data) > MAX_FILE_BYTES:
        raise ReviewError(
            str(path),
            found=f"more than {MAX_FILE_BYTES} bytes",
            expected="a review.json of a few kilobytes",
            todo="save the review again from the report",
        )
    try:
        value: Any = json.loads(data.decode("utf-8"), object_pairs_hook=_without_repeats)
        return ReviewFile.model_validate(value)
    except ValidationError as error:
        raise ReviewError(
            str(path),
            found=_problems(error.errors(include_url=False)),
            expected="the review that the report's page saved (NAME.review.json)",
            todo="save the review again from the report",
        ) from error
    except (ValueError, RecursionError) as error:
        raise ReviewError(
            str(path),
            found="text that is not the JSON of a review",
            expected="the review that the report's page saved (NAME.review.json)",
            todo="save the review again from the report",
        ) from error


def _problems(found: Sequence[Any]) -> str:
    """All faults in one line: the fields that are missing first, then those with a wrong value."""
    missing = [str(item["loc"][-1]) for item in found if item["type"] == "missing"]
    lacks = f"a review without {', '.join(missing)}" if missing else ""
    wrong = [_problem(item) for item in found if item["type"] != "missing"][:10]
    return "; ".join([lacks, *wrong] if lacks else wrong)


def _problem(item: Any) -> str:
    name = ".".join(str(piece) for piece in item["loc"])[:60].encode("ascii", "backslashreplace").decode()
    return f"{name or 'file'}: {item['msg']}"


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found
