"""The kinds of wrong input and their variants: a kind is a function that yields them, named by its docstring."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache, partial
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
from openpyxl import Workbook
from openpyxl.styles import Font
from openpyxl.worksheet.worksheet import Worksheet

from benchmarks.inputs.tubes import Values, Written, panel_of, text_of, tube
from flowmrd.cli.check import check_run
from flowmrd.config.run import RunConfig
from flowmrd.config.sheet import Role, Sample
from flowmrd.dates import DayError, read_day
from flowmrd.engine.headers import RunRequest, check_header
from flowmrd.errors import InputError
from flowmrd.fcs.reader import read_fcs
from flowmrd.gating.gatingml import write_gatingml
from flowmrd.panel.names import printable_name
from flowmrd.preprocess.transform.logicle import logicle
from flowmrd.tube import Tube
from flowmrd.tube.gate import column_origin, gate
from flowmrd.tube.preprocess import preprocess
from flowmrd.tube.read import read_tube

Outcome = Literal["refused", "right", "told", "wrong", "false alarm"]
Run = Callable[[Path], Outcome]


@dataclass(frozen=True)
class Variant:
    """One input and what must come of it: ``bad`` ones are refused or told, the others read."""

    name: str
    bad: bool
    run: Callable[[Path], Outcome]


KINDS: list[Callable[[], Iterator[Variant]]] = []
SEEDS = range(11, 15)
USUAL_SIZE = 60_000
"""Nucleated cells; of eight colours fewer spill into each other, so that a small tube says little by its values."""


def kind(of: Callable[[], Iterator[Variant]]) -> Callable[[], Iterator[Variant]]:
    """Register a kind."""
    KINDS.append(of)
    return of


def look(written: Written, *, bad: bool, compensation: object = None, panel: str = "ino10") -> Run:
    """Write the file and look at it as ``check`` and ``run`` do."""

    def run(folder: Path) -> Outcome:
        path = written.write(folder / "tube.fcs")
        settings = {} if compensation is None else {"compensation": compensation}
        config = RunConfig.model_validate({"panel": panel, "samples": "samples.tsv", **settings})
        row = Sample("tube", "P1", Role.FOLLOWUP, path, line=2)
        try:
            seen = check_header(path, panel_of(panel), row, RunRequest(config, folder))
        except InputError:
            return "refused" if bad else "false alarm"
        if seen.left:
            return "told" if bad else "false alarm"
        return "wrong" if bad else "right"

    return run


def checked(make: Callable[[Path], object], *, bad: bool) -> Callable[[Path], Outcome]:
    """Make a run directory and let ``check`` look at it. A note about the thing itself counts as told."""

    def run(folder: Path) -> Outcome:
        make(folder)
        problems = [
            p for p in check_run(folder)[0] if "diagnosis tube" not in p.found and "control tubes" not in p.found
        ]
        problems = [p for p in problems if not p.found.startswith("events of ")]
        if any(problem.level == "error" for problem in problems):
            return "refused" if bad else "false alarm"
        if problems:
            return "told" if bad else "false alarm"
        return "wrong" if bad else "right"

    return run


MARKS: dict[str, Callable[[str], str]] = {
    "Comp-": lambda name: f"Comp-{name}",
    "FJComp-": lambda name: f"FJComp-{name}",
    "<>": lambda name: f"<{name}>",
    "comp_": lambda name: f"comp_{name}",
    "_comp": lambda name: f"{name}_comp",
    "(compensated)": lambda name: f"{name} (compensated)",
    "-Compensated": lambda name: f"{name}-Compensated",
    "Compensated ": lambda name: f"Compensated {name}",
    "Unmixed ": lambda name: f"Unmixed {name}",
    "[comp]": lambda name: f"{name} [comp]",
    "-Comp-A": lambda name: f"{name.removesuffix('-A')}-Comp-A",
    "glued": lambda name: f"Comp{name}",
}
APPLIED = [
    {"COMPENSATION APPLIED": "TRUE"}, {"COMPENSATED": "yes"}, {"#COMPENSATED": "1"}, {"UNMIXED": "TRUE"},
    {"COMPENSATION": "applied"}, {"SPILLOVER APPLIED": "true"}, {"$CYT": "Aurora"}, {"$CYT": "ID7000"},
]  # fmt: skip


@kind
def compensated_already() -> Iterator[Variant]:
    """Compensated or unmixed before the export"""
    for seed in SEEDS:
        base = tube(seed)
        done = base.compensated()
        yield Variant("stored values, own matrix", False, look(base, bad=False))
        yield Variant("by the values alone", True, look(done, bad=True))
        yield Variant("by the values alone, matrix in SPILL", True, look(only(done, "SPILL"), bad=True))
        yield Variant("compensated, said so", False, look(done, bad=False, compensation="none"))
        for name, mark in MARKS.items():
            change = {row: (mark(done.names[row][0]), done.names[row][1]) for row in done.dyes}
            named = done.renamed(change)
            yield Variant(f"names {name}", True, look(named, bad=True))
            yield Variant(f"names {name}, said so", False, look(named, bad=False, compensation="none"))
        half = {row: (f"Comp-{done.names[row][0]}", done.names[row][1]) for row in done.dyes[:4]}
        yield Variant("only some channels, with a matrix", True, look(done.renamed(half), bad=True))
        yield Variant("only some channels, said none", True, look(base.renamed(half), bad=True, compensation="none"))
    for seed in SEEDS:
        base = tube(seed, "vienna_b8", USUAL_SIZE)
        yield Variant("8 colours, stored values", False, look(base, bad=False, panel="vienna_b8"))
        yield Variant("8 colours, by the values alone", True, look(base.compensated(), bad=True, panel="vienna_b8"))
    for keywords in APPLIED:
        marked = replace(tube(11).compensated(), keywords={**tube(11).keywords, **keywords})
        yield Variant(f"keyword {next(iter(keywords))}", True, look(marked, bad=True))


def only(written: Written, key: str) -> Written:
    """With the matrix in another keyword."""
    return written.with_matrix(None).with_matrix(written.matrix, key)


def off(matrix: Values, factor: float) -> Values:
    """A matrix with its coefficients beside the diagonal multiplied."""
    one = np.eye(len(matrix))
    return np.asarray(one + (matrix - one) * factor)


def inverse(matrix: Values) -> Values:
    """Compensation instead of spillover."""
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


@kind
def no_spillover_matrix() -> Iterator[Variant]:
    """No spillover matrix, or not this file's"""
    for seed in SEEDS:
        base = tube(seed)
        right, n = base.matrix, len(base.matrix)
        order = np.random.default_rng(seed).permutation(n)
        negative = right.copy()
        negative[0, 1] = -0.15
        matrices: dict[str, tuple[Values | None, bool]] = {
            "right": (right, False), "percent": (100 * right, False), "rounded": (np.round(right, 3), False),
            "none": (None, True), "inverse": (inverse(right), True),
            "inverse in percent": (100 * inverse(right), True), "transposed": (right.T, True),
            "coefficients in percent": (off(right, 100), True), "diagonal in percent": (right + 99 * np.eye(n), True),
            "negative": (negative, True), "all signs turned": (off(right, -1), True), "identity": (np.eye(n), True),
            "doubled": (off(right, 2), True), "threefold": (off(right, 3), True),
            "a hundredth": (off(right, 0.01), True), "half": (off(right, 0.5), True),
            "of other channels": (right[np.ix_(order, order)], True), "singular": (np.ones((n, n)), True),
        }  # fmt: skip
        for name, (matrix, bad) in matrices.items():
            yield Variant(name, bad, look(base.with_matrix(matrix), bad=bad))
        for missing in (1, 3, n - 1):
            part = base.with_matrix(right[:-missing, :-missing], names=base.detectors[:-missing])
            yield Variant(f"{missing} dyes without coefficient", True, look(part, bad=True))
        scatter = base.with_matrix(np.eye(2), names=["FSC-A", "SSC-A"])
        yield Variant("covers none of the dyes", True, look(scatter, bad=True))
        yield Variant("heights instead of areas", True, look(heights(base), bad=True))
        eight = tube(seed, "vienna_b8", USUAL_SIZE)
        for name, matrix in (
            ("transposed", eight.matrix.T), ("doubled", off(eight.matrix, 2)), ("identity", np.eye(len(eight.matrix))),
            ("half", off(eight.matrix, 0.5)), ("inverse", inverse(eight.matrix)),
        ):  # fmt: skip
            yield Variant(f"8 colours, {name}", True, look(eight.with_matrix(matrix), bad=True, panel="vienna_b8"))
        for first, second in combinations(("$SPILLOVER", "SPILL", "SPILLOVER", "$SPILL"), 2):
            two = only(base, first)
            yield Variant(f"{first} and {second} differ", True, look(two.with_matrix(np.eye(n), second), bad=True))
            yield Variant(f"{first} and {second} agree", False, look(two.with_matrix(100 * right, second), bad=False))
            chosen = look(two.with_matrix(np.eye(n), second), bad=False, compensation={"source": first})
            yield Variant(f"{first} chosen", False, chosen)
    base = tube(11)
    good = base.keywords["$SPILLOVER"]
    for name, text in {
        "decimal commas": good.replace(".", ","), "semicolons": good.replace(",", ";"),
        "cut off": good[: len(good) // 2],
        "a word in it": good.replace("0.18", "none"), "one number too many": f"{good},0",
        "wrong number of channels": f"9{good[2:]}", "unknown channel": good.replace("FITC-A", "B525-A"),
        "tabs": good.replace(",", "\t"), "twice one channel": good.replace("PE-A", "FITC-A", 1),
    }.items():  # fmt: skip
        yield Variant(name, True, look(replace(base, keywords={"$SPILLOVER": text}), bad=True))


def heights(written: Written) -> Written:
    """With pulse heights beside the areas, and a matrix that names these."""
    extra = tuple((f"{name.removesuffix('-A')}-H", "") for name in written.detectors)
    values = np.concatenate([written.values, written.values[list(written.dyes)] * 0.9])
    wide = replace(written, names=(*written.names, *extra), values=values)
    return replace(wide, keywords={"$SPILLOVER": text_of([name for name, _ in extra], written.matrix)})


@kind
def table_of_the_batch() -> Iterator[Variant]:
    """The batch's spillover table"""
    for seed in SEEDS:
        base = tube(seed).with_matrix(None)
        right = base.matrix
        for name, matrix, bad in (
            ("right", right, False), ("percent", 100 * right, False), ("inverse", inverse(right), True),
            ("transposed", right.T, True), ("identity", np.eye(len(right)), True), ("doubled", off(right, 2), True),
        ):  # fmt: skip
            for separator, comma in ((",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ",")):
                yield Variant(
                    f"{name}, {separator!r} and {comma}", bad, with_table(base, matrix, separator, comma, bad=bad)
                )


def with_table(base: Written, matrix: Values, separator: str, comma: str, *, bad: bool) -> Callable[[Path], Outcome]:
    """Look at a file with a table beside it."""

    def run(folder: Path) -> Outcome:
        lines = [separator.join(["", *base.detectors])]
        for name, row in zip(base.detectors, matrix, strict=True):
            lines.append(separator.join([name, *(f"{value:.6g}".replace(".", comma) for value in row)]))
        (folder / "m.csv").write_text("\n".join(lines), encoding="utf-8")
        return look(base, bad=bad, compensation={"source": "csv", "csv": {"default": "m.csv"}})(folder)

    return run


TRANSFORMS: dict[str, Callable[[Values], Values]] = {
    "asinh, cofactor 5": lambda x: np.arcsinh(x / 5),
    "asinh, cofactor 150": lambda x: np.arcsinh(x / 150),
    "log10": lambda x: np.log10(np.maximum(x, 1)),
    "natural log": lambda x: np.log(np.maximum(x, 1)),
    "logicle 0 to 1": lambda x: np.asarray(logicle(x, 262144, 4.5, 0.75, 0), dtype=np.float64),
    "logicle, decades": lambda x: np.asarray(logicle(x, 262144, 4.5, 0.75, 0), dtype=np.float64) * 4.5,
    "channels 0 to 1023": lambda x: np.clip(np.round(logicle(x, 262144, 4.5, 0.75, 0) * 1023), 0, 1023),
    "log channels 0 to 1023": lambda x: np.clip(np.round(np.log10(np.maximum(x / 26, 1)) / 4 * 1023), 0, 1023),
    "log channels 0 to 255": lambda x: np.clip(np.round(np.log10(np.maximum(x / 26, 1)) / 4 * 255), 0, 255),
    "biexponential 0 to 4095": lambda x: np.asarray(logicle(x, 262144, 4.5, 0.5, 0), dtype=np.float64) * 4095,
    "display scale 0 to 262143": lambda x: np.asarray(logicle(x, 262144, 4.5, 0.75, 0), dtype=np.float64) * 262143,
}


@kind
def not_linear() -> Iterator[Variant]:
    """Transformed before the export"""
    for seed in SEEDS:
        for panel in ("ino10", "vienna_b8"):
            base = tube(seed, panel)
            for name, transform in TRANSFORMS.items():
                for raw in (base, base.compensated()):
                    changed = raw.with_dyes(transform(raw.values[list(raw.dyes)])).with_matrix(None)
                    yield Variant(f"{panel}: {name}", True, look(changed, bad=True, compensation="none", panel=panel))
            yield Variant(f"{panel}: linear", False, look(base, bad=False, panel=panel))
            keyword = replace(
                base, keywords={**base.keywords, "TRANSFORMATION": "applied", "$P6D": "Logarithmic,4,0.1"}
            )
            yield Variant(f"{panel}: linear with words of a display", False, look(keyword, bad=False, panel=panel))
            for nucleated in (3000, 20_000):
                bare = tube(seed - SEEDS[0], panel, nucleated, aplastic=True)
                yield Variant(f"{panel}: linear, aplastic", False, look(bare, bad=False, panel=panel))
            smaller = replace(base, values=base.values / 64, range=4096)
            yield Variant(f"{panel}: linear on a scale of 4096", False, look(smaller, bad=False, panel=panel))


QUALIFIED = [
    "cy{}", "cy {}", "c{}", "ic{}", "{} intracellular", "{} FMO", "FMO {}", "FMO-{}", "{} minus", "no {}", "{} (-)",
    "{} isotype", "Isotype {}", "{} IgG1", "dump {}", "{} dump", "{}/CD3", "{} + kappa", "w/o {}", "{} blocked",
]  # fmt: skip
PLAIN = ["{}", "{} PE-Cy7", "PE {}", "anti-{}", "{} PerCP-Cy5.5", "{}_BV421", "{}-A", "hu {}"]


@kind
def label_is_not_the_reagent() -> Iterator[Variant]:
    """The label is not the surface marker"""
    base = tube(11)
    for marker in ("CD22", "CD19", "CD10", "CD34"):
        row = base.row_of(marker)
        pnn = base.names[row][0]
        for form in QUALIFIED:
            yield Variant(form.format(marker), True, look(base.renamed({row: (pnn, form.format(marker))}), bad=True))
        for form in PLAIN:
            yield Variant(form.format(marker), False, look(base.renamed({row: (pnn, form.format(marker))}), bad=False))
        for said in ("CD3", f"cy{marker}", f"{marker} isotype"):
            other = replace(base, keywords={**base.keywords, f"$P{row + 1}ANALYTE": said})
            yield Variant(f"{marker}, analyte {said}", True, look(other, bad=True))
        analyte = replace(base.renamed({row: (pnn, "")}), keywords={**base.keywords, f"$P{row + 1}ANALYTE": marker})
        yield Variant(f"{marker} by its analyte", False, look(analyte, bad=False))


def directory(folder: Path, tubes: dict[str, tuple[Role, str, Written]], header: str = "") -> None:
    """A run directory of a few tubes."""
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config/config.yaml").write_text("panel: ino10\nsamples: config/samples.tsv\n", encoding="utf-8")
    rows = [header or "sample\tpatient\trole\tfcs"]
    for name, (role, patient, written) in tubes.items():
        written.write(folder / f"{name}.fcs")
        rows.append(f"{name}\t{patient}\t{role.value}\t../{name}.fcs")
    (folder / "config/samples.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def controls() -> dict[str, tuple[Role, str, Written]]:
    """Three control tubes."""
    return {f"C{seed}": (Role.CONTROL, f"C{seed}", tube(seed, nucleated=1500)) for seed in (21, 22, 23)}


@kind
def exchanged_labels() -> Iterator[Variant]:
    """Two labels exchanged in one tube"""
    base = tube(31, nucleated=1500)
    yield Variant("none", False, checked(lambda folder: directory(folder, with_followup(base)), bad=False))
    for first, second in combinations([base.names[row][1] for row in base.dyes], 2):
        one, two = base.row_of(first), base.row_of(second)
        swapped = base.renamed({one: (base.names[one][0], second), two: (base.names[two][0], first)})
        made = checked(lambda folder, written=swapped: directory(folder, with_followup(written)), bad=True)  # type: ignore[misc]
        yield Variant(f"{first} and {second}", True, made)
    for first, second in (("CD22", "CD24"), ("CD10", "CD20"), ("CD34", "CD66b"), ("CD19", "CD22")):
        told = with_tags(base, first, second)
        made = checked(lambda folder, written=told: directory(folder, with_tags_of_controls(written)), bad=True)  # type: ignore[misc]
        yield Variant(f"{first} and {second}, told by $PnTAG alone", True, made)
    for marker in ("CD22", "CD19", "CD10"):
        row = base.row_of(marker)
        old = base.names[row][0]
        moved = base.renamed({row: ("BV785-A", marker)})
        moved = moved.with_matrix(base.matrix)
        made = checked(lambda folder, written=moved: directory(folder, with_followup(written)), bad=True)  # type: ignore[misc]
        yield Variant(f"{marker} on BV785 instead of {old}", True, made)
    for spelling in (str.lower, lambda name: name.replace("-", "_"), lambda name: name.replace("-", " ")):
        names = {row: (spelling(base.names[row][0]), base.names[row][1]) for row in base.dyes}
        spelt = base.renamed(names).with_matrix(base.matrix)
        made = checked(lambda folder, written=spelt: directory(folder, with_followup(written)), bad=False)  # type: ignore[misc]
        yield Variant("detectors spelt otherwise", False, made)


def with_tags(written: Written, first: str = "", second: str = "") -> Written:
    """With ``$PnTAG`` of FCS 3.2, two of them exchanged."""
    dyes = {written.names[row][1]: written.names[row][0].removesuffix("-A") for row in written.dyes}
    if first:
        dyes[first], dyes[second] = dyes[second], dyes[first]
    tags = {f"$P{row + 1}TAG": dyes[written.names[row][1]] for row in written.dyes}
    return replace(written, keywords={**written.keywords, **tags})


def with_tags_of_controls(written: Written) -> dict[str, tuple[Role, str, Written]]:
    """Controls with ``$PnTAG`` and a follow-up tube."""
    tubes = {name: (role, patient, with_tags(tube)) for name, (role, patient, tube) in controls().items()}
    return {**tubes, "FU": (Role.FOLLOWUP, "P1", written)}


def with_followup(written: Written, **more: tuple[Role, str, Written]) -> dict[str, tuple[Role, str, Written]]:
    """Controls and a follow-up tube."""
    return {**controls(), "FU": (Role.FOLLOWUP, "P1", written), **more}


@kind
def one_tube_twice() -> Iterator[Variant]:
    """One tube under two names"""
    base, other = tube(31, nucleated=1500), tube(32, nucleated=1500)
    labels = {row: (base.names[row][0], f"{base.names[row][1]} PE") for row in base.dyes}
    copies = {
        "a copy": base, "with other labels": base.renamed(labels), "compensated": base.compensated(),
        "its first half": replace(base, values=base.values[:, : base.values.shape[1] // 2]),
        "without its first events": replace(base, values=base.values[:, 300:]),
        "channels in another order": replace(
            base, names=base.names[::-1], values=base.values[::-1],
            dyes=tuple(len(base.names) - 1 - row for row in base.dyes),
        ),
        "without the clock": replace(base, names=base.names[:-1], values=base.values[:-1])
        if base.names[-1][0] == "Time" else base,
    }  # fmt: skip
    for name, copy in copies.items():
        for role, patient in (
            (Role.FOLLOWUP, "P2"), (Role.CONTROL, "C9"), (Role.DIAGNOSIS, "P1"), (Role.DIAGNOSIS, "P2"),
            (Role.FOLLOWUP, "P1"),
        ):  # fmt: skip
            tubes = with_followup(base, X=(role, patient, copy))
            made = checked(lambda folder, tubes=tubes: directory(folder, tubes), bad=True)  # type: ignore[misc]
            yield Variant(f"{name} as {role.value} of {patient}", True, made)
    tubes = with_followup(base, X=(Role.FOLLOWUP, "P2", other))
    yield Variant("another tube", False, checked(lambda folder: directory(folder, tubes), bad=False))


@kind
def sheet_of_a_spreadsheet() -> Iterator[Variant]:
    """Sheets as spreadsheet programs save them"""
    rows = [["sample", "patient", "role", "fcs", "timepoint"], ["A1", "P1", "followup", "../FU.fcs", "day 21"]]
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"):
        for separator in "\t;,":
            for quote in ("", '"'):
                for end in ("\n", "\r\n", "\r"):
                    text = end.join(separator.join(f"{quote}{cell}{quote}" for cell in row) for row in rows)
                    name = f"{encoding}, {separator!r}, quotes {bool(quote)}, {end!r}"
                    yield Variant(name, False, sheet(text.encode(encoding), bad=False))
    plain = "\n".join("\t".join(row) for row in rows)
    for name, raw in {
        "Follow-Up": plain.replace("followup", "Follow-Up"), "FOLLOWUP ": plain.replace("followup", "FOLLOWUP "),
        "column Sample": plain.replace("sample", "Sample", 1), "backslashes": plain.replace("../", "..\\"),
        "no-break space": plain.replace("P1", "P1\u00a0"),
    }.items():  # fmt: skip
        yield Variant(name, False, sheet(raw.encode(), bad=False))
    for name, spoilt in {
        "a PDF": b"%PDF-1.4", "an old workbook": b"\xd0\xcf\x11\xe0" + bytes(600),
        "a damaged workbook": b"PK\x03\x04nothing",
        "an FCS file": b"FCS3.1" + b" " * 60, "a web page": b"<!DOCTYPE html>", "nothing": b"",
        "no text": bytes(range(1, 200)), "misspelt column": plain.replace("patient", "pateint").encode(),
        "misspelt role": plain.replace("followup", "folowup").encode(),
        "two names": (plain + "\n" + plain.split("\n")[1]).encode(),
    }.items():  # fmt: skip
        yield Variant(name, True, sheet(spoilt, bad=True))

    for name, change, wrong in WORKBOOKS:
        yield Variant(f"workbook: {name}", wrong, sheet(workbook(rows, change), bad=wrong))


def hide_sheet(page: Worksheet) -> None:
    """The only sheet with the table does not show."""
    page.parent.create_sheet("notes")  # type: ignore[union-attr]
    page.sheet_state = "hidden"


def filtered(page: Worksheet) -> None:
    """A filter hides a row."""
    page.row_dimensions[2].hidden = True


WORKBOOKS: list[tuple[str, Callable[[Worksheet], object], bool]] = [
    ("plain", lambda page: None, False),
    ("a date", lambda page: page.__setitem__("E2", date(2024, 3, 16)), False),
    ("merged cells", lambda page: page.merge_cells("E2:E3"), True),
    ("a hidden sheet", hide_sheet, True),
    ("a hidden row", filtered, True),
    ("a formula without a result", lambda page: page.__setitem__("B2", '="P"&1'), True),
    ("a formula that failed", lambda page: page.__setitem__("E2", "#REF!"), True),
    ("struck through", lambda page: setattr(page["A2"], "font", Font(strike=True)), True),
]


def workbook(rows: list[list[str]], change: Callable[[Worksheet], object]) -> bytes:
    """An .xlsx with these rows, changed."""
    book = Workbook()
    page = book.active
    assert isinstance(page, Worksheet)  # noqa: S101
    for row in rows:
        page.append(row)
    change(page)
    kept = io.BytesIO()
    book.save(kept)
    return kept.getvalue()


def sheet(raw: bytes, *, bad: bool) -> Callable[[Path], Outcome]:
    """A run directory with this sheet."""

    def make(folder: Path) -> None:
        directory(folder, {"FU": (Role.FOLLOWUP, "P1", tube(31, nucleated=1500))})
        (folder / "config/samples.tsv").write_bytes(raw)

    return checked(make, bad=bad)


DAYS = [
    "16-MAR-2016", "16-Mar-16", "2016-03-16", "2016/3/16", "20160316", "16.03.2016", "16.3.16", "16/03/2016",
    "03/16/2016",
    "16-mars-2016", "16 M\u00e4rz 2016", "16 Ma\u0308rz 2016", "16-mrz-2016", "Mar 16, 2016", "Wed Mar 16 2016",
    "2016-MAR-16", "16Mar2016", "2016-03-16T10:00:00", "16 de marzo de 2016", "16 mar 2016", "16. Maerz 2016",
]  # fmt: skip
NO_DAYS = [
    "03/04/2016",
    "42445",
    "42445.5",
    "31-FEB-2016",
    "2016-13-01",
    "spring",
    "16-XYZ-2016",
    "",
    "16-2016",
    "0000-00-00",
]


def the_day(text: str, _: Path) -> Outcome:
    """Read a day that is 16 March 2016."""
    return "right" if read_day(text).isoformat() == "2016-03-16" else "wrong"


@kind
def dates() -> Iterator[Variant]:
    """Dates of instruments and spreadsheets"""
    for text in DAYS:
        yield Variant(text, False, partial(the_day, text))
    for text in NO_DAYS:
        yield Variant(text or "nothing", True, partial(no_day, text))


def no_day(text: str, _: Path) -> Outcome:
    """Read a text that is no single day."""
    try:
        read_day(text)
    except DayError:
        return "refused"
    return "wrong"


@kind
def misspelt_configuration() -> Iterator[Variant]:
    """Misspelt keys of the configuration"""
    for section, field in RunConfig.model_fields.items():
        yield Variant(section, True, configuration(f"{turned(section)}: x\n"))
        default = field.default
        for key in getattr(type(default), "model_fields", {}):
            yield Variant(f"{section}.{key}", True, configuration(f"{section}: {{{turned(key)}: 1}}\n"))


def turned(word: str) -> str:
    """A word with two letters exchanged."""
    return word[0] + word[2] + word[1] + word[3:] if len(word) > 2 and word[1] != word[2] else word + word[-1]


def configuration(text: str) -> Callable[[Path], Outcome]:
    """A run directory whose configuration has this line."""

    def make(folder: Path) -> None:
        directory(folder, {"FU": (Role.FOLLOWUP, "P1", tube(31, nucleated=1500))})
        whole = f"panel: ino10\nsamples: config/samples.tsv\n{text}"
        (folder / "config/config.yaml").write_text(whole, encoding="utf-8")

    return checked(make, bad=True)


@kind
def integers_above_the_range() -> Iterator[Variant]:
    """Integers above the range"""
    for limit in (1000, 1024, 10_000, 65_536, 262_144):
        for above in (0, 1, 5):
            yield Variant(f"{above} values above {limit}", above > 0, folded(limit, above))


def folded(limit: int, above: int) -> Callable[[Path], Outcome]:
    """Integers in 32 bits of which some reach beyond ``$PnR``."""

    def run(folder: Path) -> Outcome:
        values = np.arange(100, dtype=np.uint32) % min(limit, 1000)
        values[:above] = limit + 7
        pairs = {
            "$MODE": "L", "$DATATYPE": "I", "$BYTEORD": "1,2,3,4", "$PAR": "1", "$NEXTDATA": "0", "$TOT": "100",
            "$P1N": "FL1-A", "$P1B": "32", "$P1R": str(limit), "$P1E": "0,0",
        }  # fmt: skip
        body = ("/" + "/".join(part for pair in pairs.items() for part in pair) + "/").encode()
        begin = 58 + len(body)
        offsets = (58, begin - 1, begin, begin + 399, 0, 0)
        head = b"FCS3.0    " + b"".join(f"{offset:8d}".encode() for offset in offsets)
        path = folder / "a.fcs"
        path.write_bytes(head + body + values.astype("<u4").tobytes())
        found = sum(read_fcs(path)[0].above_range().values())
        return ("told" if above else "right") if found == above else ("wrong" if above else "false alarm")

    return run


@kind
def gates_of_a_reviewer() -> Iterator[Variant]:
    """A reviewer's GatingML"""
    changes: dict[str, tuple[Callable[[str], str], bool]] = {
        "unchanged": (lambda text: text, False),
        "the file's own matrix": (lambda text: text.replace('-ref="spillover"', '-ref="FCS"'), False),
        "uncompensated": (lambda text: text.replace('-ref="spillover"', '-ref="uncompensated"'), True),
        "a matrix that is not there": (lambda text: text.replace('-ref="spillover"', '-ref="mine"'), True),
        "another matrix": (lambda text: text.replace('transforms:value="0.', 'transforms:value="0.5'), True),
        "another scale": (lambda text: text.replace('transforms:W="', 'transforms:W="1'), True),
        "another parent": (lambda text: text.replace('parent_id="singlets"', 'parent_id="core"'), True),
        "no parent": (lambda text: text.replace(' gating:parent_id="singlets"', ""), True),
        "quadrants": (lambda text: text.replace("BooleanGate", "QuadrantGate"), True),
        "another combination": (lambda text: text.replace(' gating:use-as-complement="true"', ""), True),
        "an unknown gate": (lambda text: text.replace('id="cd22_pos"', 'id="cd22"'), True),
        "an unknown channel": (lambda text: text.replace('name="PE-A"', 'name="V1-A"'), True),
        "a document type": (lambda text: text.replace("<gating:Gating-ML", "<!DOCTYPE a><gating:Gating-ML", 1), True),
        "cut off": (lambda text: text[: len(text) // 2], True),
    }
    for name, (change, bad) in changes.items():
        yield Variant(name, bad, override(change, bad=bad))


def override(change: Callable[[str], str], *, bad: bool) -> Run:
    """Gate a tube with its own gates.xml, changed."""

    def run(folder: Path) -> Outcome:
        prepared, text = gated_tube()
        path = folder / "gates.xml"
        path.write_text(change(text), encoding="utf-8")
        try:
            gate(prepared, override=path)
        except InputError:
            return "refused" if bad else "false alarm"
        return "wrong" if bad else "right"

    return run


@lru_cache(maxsize=1)
def gated_tube() -> tuple[Tube, str]:
    """A preprocessed tube and its gates.xml."""
    with tempfile.TemporaryDirectory() as folder:
        path = tube(11).write(Path(folder) / "tube.fcs")
        prepared = preprocess(read_tube(path, panel_of("ino10"), check=False))
    return prepared, write_gatingml(gate(prepared).gate_result, panel_of("ino10").gates, column_origin(prepared))


DETECTORS = [
    "Cascade Yellow-A", "Super Bright 600-A", "TRITC-A", "Hoechst Red-A", "Indo-1 (Violet)-A", "SYTOX Blue-A",
    "7-AAD-A",
    "Real Blue 744-A", "Marina Blue-A", "Nile Red-A", "EGFP-A", "Comp-PE-A", "<PE-A>", "PE-Fire 810-A", "488-530_30-A",
    "VioGreen-A", "Pacific Blue-A", "Qdot 605-A", "BB700-A", "APC/Fire 750-A", "FL11-A", "640-670/14-A", "UV8-A",
]  # fmt: skip
PEOPLE = [
    "M\u00fcller Anna",
    "Schmidt-A",
    "PE Meier",
    "Marina Rossi",
    "Jos\u00e9 Garc\u00eda",
    "CD10 Smith",
    "19670412",
    "Doe^Jane",
]


@kind
def scrubbing() -> Iterator[Variant]:
    """Scrubbing: detectors stay, people go"""
    for name in DETECTORS:
        kept: Outcome = "right" if printable_name(name) == name else "false alarm"
        yield Variant(name, False, lambda _, kept=kept: kept)  # type: ignore[misc]
    for name in PEOPLE:
        gone: Outcome = "refused" if "?" in printable_name(name) else "wrong"
        yield Variant("a person", True, lambda _, gone=gone: gone)  # type: ignore[misc]
