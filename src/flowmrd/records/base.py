"""The base of all models of artefacts, and the parts that several artefacts share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from flowmrd.flags import Flag, kind_of

__all__ = ["Artefact", "FlagEntry", "MarkerLevels", "MarkerShift", "TargetState"]

MarkerLevels = dict[str, float]
"""Channel to a level on the 0..1 scale."""


class Artefact(BaseModel):
    """A file or a part of one. Unknown fields are refused, and no field can be changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    def as_json(self) -> dict[str, object]:
        """Plain values as in the file: fields in the order of the model, without those that were not given."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _known(code: str) -> str:
    return kind_of(code).code


class FlagEntry(Artefact):
    """A coded message as it is stored (:mod:`flowmrd.flags`); the findings of a file have no ``level``."""

    code: Annotated[str, AfterValidator(_known)]
    level: Literal["fail", "warn", "info"] | None = None
    message: str

    @classmethod
    def of(cls, raised: Flag) -> FlagEntry:
        """A flag with its level, for storing."""
        return cls(code=raised.code, level=raised.kind.tone, message=raised.message)

    @property
    def flag(self) -> Flag:
        """The flag that was stored."""
        return Flag(self.code, self.message)


class MarkerShift(Artefact):
    """One line of a LAIP: the leukaemia against the nearest normal stage."""

    marker: str
    shift_decades: float
    direction: Literal["over", "under", "same"]


class TargetState(Artefact):
    """State of a therapy target on the B-lineage or MRD cells."""

    percent_positive: float | None
    median_ratio_to_reference: float | None
    status: Literal["present", "dim", "lost", "masked_or_lost", "not_evaluable"]
    population: str = Field(
        description="Population it was measured on: mrd, or possible_b_lineage (its cells that two markers let in)."
    )
    note: str
