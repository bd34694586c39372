"""One tube in memory: its columns, scales, masks, gates and scores, one row per event in file order."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flowmrd.config.run import QualityConfig
from flowmrd.errors import ArtefactError, ConfigError, GateError, UnavailableGateError
from flowmrd.gating.gatingml import write_gatingml
from flowmrd.gating.shapes import Shape
from flowmrd.gating.tree import GateResult
from flowmrd.panel.gates import ROOT
from flowmrd.panel.model import ChannelKind, PanelModel
from flowmrd.preprocess.quality.masks import analysable_events
from flowmrd.preprocess.transform import ChannelScale
from flowmrd.records.classification import TubeJudgement
from flowmrd.records.gates import GatesFile
from flowmrd.records.ingest import Facts, HeaderFacts, IngestFile
from flowmrd.records.quality import QualityFile
from flowmrd.tube.labels import as_stained
from flowmrd.tube.thresholds import TubeThresholds, placed_from_records

if TYPE_CHECKING:
    from anndata import AnnData
    from flowkit import Session
    from pandas import DataFrame

__all__ = ["Tube", "require_tube"]

Float32 = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, repr=False)
class Tube:
    """One tube. Every array has one row per event of the file, in file order; no step removes or reorders events.

    Each step returns a new tube with more fields filled: :func:`~flowmrd.tube.read.read_tube` gives ``facts`` and
    ``raw``, :func:`~flowmrd.tube.preprocess.preprocess` gives ``columns`` to ``qc``, :func:`~flowmrd.tube.gate.gate`
    gives ``gates`` to ``routes``, and the classifier gives ``mrd_score`` to ``classification``. Arrays are shared
    between the steps' tubes, so they are read-only from then on; copy one to change it.

    Attributes
    ----------
    name
        Sample name.
    panel
        The panel that the file's channels were matched to.
    where
        Name of the tube in messages: its file, or its sample name within a run.
    facts
        Facts about the file, as in ``ingest.json``; for a file that was not checked, those of its header.
    raw
        Column to stored values after gain, logarithmic amplifier and time step; float32, shape (n_events,).
    positions
        Row of the file at which each added event is inserted, shape (n_events,). Only for events that were added to a
        tube; None for a tube that was read from a file.
    columns
        The panel's channels on the 0..1 scale, float32, shape (n_events,); the time channel in seconds.
    scales
        Channel to the scale of its column; the time channel has none.
    masks
        Step (see :data:`flowmrd.preprocess.quality.masks.STEPS`) to its mask, shape (n_events,); True means masked.
        ``offscale`` and ``offscale_<channel>`` mark events beyond a detector's range; they exclude nothing.
    censored_names, censored
        Channels, and uint32 of shape (n_events,): bit i is set where channel i is not measured in this event.
    quality
        Settings that decide which masks exclude an event from the analysis.
    qc
        Quality findings, as in ``qc.json``; None before preprocessing.
    gates
        Placement of every gate and its reason, as in ``gates.json``; None before gating.
    gating
        Placement of every gate, and one bit per gate and event (:class:`flowmrd.gating.tree.GateResult`).
    populations, population
        Population name to code, and the code of every event, int16 of shape (n_events,).
    route_names, routes
        Routes into the B lineage, and uint8 of shape (n_events,) with one bit for each route.
    mrd_score
        log10 of phenotype over normal density, float32, shape (n_events,); -99 outside the B-lineage window.
    mrd, cluster
        Events called leukaemic, and the number of their group (-1 for none); shape (n_events,).
    excluded
        Events outside the analysis whose phenotype is that of the leukaemia (:mod:`flowmrd.classifier.excluded_cells`).
    group
        Number of the group that an event belongs to, counted or not (-1 for none), as in ``classification``; int32,
        shape (n_events,).
    classification
        Summary of the classifier, as in ``classification.json``.
    """

    name: str
    panel: PanelModel
    where: str = ""
    facts: Facts = field(default_factory=HeaderFacts)
    raw: Mapping[str, Float32] = field(default_factory=dict)
    positions: npt.NDArray[np.intp] | None = None
    columns: Mapping[str, Float32] = field(default_factory=dict)
    scales: Mapping[str, ChannelScale] = field(default_factory=dict)
    masks: Mapping[str, Mask] = field(default_factory=dict)
    censored_names: tuple[str, ...] = ()
    censored: npt.NDArray[np.uint32] | None = None
    quality: QualityConfig = field(default_factory=QualityConfig)
    qc: QualityFile | None = None
    gates: GatesFile | None = None
    gating: GateResult | None = None
    populations: Mapping[str, int] = field(default_factory=dict)
    population: npt.NDArray[np.int16] | None = None
    route_names: tuple[str, ...] = ()
    routes: npt.NDArray[np.uint8] | None = None
    mrd_score: Float32 | None = None
    mrd: Mask | None = None
    cluster: npt.NDArray[np.int32] | None = None
    excluded: Mask | None = None
    group: npt.NDArray[np.int32] | None = None
    classification: TubeJudgement | None = None

    def __post_init__(self) -> None:
        for values in self._arrays():
            values.flags.writeable = False

    def __setstate__(self, state: Mapping[str, object]) -> None:
        # Unpickled and copied arrays can be written to; joblib, hence scikit-learn's searches, pickles a tube.
        self.__dict__.update(state)
        self.__post_init__()

    def __repr__(self) -> str:
        made_by = (self.raw, self.columns, self.gating, self.classification)
        names = ("read", "preprocessed", "gated", "classified")
        done = ", ".join(name for name, made in zip(names, made_by, strict=True) if made) or "empty"
        return f"Tube({self.name!r}, panel {self.panel.name}, {self.n_events:,} events: {done})"

    def _arrays(self) -> Iterator[npt.NDArray[Any]]:
        """Every array of the tube."""
        for columns in (self.raw, self.columns, self.masks):
            yield from columns.values()
        bits = () if self.gating is None else (self.gating.bits, self.gating.helper_bits)
        of_events = (self.censored, self.population, self.routes, self.mrd_score, self.mrd, self.cluster)
        yield from (one for one in (*bits, *of_events, self.excluded, self.group) if one is not None)

    @property
    def n_events(self) -> int:
        """Number of events, which is the number of rows of every array."""
        for columns in (self.columns, self.raw):
            for values in columns.values():
                return len(values)
        return 0

    @property
    def ingest(self) -> IngestFile:
        """All facts about the tube's file.

        Raises
        ------
        ArtefactError
            If the tube was not read from a file, or was read with ``check=False``.
        """
        if not isinstance(self.facts, IngestFile):
            raise ArtefactError(
                f"tube {self.name}",
                found="a tube that was made in memory, or of whose file only the header was read",
                expected="a tube that was read with its checks",
                todo="read it with 'read_tube', without 'check=False'",
            )
        return self.facts

    @property
    def measured(self) -> dict[str, Float32]:
        """The panel's channels on the 0..1 scale except time, in panel order; each of shape (n_events,)."""
        return {
            channel.marker: self.columns[channel.marker]
            for channel in self.panel.channels
            if channel.marker in self.columns and channel.kind is not ChannelKind.TIME
        }

    def analysable(self, quality: QualityConfig | None = None) -> Mask:
        """True for events that enter the analysis, shape (n_events,). Only this method decides it.

        Parameters
        ----------
        quality
            Settings to apply instead of the tube's own: ``time_mask`` says whether unstable stretches are left out.
        """
        return analysable_events(self.masks, self.n_events, time_mask=(quality or self.quality).time_mask)

    @property
    def gate_names(self) -> tuple[str, ...]:
        """Names that :meth:`gate` accepts, in the order of their bits; helper gates are not included."""
        return self.gating.stored if self.gating is not None else ()

    def available(self, name: str) -> bool:
        """Whether a gate exists in the tree and could be placed in this tube."""
        return name == ROOT or (self.gating is not None and self.gating.available(name))

    def gate(self, name: str) -> Mask:
        """True inside a gate and all its ancestors, shape (n_events,); ``root`` holds every event.

        Raises
        ------
        UnavailableGateError
            If the tree has the gate, but the tube lacks a channel or a gate that it needs.
        GateError
            If the tree has no such gate, or the tube has not been gated.
        """
        if name == ROOT:
            return np.ones(self.n_events, dtype=np.bool_)
        if name not in self.gate_names:
            near = get_close_matches(name, self.gate_names, n=1)
            correct = f"did you mean {near[0]}?" if near else "correct the name of the gate"
            raise GateError(
                f"tube {self.name}",
                found=f"a request for the gate {name[:80]!r}",
                expected=f"one of {', '.join(self.gate_names) or 'none: the tube has not been gated'}",
                todo=correct if self.gate_names else "gate the tube first (gate_tube)",
            )
        result = self.gate_result
        if not result.available(name):
            raise UnavailableGateError(
                f"tube {self.name}",
                found=f"the gate {name}, which could not be placed: {result.placement(name).why}",
                expected="a gate whose channels and parents this tube has",
                todo="call 'available' first, or measure what is missing",
            )
        return result.inside(name)

    def gate_or_none(self, name: str) -> Mask | None:
        """As :meth:`gate`, shape (n_events,), but None for a gate that the tree lacks or that could not be placed."""
        return self.gate(name) if name == ROOT or (name in self.gate_names and self.available(name)) else None

    @property
    def shapes(self) -> dict[str, Shape]:
        """Gate to its geometry on the 0..1 scale (:mod:`flowmrd.gating.shapes`), as placed in this tube."""
        return {placement.name: placement.shape for placement in self.gate_result.placements}

    @property
    def placed(self) -> TubeThresholds:
        """All thresholds of this tube (matrix, scales, masks, gates), for applying them to other events.

        Raises
        ------
        ArtefactError
            If the tube has not been preprocessed.
        """
        return placed_from_records(self.name, self.qc, self.gates)

    @property
    def gate_result(self) -> GateResult:
        """Placement of every gate and the bits, as gating returned them.

        Raises
        ------
        GateError
            If the tube has not been gated.
        """
        if self.gating is None:
            raise GateError(
                f"tube {self.name}",
                found="no gates",
                expected="a tube that has been gated",
                todo="gate it first ('flowmrd.gate_tube')",
            )
        return self.gating

    def to_pandas(self) -> DataFrame:
        """The tube as a table with one row per event.

        Columns: ``event`` (row of the file), the channels on the 0..1 scale (time in seconds), one boolean column
        ``mask_<step>`` per mask and ``gate_<name>`` per available gate, ``population`` (categories), and ``mrd_score``,
        ``mrd``, ``cluster``, ``group`` and ``excluded`` where the tube has been classified.
        """
        import pandas as pd

        event = np.arange(self.n_events) if self.positions is None else self.positions
        table: dict[str, object] = {"event": event, **self.columns}
        table |= {f"mask_{step}": mask for step, mask in self.masks.items()}
        table |= {f"gate_{name}": self.gate(name) for name in self.gate_names if self.available(name)}
        if self.population is not None:
            names = sorted(self.populations, key=self.populations.__getitem__)
            order = np.searchsorted([self.populations[name] for name in names], self.population)
            table["population"] = pd.Categorical.from_codes(order.tolist(), categories=pd.Index(names))
        for name in ("mrd_score", "mrd", "cluster", "group", "excluded"):
            if getattr(self, name) is not None:
                table[name] = getattr(self, name)
        return pd.DataFrame(table)

    def to_anndata(self) -> AnnData:
        """The tube as AnnData, for scanpy and its relatives. Needs the optional package ``anndata``.

        ``X`` is float32 of shape (n_events, n_channels) on the 0..1 scale, without time; ``obs`` is the rest of
        :meth:`to_pandas`; ``var`` holds kind, dye and scale of each channel.

        Raises
        ------
        ConfigError
            If the package is not installed.
        """
        try:
            from anndata import AnnData
        except ImportError as error:
            raise ConfigError(
                "to_anndata",
                found="no package anndata in this environment",
                expected="the optional part 'anndata' of flowmrd",
                todo="install flowmrd[anndata]",
            ) from error
        import pandas as pd

        measured, stained = self.measured, as_stained(self.panel, self.facts.channels)
        rest = self.to_pandas().drop(columns=list(measured))
        rest.index = rest.index.astype(str)
        about = pd.DataFrame(
            {
                "kind": [str(self.panel.channel(name).kind) for name in measured],
                "fluorochrome": [stained.channel(name).fluorochrome or "" for name in measured],
                "feature": [self.panel.channel(name).feature for name in measured],
                "scale": [self.scales[name].kind if name in self.scales else "" for name in measured],
                "T": [self.scales[name].T if name in self.scales else np.nan for name in measured],
                "W": [self.scales[name].W if name in self.scales else np.nan for name in measured],
            },
            index=list(measured),
        )
        values = np.column_stack(list(measured.values()))
        return AnnData(X=values, obs=rest, var=about, uns={"sample": self.name, "panel": self.panel.name})

    def to_flowkit(self) -> Session:
        """A FlowKit session with this tube's events on the 0..1 scale and the same gates, analysed.

        Gates that the tube cannot have are left out. GatingML has no sloped cuts and only simple combinations
        (:mod:`flowmrd.gating.gatingml`), so the session may hold some additional helper gates.

        Raises
        ------
        GateError
            If the tube has not been gated.
        """
        import flowkit
        import pandas as pd

        text = write_gatingml(self.gate_result, self.panel.gates)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "gates.xml"
            path.write_text(text, encoding="utf-8")
            strategy = flowkit.parse_gating_xml(str(path))
        session = flowkit.Session(gating_strategy=strategy)
        session.add_samples(flowkit.Sample(pd.DataFrame(self.measured), sample_id=self.name))
        session.analyze_samples(use_mp=False)
        return session


def require_tube(value: object, step: str) -> None:
    """Refuse what is no tube: a path, a list of tubes.

    Raises
    ------
    TypeError
        With what to give instead.
    """
    if isinstance(value, Tube):
        return
    instead = "call it for each tube"
    if isinstance(value, (str, Path)):
        instead = "read the file first (read_tube)"
    raise TypeError(f"{step} takes a Tube, not {type(value).__name__}: {instead}")
