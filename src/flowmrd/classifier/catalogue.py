"""Names for compact groups of cells: the normal populations and artefacts of ``panels/catalogue/populations.yaml``.

A *place* is a region of marker levels. It is given relative to cells that every marrow has (the *anchors*: T and NK
cells, mature B cells, granulocytes), so that one catalogue serves every panel and staining. A group whose centre lies
inside a place gets the name of that place. Whether the name answers the question of leukaemia depends on the entry,
since some populations overlap with leukaemia, and on the number of cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from flowmrd.classifier.candidate_cells import CandidateCells
from flowmrd.classifier.mixture import Floats
from flowmrd.classifier.parameters import ClassifierParameters
from flowmrd.config.load import describe
from flowmrd.config.yaml_file import read_yaml
from flowmrd.errors import ArtefactError, InputError
from flowmrd.home import PANELS

CATALOGUE = PANELS / "catalogue" / "populations.yaml"
"""The shipped catalogue."""
ANCHORS = ("t_nk", "mature_b", "granulocytes", "erythroblasts")
"""Gates of the anchors: the catalogue gives places relative to the levels of their cells."""
LINEAR_UNIT = 8.3
"""Linear signal at 0 decades of a logicle scale, T / 10^M: above about 1.5 decades the scale is logarithmic."""

Kind = Literal["normal", "artefact"]
Range = tuple[str, float, float]


class CatalogueEntry(BaseModel):
    """One normal population or artefact.

    A place is given either by ranges of markers or, for a doublet, by its two kinds of cells (``cells``).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern="^[a-z][a-z0-9_]*$", description="Word used in results.")
    title: str = Field(description="Name in print.")
    place: dict[str, Range] = Field(
        default_factory=dict, description="By marker: anchor, lowest and highest level relative to it, decades."
    )
    cells: tuple[str, str] | None = Field(None, description="Anchors whose signals add up to this artefact.")
    needs: tuple[str, ...] = Field(description="Markers without which the place cannot be told.")
    spread: float | None = Field(
        None, description="Largest standard deviation over the antigens of how far they are raised, decades."
    )
    most: tuple[float, float] = Field(
        description="Largest share of the nucleated cells in marrow without leukaemia: untreated, after therapy."
    )
    accepted: Literal["always", "with_cd19", "unless_odd", "never"] = Field(
        description="Whether place and number alone say that a group is this."
    )
    source: str = Field(description="Where the levels and the number are from.")

    @model_validator(mode="after")
    def _consistent(self) -> CatalogueEntry:
        named = {anchor for anchor, _, _ in self.place.values()} | set(self.cells or ())
        if unknown := named - set(ANCHORS):
            raise ValueError(f"unknown anchor {', '.join(sorted(unknown))}; known: {', '.join(ANCHORS)}")
        if bool(self.place) == (self.cells is not None):
            raise ValueError("give either 'place' or 'cells'")
        for marker, (_, low, high) in self.place.items():
            if low >= high:
                raise ValueError(f"{marker}: the lowest level is not below the highest")
        return self


class Catalogue(BaseModel):
    """All entries."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int
    populations: tuple[CatalogueEntry, ...]
    artefacts: tuple[CatalogueEntry, ...]

    @model_validator(mode="after")
    def _unique(self) -> Catalogue:
        names = [entry.name for entry in (*self.populations, *self.artefacts)]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"named twice: {', '.join(sorted(twice))}")
        return self

    def entry(self, call: str) -> CatalogueEntry | None:
        """Entry of a call such as ``normal:plasma_cells``; None for another call."""
        name = call.partition(":")[2]
        return next((entry for entry in (*self.populations, *self.artefacts) if entry.name == name), None)


@dataclass(frozen=True)
class CatalogueMatch:
    """The catalogue's entry for a group.

    Attributes
    ----------
    call
        ``normal:<name>`` or ``artefact:<name>``.
    accepted
        Whether the name answers the question: leukaemia does not lie there, and the group is no larger than the
        population ever is.
    firm
        False where leukaemia lies nearby. ``accepted`` then holds only for groups that marrow without leukaemia has
        often enough (:mod:`flowmrd.classifier.false_groups`).
    most
        Largest share of the nucleated cells that this population has in marrow without leukaemia.
    distance
        Root mean square distance from the middle of the place, 1 at its border.
    """

    call: str
    title: str
    accepted: bool
    most: float
    distance: float
    firm: bool = True


@cache
def load_catalogue(path: Path = CATALOGUE) -> Catalogue:
    """Read and check a catalogue.

    Raises
    ------
    ArtefactError
        With every problem of the file.
    """
    data = read_yaml(path, InputError, expected="a catalogue of populations", if_missing="restore the file").data
    try:
        return Catalogue.model_validate(data)
    except ValidationError as error:
        raise ArtefactError(
            str(path),
            found=describe(error, Catalogue),
            expected="a catalogue as its first lines describe",
            todo="correct these entries",
        ) from error


def off_scale_call(detector: str) -> str:
    """Call of a group of cells that are off scale in a detector."""
    return f"artefact:off_scale_{detector}"


def anchor_levels(
    tube: CandidateCells, parameters: ClassifierParameters, *, expected: Mapping[str, Floats] | None = None
) -> dict[str, Floats]:
    """Median levels (d,) of the anchors in a tube, decades.

    Parameters
    ----------
    expected
        Levels, in the staining of this tube, for anchors of which the tube holds too few cells.
    """
    out = dict(expected or {})
    if tube.population is None:
        return out
    for name in ANCHORS:
        if name in tube.populations:
            chosen = tube.population == tube.populations.index(name)
            if chosen.sum() >= parameters.place_cells_least:
                out[name] = np.median(tube.values[chosen], axis=0).astype(np.float64)
    return out


def match_catalogue(
    mean: Floats,
    features: tuple[str, ...],
    anchors: Mapping[str, Floats],
    parameters: ClassifierParameters,
    *,
    share: float,
    unreliable: frozenset[str] = frozenset(),
) -> CatalogueMatch | None:
    """Name the place of a group; None where no entry lies there.

    Parameters
    ----------
    mean
        Shape (d,): centre of the group, decades.
    anchors
        Levels (d,) of the anchors in this tube; entries that need another anchor are not considered.
    share
        Share of the tube's nucleated cells that the group makes up.
    unreliable
        Markers that therapy may have removed or masked in this tube; empty for an untreated patient.
    """
    known = load_catalogue()
    found: list[CatalogueMatch] = []
    kinds: tuple[tuple[Kind, tuple[CatalogueEntry, ...]], ...] = (
        ("normal", known.populations),
        ("artefact", known.artefacts),
    )
    for kind, entries in kinds:
        for entry in entries:
            distance = _distance(entry, mean, features, anchors, unreliable, parameters)
            if distance is None:
                continue
            most = entry.most[1 if unreliable else 0]
            safe = entry.accepted in {"always", "unless_odd"}
            safe |= entry.accepted == "with_cd19" and "CD19" not in unreliable
            found.append(
                CatalogueMatch(
                    f"{kind}:{entry.name}",
                    entry.title,
                    accepted=safe and share <= most,
                    most=most,
                    distance=distance,
                    firm=entry.accepted != "unless_odd",
                )
            )
    return min(found, key=lambda place: place.distance, default=None)


def _distance(
    entry: CatalogueEntry,
    mean: Floats,
    features: tuple[str, ...],
    anchors: Mapping[str, Floats],
    unreliable: frozenset[str],
    parameters: ClassifierParameters,
) -> float | None:
    """Distance from the middle of an entry's place; None outside it, or where the panel lacks a marker it needs."""
    if not set(entry.needs) <= set(features):
        return None
    if entry.cells is not None:
        return _distance_from_sum(entry.cells, mean, features, anchors, parameters)
    apart: list[float] = []
    raised: list[float] = []
    for marker, (anchor, low, high) in entry.place.items():
        if marker not in features:
            continue
        column = features.index(marker)
        if anchor not in anchors:
            return None
        lowest, highest = anchors[anchor][column] + low, anchors[anchor][column] + high
        if marker in unreliable and "t_nk" in anchors:
            lowest = min(lowest, anchors["t_nk"][column] - parameters.hidden_drop)
        half = (highest - lowest) / 2.0
        apart.append((mean[column] - lowest - half) / half)
        if marker != "CD45" and not marker.startswith(("FSC", "SSC")):
            raised.append(mean[column] - anchors[anchor][column])
    if not apart or max(map(abs, apart)) > 1.0:
        return None
    if entry.spread is not None and float(np.std(raised)) > entry.spread:
        return None
    return float(np.sqrt(np.mean(np.square(apart))))


def _distance_from_sum(
    cells: tuple[str, str],
    mean: Floats,
    features: tuple[str, ...],
    anchors: Mapping[str, Floats],
    parameters: ClassifierParameters,
) -> float | None:
    """The same for two cells measured as one: their antigen signals add up, and they scatter more light forward than
    one.
    """
    if not set(cells) <= set(anchors):
        return None
    first, second = anchors[cells[0]], anchors[cells[1]]
    apart: list[float] = []
    for column, marker in enumerate(features):
        if marker == "SSC-A":
            continue
        if marker.startswith("FSC"):
            if mean[column] < parameters.doublet_size_least * (first[column] + second[column]):
                return None
            continue
        total = np.log10(10.0 ** first[column] + 10.0 ** second[column])
        # Near zero the scale is linear, and two negative cells add up to a negative event.
        dim = total <= np.log10(parameters.doublet_sum_from / LINEAR_UNIT)
        expected = max(first[column], second[column]) if dim else total
        apart.append((mean[column] - expected) / parameters.doublet_sum_tolerance)
    if not apart or max(map(abs, apart)) > 1.0:
        return None
    return float(np.sqrt(np.mean(np.square(apart))))
