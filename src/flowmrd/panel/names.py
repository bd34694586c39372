"""Channel names of instruments: scatter, time, pulse features, dyes and detectors.

Names as seen in files of BD (FACSCalibur, FACSDiva, Lyric, Accuri), Beckman Coulter (XL, Navios, CytoFLEX, DxFLEX),
Cytek, Miltenyi MACSQuant, Partec/Sysmex, Sony, Bio-Rad and Attune instruments.
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = [
    "FEATURES",
    "compact",
    "detector_forms",
    "detector_name",
    "dye_key",
    "dye_of_file",
    "is_antigen",
    "is_noise",
    "is_plain_scatter",
    "is_time_name",
]
__all__ += [
    "printable_name",
    "pulse_feature",
    "qualifier",
    "says_compensated",
    "scatter_name",
    "tokens",
    "without_compensation",
]

FEATURES = {
    **dict.fromkeys(("A", "AREA", "INT", "INTEGRAL"), "A"),
    **dict.fromkeys(("H", "HEIGHT", "PEAK"), "H"),
    **dict.fromkeys(("W", "WIDTH", "TOF"), "W"),
}
"""Words for pulse area, height and width."""

_SCALES = ("LIN", "LINEAR", "LOG")

# Words that may stand beside a marker without naming another one: dyes, lasers, detectors, pulse features, scales.
_DYES = (
    r"FITC|PE|PERCP|APC|APCH7|AF\d{3}|A\d{3}|ALEXA|ALEXAFLUOR|FLUOR|ALX\d{3}|BV\d{3}|BUV\d{3}|BB\d{3}|BYG\d{3}|RB\d{3}|RY\d{3}|R\d{3}"
    r"|SB\d{3}|SNV\d{3}|V450|V500C?|EF\d{3}|EFLUOR|EFLUOR\d{3}|SUPERBRIGHT|CF\d{3}|DAZZLE|CFLUOR|SPARK|NFB?\d{3}|NOVAFLUOR|QD\d{3}|QDOT"
    r"|PECY\d{1,2}|PERCPCY\d{1,2}|APCCY\d{1,2}|PERCPVIO\d*|PEVIO\d*|APCVIO\d*|CY\d{1,2}|CY|H7|FIRE|FIRE\d{3}|VIO\d{3}|VIOBLUE|VIOGREEN|VIO|VIOBRIGHT"
    r"|PC5|PC55|PC7|ECD|TXRED|TEXASRED|TEXAS|TR|PACBLUE|PB|PBE|KO|KRO|PACIFIC|PACIFICBLUE|PACIFICORANGE|KROME|ORANGE|AMCYAN|BRILLIANT"
    r"|HORIZON|CYANINE\d{1,2}|STARBRIGHT|REALBLUE|REALYELLOW|KIRAVIA|EVOLVE|ATTO|DYLIGHT|SUPER|DAPI|PI|7AAD|ZOMBIE|AQUA|NIR|GFP|YFP|RFP|MCHERRY|TDTOMATO|DSRED"
)
_OPTICS = (
    r"VIOLET|BLUE|RED|GREEN|YELLOW|YG|UV|DUV|ULTRAVIOLET|INFRARED|LASER|FL\d{1,2}|[BVRYGU]\d{1,3}|VL\d{1,2}|BL\d{1,2}|RL\d{1,2}|YL\d{1,2}"
    r"|BP|LP|NM|HDR|GRN|YEL|ORG|FS\d\d|SS\d\d|CH\d{1,3}|\d{1,4}"
)
_NOISE = re.compile(
    rf"(?:{_DYES}|{_OPTICS}|{'|'.join(FEATURES)}|{'|'.join(_SCALES)}|COMP|FJCOMP|COMPENSATED|UNMIXED|UL|ANTI|HU|HUMAN|MAB|CLONE)+"
)
_DYE_START = re.compile(rf"(?:{_DYES}|VIOLET|BLUE|RED|GREEN|YELLOW|UV|FL\d{{1,2}}).*")

_FORWARD = r"(?:FSC|FS|FWD|FORWARD|FORWARDSC|FORWARDSCATTER|FWSC|FALS|LALS|ALS)\d?"
_SIDE = r"(?:SSC|SS|SIDE|SIDESC|SIDESCATTER|RALS|BSC|BSSC|BSS|SALS|90LS)\d?"
_BEAM = r"(?:B|BLUE|V|VIOLET|R|RED|G|YG|UV|PAR|PARA|LN|PMT|IMAGING|[BV]?SSC)"
_GLUED = re.compile(r"(LIN|LOG)(A|H|W)|(A|H|W)(LIN|LOG)")  # CyAn: FSC LinA; Guava: FSC-HLin
_ANTIGEN = re.compile(
    r"(?:CY|CYTO|ICS?|S|SM|TOTAL)?(?:HLA(?:DR|DQ|DP|ABC)?|TCR(?:AB|GD|VA\d+|VB\d+|VD\d)?|KAPPA|LAMBDA|IG[ADEGM]\d?"
    r"|CRLF2|TSLPR|TDT|MPO|SYTO|NG2|KI67|FOXP3|CXCR\d|CCR\d{1,2}|IL\d{1,2}RA?|PD1|PDL1|TIM3|LAG3|TIGIT|FLT3|KIT|BCL2"
    r"|GPA|GLYCOPHORIN|LYSOZYME|LACTOFERRIN|GRANZYME|PERFORIN|PAX5|BSAP|DRAQ\d|DYE|LIVE|DEAD|VIABILITY|NESTIN|EGFR)"
)
_GREEK = str.maketrans({"α": "A", "β": "B", "γ": "G", "δ": "D", "κ": "KAPPA", "λ": "LAMBDA", "µ": "U", "μ": "U"})


def tokens(text: str) -> list[str]:
    """Words of a name in upper case, split at every character that is neither letter nor digit."""
    words = []
    for word in re.split(r"[^0-9A-Z]+", text.translate(_GREEK).upper()):
        glued = _GLUED.fullmatch(word)
        words += [part for part in glued.groups() if part] if glued else [word]
    return [word for word in words if word]


def compact(text: str) -> str:
    """A name in upper case without blanks and punctuation, for comparison."""
    return "".join(tokens(text))


@lru_cache(maxsize=4096)
def is_noise(word: str) -> bool:
    """Whether a compact word consists only of dyes, optics, pulse features and scales."""
    return _NOISE.fullmatch(word) is not None


_QUALIFIERS = {
    **dict.fromkeys(
        ("CY", "CYT", "CYTO", "CYTOPLASMIC", "IC", "ICS", "INTRA", "INTRACELLULAR", "I", "C"), "cytoplasmic"
    ),
    **dict.fromkeys(("NUC", "NUCLEAR", "INTRANUCLEAR", "PERM"), "cytoplasmic"),
    **dict.fromkeys(("ISO", "ISOTYPE", "ISOCTRL", "ISOCONTROL", "ISOTYPECONTROL", "MOPC21"), "an isotype control"),
    **dict.fromkeys(("FMO", "FMX", "MINUS", "WITHOUT", "WO", "OHNE", "SANS", "NO", "NONE"), "a control without it"),
    **dict.fromkeys(("UNSTAINED", "UNSTAIN", "BLANK", "EMPTY", "NEG", "NEGATIVE", "NEGCTRL"), "a control without it"),
    **dict.fromkeys(("DUMP", "LINEAGE", "EXCLUSION", "CHANNELDUMP"), "a dump channel"),
    **dict.fromkeys(("BLOCK", "BLOCKED", "BLOCKING", "COLD"), "blocked"),
    **dict.fromkeys(("CAR", "SOLUBLE", "SECRETED"), "another molecule"),
}
"""Words beside a marker by which the channel is not the marker on the surface of cells."""

_IMMUNOGLOBULIN = re.compile(r"M?R?IGG\d?[ABCK]*K?|M?IGM[K]?|M?IGGK")


def qualifier(text: str | None) -> str:
    """Why a label is not that of a surface marker: ``cytoplasmic``, ``an isotype control`` and so on.

    Empty where it is. ``PE-Cy 7`` is a dye; ``cy CD22`` and ``cyCD22`` are cytoplasmic."""
    if text is None:
        return ""
    if re.search(r"\(\s*[-\u2212\u2013]\s*\)|(?<![A-Za-z])w/o(?![A-Za-z])", text, re.IGNORECASE):
        return "a control without it"
    words = tokens(text)
    for place, word in enumerate(words):
        if word in {"CY", "C", "I", "NO"} and _is_part_of_name(words, place):
            continue
        if word in _QUALIFIERS and not (word == "C" or (word == "I" and len(words) == 1)):
            return _QUALIFIERS[word]
        glued = re.fullmatch(r"(CY|CYT|CYTO|IC|ICS|INTRA|C|I|NUC|ISO|FMO|MINUS|NO|NEG|DUMP)(CD\d{1,3}[A-Z]?\d*)", word)
        if glued and glued[1] in _QUALIFIERS and not (glued[1] in {"CY"} and place and words[place - 1] in _BEFORE_CY):
            return _QUALIFIERS[glued[1]]
        glued = re.fullmatch(r"(CD\d{1,3}[A-Z]?)(FMO|ISO|MINUS|NEG|DUMP|CY|IC|CYTO|INTRA|BLOCK)", word)
        if glued:
            return _QUALIFIERS[glued[2]]
        if _IMMUNOGLOBULIN.fullmatch(word) and any(re.match(r"CD\d", other) for other in words):
            return "an isotype control"
    return ""


_BEFORE_CY = frozenset({"PE", "APC", "PERCP"})


def _is_part_of_name(words: list[str], place: int) -> bool:
    """Whether a short word belongs to a dye or detector: the Cy of ``PE Cy7``, the No of ``No. 5``."""
    before = words[place - 1] if place else ""
    after = words[place + 1] if place + 1 < len(words) else ""
    if words[place] == "CY":
        return (before in _BEFORE_CY and not after.startswith("CD")) or after[:1].isdigit()
    if words[place] == "NO":
        return after[:1].isdigit()
    return not after.startswith("CD")


def starts_with_dye(word: str) -> bool:
    """Whether a compact word begins with a dye or laser name of at least two letters."""
    return _DYE_START.fullmatch(word) is not None


def pulse_feature(text: str | None) -> str:
    """``A``, ``H`` or ``W`` (area, height, width) from the last word of a name, or an empty string."""
    for word in reversed(tokens(text or "")):
        if word in FEATURES:
            return FEATURES[word]
        if word not in _SCALES:
            return ""
    return ""


def amplification(text: str | None) -> str:
    """``LIN``, ``LOG`` or an empty string: Beckman Coulter stores a signal on both scales."""
    words = tokens(text or "")
    return "LOG" if "LOG" in words else "LIN" if "LIN" in words or "LINEAR" in words else ""


def scatter_name(text: str | None) -> str | None:
    """Scatter signal of a name: ``FSC-A``, ``SSC-H``, ..., ``FSC`` without a feature; ``None`` if not scatter.

    Second scatter detectors (violet side scatter, perpendicular forward scatter) get a suffix, such as ``SSC2-A``, so
    that they are never taken for the first.
    """
    words, feature = _without_feature(text)
    name = "".join(words)
    if not feature and len(words) == 1 and len(name) > 2 and name[-1] in "AHW" and _scatter_kind([name[:-1]]):
        feature, words = name[-1], [name[:-1]]  # FSCA
    kind = _scatter_kind(words)
    if kind is None:
        return None
    return f"{kind}-{feature}" if feature else kind


def is_plain_scatter(text: str | None) -> bool:
    """Whether a scatter name names no laser: ``SSC-A``, not ``SSC-B-A``."""
    words, _ = _without_feature(text)
    return re.fullmatch(rf"{_FORWARD}|{_SIDE}", "".join(words)) is not None


def _without_feature(text: str | None) -> tuple[list[str], str]:
    """Words of a name before its pulse feature and scale, and the feature."""
    words = tokens(text or "")
    feature = ""
    while words and (words[-1] in FEATURES or words[-1] in _SCALES):
        last = words.pop()
        feature = feature or FEATURES.get(last, "")
    return [word for word in words if word not in _SCALES], feature


def _scatter_kind(words: list[str]) -> str | None:
    """``FSC`` or ``SSC``, with a 2 behind it for a second detector.

    Bio-Rad ZE5 writes the wavelength and the width of the filter (``FSC 488/10``) or the number of the detector
    (``FS00``, ``SS02``).
    """
    if len(words) > 1 and all(word.isdigit() for word in words[1:]):
        words = [words[0], *(["B"] if words[1] in {"488", "00", "02"} else ["V"])]
    name = "".join(words)
    for kind, pattern in (("FSC", _FORWARD), ("SSC", _SIDE)):
        if re.fullmatch(rf"{pattern}(?:B|BLUE|488|PAR|PARA)?|(?:B|BLUE|488){pattern}|{kind[:2]}0\d", name):
            return kind
        if re.fullmatch(rf"{pattern}(?:{_BEAM}|PERP|\d+)|(?:{_BEAM}|PERP|\d{{3}}){pattern}", name):
            return f"{kind}2"
    return None


def is_time_name(pnn: str | None, pns: str | None = None) -> bool:
    """Whether a name is the acquisition clock: Time, TIME, Time_1, HDR-T, ``Time (204.80 sec.)``.

    A clock stored as two words (``TIME LSW``, ``TIME MSW``) is not a time: each channel holds half of a number."""
    name = compact(pnn or "")
    if re.fullmatch(r"(HDR)?TIME\d{0,2}|HDRT", name) or (name.startswith("TIME") and "SEC" in name):
        return True
    return not name and compact(pns or "") == "TIME"


_MARKS = frozenset({"COMP", "FJCOMP", "COMPENSATED", "COMPD", "UNMIXED", "UNMIX"})
"""Words by which exporting programs say that the values of a channel are compensated or unmixed."""


def says_compensated(name: str | None) -> bool:
    """Whether a detector name marks values that were compensated or unmixed before the export.

    ``Comp-FITC-A`` (FlowJo), ``FJComp-FITC-A`` (flowWorkspace), ``<FITC-A>`` (flowCore, FlowJo 9), ``FITC-A_comp``,
    ``FITC-A (compensated)``, ``Unmixed FITC-A``, ``CompFITC-A``.
    """
    return name is not None and without_compensation(name) != name.strip()


def without_compensation(name: str) -> str:
    """A channel name without the mark of compensated or unmixed values, see :func:`says_compensated`."""
    bare = name.strip()
    if re.fullmatch(r"<.+>", bare):
        bare = bare[1:-1].strip()
    for word in re.findall(r"[0-9A-Za-z]+", bare):
        upper = word.upper()
        if upper in _MARKS:
            bare = re.sub(rf"(?<![0-9A-Za-z]){word}(?![0-9A-Za-z])", " ", bare, count=1)
        else:
            glued = re.fullmatch(r"(FJCOMP|COMP)(\d?[A-Z][0-9A-Z]+)|([0-9A-Z]*[0-9A-Z])(COMP|UNMIXED)", upper)
            rest = glued and (glued[2] or glued[3])
            if rest and is_noise(rest) and starts_with_dye(rest):
                start = upper.index(rest)
                bare = bare.replace(word, word[start : start + len(rest)], 1)
    if bare == name.strip():
        return bare
    bare = re.sub(r"\(\s*\)|\[\s*\]", "", bare)
    return re.sub(r"^[\s\-_:.]+|[\s\-_:.]+$", "", re.sub(r"([-_:. ])[\s\-_:.]+", r"\1", bare))


def detector_forms(pnn: str) -> list[str]:
    """Spellings of a detector to try against a panel's pattern, the stored one first.

    ``FL5 INT LIN`` is also tried as ``FL5-A``, ``PE_Cy7-A`` as ``PE-Cy7-A``, ``Comp-PE-A`` as ``PE-A``.
    """
    pnn = without_compensation(pnn)
    words = [word for word in re.split(r"[\s_/\-]+", pnn.strip()) if word]
    kept = [word for word in words if word.upper() not in _SCALES]
    feature = FEATURES.get(kept[-1].upper(), "") if kept else ""
    base = kept[:-1] if feature else kept
    forms = [pnn.strip(), "-".join(words)]
    if base:
        forms += [f"{'-'.join(base)}-{feature or 'A'}", f"{' '.join(base)}-{feature or 'A'}"]
    return list(dict.fromkeys(forms))


def detector_name(pnn: str | None) -> str:
    """A detector name without pulse feature, scale and mark of compensation (``PE-Cy7``), for comparing tubes."""
    bare = without_compensation(pnn or "")
    words = re.split(r"([\s_\-]+)", bare)
    while len(words) > 1 and (words[-1].upper() in FEATURES or words[-1].upper() in _SCALES):
        words = words[:-2]
    return "".join(words)


_DETECTOR_WORDS = re.compile(
    r"TRITC|CFSE|7?AAD|RHODAMINE|CALCEIN|E[GYC]FP|TAG[BR]FP|CERULEAN|TOMATO|AUTOFLUORESCENCE|HOECHST|SYTOX|INDO1?|FURA"
    r"|FLUO[34]?|CELL(?:TRACE|TRACKER|TOX)|(?:SUPER)?BRIGHT|CASCADE|KUSABIRA|EVENTS?|LENGTH|RATIO|(?:BLUE|RED|VIOLET)?PMT"
    r"|(?:GREEN|YELLOW)PMT|APD|DETECTOR|CHANNEL|NEAR|DICHROIC|FIXABLE|GHOST|MITOTRACKER|BODIPY|TAMRA|ROX|ZSGREEN|AZAMI"
    r"|CITRINE|TSAPPHIRE|[CY]YPET|INTENSITY|SIGNAL|OFF|REAL|BLANK"
)
"""Words of detectors and dyes that are in no list above and are nobody's name."""

_DETECTOR_NAMES = re.compile(
    r"MARINABLUE|NILERED|VENUS|CASCADE(?:BLUE|YELLOW)|FURARED|LASERPOWER|SAMPLEFLOWRATE|EVENT(?:NUMBER|COUNT|LENGTH)?"
)
"""Dyes and detectors of which a word alone might be a person's name: kept only as a whole."""


def dye_of_file(pnn: str | None, panel_dye: str | None, tag: str | None = None) -> tuple[str | None, bool]:
    """The dye of a channel, and whether it is the panel's. A dye that the file names goes before the panel's.

    Where the detector names no dye (``FL2-A``, ``B525-A``, ``CD19-A``), the panel's dye is taken.

    Parameters
    ----------
    tag
        ``$PnTAG`` of FCS 3.2, the name of the dye. It goes before the detector, which may be named after another dye.
    """
    if tag:
        same = panel_dye is not None and dye_key(tag) == dye_key(panel_dye)
        return (panel_dye, True) if same else (tag, False)
    detector = detector_name(pnn)
    words = tokens(detector)
    named = bool(words) and starts_with_dye(words[0]) and re.match(r"(FL|[VBRYGU]|UV|YG)\d|\d", words[0]) is None
    if not named or not all(is_noise(word) for word in words):
        return panel_dye, True
    if panel_dye is not None and dye_key(detector) == dye_key(panel_dye):
        return panel_dye, True
    return detector, False


def dye_key(name: str) -> str:
    """Key that is equal for all spellings of one dye or detector: ``Alexa Fluor 700`` and ``AF700``."""
    return re.sub(r"ALEXA(?:FLUOR)?|ALX", "AF", compact(name)).replace("PACBLUE", "PACIFICBLUE")


def printable_name(text: str | None, known: frozenset[str] = frozenset()) -> str:
    """A channel name in which every unknown word is replaced by ``?``.

    Parameters
    ----------
    known
        Markers and aliases of the panel in compact form.

    Notes
    -----
    Some laboratories type a patient's name into ``$PnS``. Kept are dyes, detectors, scatter, CD numbers, usual
    antigens, names of the panel, and words of at most two letters with a number. Every other word becomes ``?``.
    """
    if not text:
        return ""
    if compact(text) in known or scatter_name(text) or is_time_name(text):
        return text.strip()
    if _DETECTOR_NAMES.fullmatch(compact(detector_name(text))):
        return text.strip()
    parts = re.split(r"([^0-9A-Za-z\u00c0-\uffff]+)", text.strip())
    shown = [part if index % 2 or not part or _about_channel(part, known) else "?" for index, part in enumerate(parts)]
    return "".join(shown)


def is_antigen(word: str) -> bool:
    """Whether a compact word is an antigen without a CD number: TdT, kappa, IgM, HLA-DR."""
    return word not in {"DYE", "LIVE", "DEAD", "VIABILITY"} and _ANTIGEN.fullmatch(word) is not None


def _about_channel(word: str, known: frozenset[str]) -> bool:
    name = compact(word)
    if not name.isascii() or not name or (name.isdigit() and len(name) > 4):
        return False
    if name in known or is_noise(name) or len(name) <= 2 or scatter_name(name) or is_time_name(name):
        return True
    if _ANTIGEN.fullmatch(name) or name in _QUALIFIERS or _DETECTOR_WORDS.fullmatch(name) or qualifier(word):
        return True
    match = re.match(r"CD\d{1,3}[A-Z]?", name)
    if match:
        rest = name[match.end() :]
        return not rest or is_noise(rest) or is_noise(name[match.end() - 1 :])
    return re.fullmatch(r"[A-Z]{1,2}\d{1,3}", name) is not None
