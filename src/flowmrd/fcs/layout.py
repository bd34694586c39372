"""Layout of DATA from the keywords: parameters, widths, byte order, bit masks. No file is read here.

Rules are those of FCS 3.1 (Spidlen et al. 2010) and, for ``$PnDATATYPE``, FCS 3.2 (Spidlen et al., Cytometry A
2021;99:100). Of an integer, the bits below the next power of two at or above ``$PnR`` count; the instrument uses the
bits above for marks of its own. Where a width contradicts its data type, the layout that fits the DATA segment exactly
is used; without one, the file is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from flowmrd.fcs.findings import Finding, refuse
from flowmrd.panel.names import is_time_name

__all__ = ["Layout", "Parameter", "candidate_layouts", "is_time", "parameters"]

MAX_PARAMETERS = 10_000
"""More than any instrument has (full-spectrum files have some 200); a larger ``$PAR`` is damage."""

_FLOAT_BITS = {"F": 32, "D": 64}
_DELIMITED = 0


@dataclass(frozen=True)
class Parameter:
    """One parameter (channel) of a data set, as its keywords describe it.

    Parameters
    ----------
    number
        1-based, the n of ``$Pn...``.
    bits
        Stored width in bits; characters for ``A`` (0: delimited).
    range
        ``$PnR`` rounded up, or ``None`` where it is missing or not a positive number.
    mask
        Bits of an integer that count, or ``None`` where all do.
    log
        Decades and offset of a logarithmic amplifier, or ``None``.
    gain
        ``$PnG`` where it changes the value, else ``None``.
    """

    number: int
    pnn: str | None
    pns: str | None
    kind: str
    bits: int
    range: int | None
    mask: int | None
    log: tuple[float, float] | None
    gain: float | None
    voltage: float | None
    time: bool


@dataclass(frozen=True)
class Layout:
    """Where each parameter lies inside an event.

    ``packing`` is ``bytes`` (every parameter on whole bytes), ``bits`` (a continuous stream of bits, FCS 2.0 and
    3.0), ``ascii`` (fixed width) or ``delimited`` (ASCII separated by blanks or commas).
    """

    packing: str
    widths: tuple[int, ...]
    order: tuple[int, ...] | str
    note: str = ""

    @property
    def event_bits(self) -> int:
        """Bits of one event; 0 where events have no fixed size."""
        return 0 if self.packing == "delimited" else sum(self.widths)

    def n_bytes(self, n_events: int) -> int:
        """Size of ``n_events`` events in bytes."""
        return (n_events * self.event_bits + 7) // 8


def number(text: str | None) -> float | None:
    """A keyword value as a finite decimal number, or ``None``. ``1_000``, ``nan`` and ``inf`` are not numbers."""
    if text is None or not re.fullmatch(
        r"[ \t]*[+-]?([0-9]{1,40}(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?[ \t]*", text
    ):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def whole(text: str | None) -> int | None:
    """A keyword value as a whole number, or ``None``; ``12.0`` counts as whole."""
    if text is not None and re.fullmatch(r"[ \t]*[+-]?[0-9]{1,20}[ \t]*", text):
        return int(text)
    value = number(text)
    return int(value) if value is not None and value.is_integer() else None


def is_time(pnn: str | None, pns: str | None, kind: str | None) -> bool:
    """Whether a parameter is the acquisition clock: by ``$PnTYPE`` of FCS 3.2, else by name."""
    return is_time_name(pnn, pns) if kind is None else kind.strip().lower() == "time"


def parameters(path: Path, keywords: Mapping[str, str], findings: list[Finding]) -> tuple[Parameter, ...]:
    """Read the description of every parameter.

    Raises
    ------
    FcsError
        If the number of parameters, a width or the range of an integer is missing or impossible.
    """
    n = whole(keywords.get("$PAR"))
    if n is None or not 1 <= n <= MAX_PARAMETERS:
        raise refuse(path, "no usable $PAR in TEXT", f"a number of parameters from 1 to {MAX_PARAMETERS}")
    datatype = keywords.get("$DATATYPE", "").strip().upper()
    if datatype not in {"I", "F", "D", "A"}:
        raise refuse(path, "no usable $DATATYPE in TEXT", "I, F, D or A")
    return tuple(_parameter(path, keywords, index, datatype, findings) for index in range(1, n + 1))


def _parameter(path: Path, keywords: Mapping[str, str], n: int, datatype: str, findings: list[Finding]) -> Parameter:
    kind = _kind(path, keywords, n, datatype)
    bits = _bits(path, keywords, n, kind)
    limit = number(keywords.get(f"$P{n}R"))
    range_ = math.ceil(limit) if limit is not None and limit > 0 else None
    mask = None
    if kind == "I":
        _check_integers(path, n, bits, limit)
        if range_ is None:
            findings.append(Finding("range_not_positive", f"$P{n}R is not positive; all {bits} bits are kept"))
        else:
            mask = _mask(range_, bits)
    pnn, pns = keywords.get(f"$P{n}N") or None, keywords.get(f"$P{n}S") or None
    if pnn is None:
        findings.append(Finding("name_missing", f"parameter {n} has no $PnN"))
    time = is_time(pnn, pns, keywords.get(f"$P{n}TYPE"))
    log = _log(keywords.get(f"$P{n}E"), n, kind, findings)
    return Parameter(
        number=n,
        pnn=pnn,
        pns=pns,
        kind=kind,
        bits=bits,
        range=range_,
        mask=mask,
        log=log,
        gain=_gain(keywords.get(f"$P{n}G"), n, amplified=not time and log is None, findings=findings),
        voltage=number(keywords.get(f"$P{n}V")),
        time=time,
    )


def _kind(path: Path, keywords: Mapping[str, str], n: int, datatype: str) -> str:
    kind = (keywords.get(f"$P{n}DATATYPE") or datatype).strip().upper()
    if kind not in {"I", "F", "D", "A"} or (kind == "A") != (datatype == "A"):
        raise refuse(path, f"an unknown $P{n}DATATYPE", "I, F or D")
    return kind


def _bits(path: Path, keywords: Mapping[str, str], n: int, kind: str) -> int:
    width = keywords.get(f"$P{n}B", "").strip()
    bits = _DELIMITED if kind == "A" and width == "*" else whole(width)
    if bits is None or bits < 0 or (bits == 0 and kind != "A") or bits > 1024:
        raise refuse(path, f"no usable $P{n}B, the width of parameter {n}", "a positive number of bits")
    return bits


def _check_integers(path: Path, n: int, bits: int, limit: float | None) -> None:
    """Refuse integers that are wider than a machine word, or that lack the range that says which bits count."""
    if bits > 64:
        raise refuse(path, f"integers of {bits} bits in parameter {n}", "at most 64 bits")
    if limit is None:
        raise refuse(
            path, f"no usable $P{n}R for the integers of parameter {n}", "a range, which says which bits count"
        )


def _gain(text: str | None, n: int, *, amplified: bool, findings: list[Finding]) -> float | None:
    """``$PnG`` where it changes the value.

    Parameters
    ----------
    amplified
        Whether a linear amplifier stands behind the channel. A clock has none (FACSDiva repeats ``$TIMESTEP`` there),
        and FCS 3.1 forbids a gain beside ``$PnE``.
    """
    gain = number(text)
    if gain is None:
        if text:
            findings.append(Finding("gain_ignored", f"$P{n}G is not a number"))
        return None
    if gain <= 0:
        if gain < 0:
            findings.append(Finding("gain_ignored", f"$P{n}G is not positive"))
        return None
    if gain == 1:
        return None
    if not amplified:
        findings.append(Finding("gain_ignored", f"$P{n}G does not apply to parameter {n}"))
        return None
    return gain


def _mask(range_: int, bits: int) -> int | None:
    """Bits below the next power of two at or above the range; ``None`` where that is the whole word."""
    needed = (range_ - 1).bit_length()
    return (1 << needed) - 1 if needed < bits else None


def _log(text: str | None, n: int, kind: str, findings: list[Finding]) -> tuple[float, float] | None:
    if not text:
        return None
    parts = [number(part) for part in text.split(",")]
    if len(parts) != 2 or parts[0] is None or parts[1] is None or parts[0] < 0 or parts[1] < 0 or parts[0] > 30:
        findings.append(
            Finding("amplification_unreadable", f"$P{n}E is not two numbers; parameter {n} taken as linear")
        )
        return None
    decades, offset = parts[0], parts[1]
    if decades == 0:
        return None
    if kind != "I":
        findings.append(Finding("amplification_ignored", f"$P{n}E is for integers; parameter {n} holds linear floats"))
        return None
    if offset == 0:
        findings.append(Finding("amplification_zero", f"$P{n}E has offset 0, which FCS 3.1 reads as 1"))
        offset = 1.0
    return (decades, offset)


def byte_order(path: Path, text: str | None, widths: tuple[int, ...]) -> tuple[int, ...] | str:
    """Turn ``$BYTEORD`` into ``little``, ``big`` or, for middle-endian words, the significance of each stored byte.

    Raises
    ------
    FcsError
        If values of more than one byte have no order, or a mixed order does not fit their width.
    """
    digits = tuple(int(part) for part in re.findall(r"[0-9]", text or ""))
    if (
        re.fullmatch(r"[ \t0-9,;]*", text or "")
        and len(digits) > 1
        and sorted(digits) == list(range(1, len(digits) + 1))
    ):
        if list(digits) == sorted(digits):
            return "little"
        if list(digits) == sorted(digits, reverse=True):
            return "big"
        if all(width == 8 * len(digits) for width in widths):
            return tuple(digit - 1 for digit in digits)
        raise refuse(path, "a mixed $BYTEORD that does not fit the width of the parameters", "one order for every word")
    if all(width <= 8 for width in widths):
        return "little"
    raise refuse(path, "no usable $BYTEORD in TEXT", "1,2,3,4 or 4,3,2,1")


def candidate_layouts(
    path: Path, keywords: Mapping[str, str], described: tuple[Parameter, ...]
) -> list[tuple[Layout, tuple[Parameter, ...]]]:
    """All layouts that the keywords allow, the most literal first.

    The caller takes the first that fits the DATA segment. There are several where instruments are known to write wrong
    keywords: ``$PnB`` 10 stored in 16-bit words, floats whose ``$PnB`` contradicts their type.
    """
    if described[0].kind == "A":
        return _ascii_layouts(described)
    byteord = keywords.get("$BYTEORD")
    literal = tuple(parameter.bits for parameter in described)
    floats_ok = all(p.kind == "I" or p.bits in (32, 64) for p in described)
    found = [(_literal_layout(path, byteord, described), described)] if floats_ok else []
    words, whole_bytes = (tuple(width_of(p) for p in described) for width_of in (_word, _whole_bytes))
    if not floats_ok or words != literal:
        found.append(_stored_wider(path, byteord, described, words))
    if floats_ok and whole_bytes not in (literal, words):
        found.append(_stored_wider(path, byteord, described, whole_bytes))
    return found


def _ascii_layouts(described: tuple[Parameter, ...]) -> list[tuple[Layout, tuple[Parameter, ...]]]:
    widths = tuple(parameter.bits for parameter in described)
    delimited = (Layout("delimited", widths, "little"), described)
    if not all(widths):
        return [delimited]
    return [(Layout("ascii", tuple(8 * width for width in widths), "little"), described), delimited]


def _literal_layout(path: Path, byteord: str | None, described: tuple[Parameter, ...]) -> Layout:
    """Layout with the widths that ``$PnB`` gives."""
    widths = tuple(parameter.bits for parameter in described)
    packing = "bytes" if all(width % 8 == 0 for width in widths) else "bits"
    as_typed = all(p.kind == "I" or p.bits == _FLOAT_BITS[p.kind] for p in described)
    return Layout(packing, widths, byte_order(path, byteord, widths), "" if as_typed else "float_width")


def _stored_wider(
    path: Path, byteord: str | None, described: tuple[Parameter, ...], widths: tuple[int, ...]
) -> tuple[Layout, tuple[Parameter, ...]]:
    """Layout with other widths than ``$PnB`` gives, and the parameters with these widths."""
    padded = tuple(
        replace(p, bits=width, mask=None if p.range is None or p.kind != "I" else _mask(p.range, width))
        for p, width in zip(described, widths, strict=True)
    )
    floats_changed = any(p.kind != "I" and p.bits != width for p, width in zip(described, widths, strict=True))
    note = "float_width" if floats_changed else "padded_words"
    return Layout("bytes", widths, byte_order(path, byteord, widths), note), padded


def _word(parameter: Parameter) -> int:
    """Width of the machine word that a parameter would be stored in."""
    if parameter.kind in _FLOAT_BITS:
        return _FLOAT_BITS[parameter.kind]
    if parameter.bits % 8 == 0:
        return parameter.bits
    return next(width for width in (8, 16, 32, 64) if width >= parameter.bits)


def _whole_bytes(parameter: Parameter) -> int:
    """Width of the whole bytes that a parameter would be stored in."""
    return -(-parameter.bits // 8) * 8


def ascii_words(data: bytes) -> list[bytes]:
    """Numbers of delimited ASCII data, separated by blanks, line ends, commas or NULs."""
    return [word for word in re.split(rb"[\s,\x00]+", data) if word]


def dtype_of(parameter: Parameter, order: str) -> np.dtype[np.generic] | None:
    """numpy type of a byte-aligned parameter, or ``None`` for widths without a numpy type (24, 40 bits and so on)."""
    if parameter.kind != "I":
        return np.dtype(f"{order}f{parameter.bits // 8}")
    return np.dtype(f"{order}u{parameter.bits // 8}") if parameter.bits in (8, 16, 32, 64) else None
