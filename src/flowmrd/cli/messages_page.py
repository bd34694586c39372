"""``docs/reference/messages.md``: every coded message with its effect on the verdict and its next step."""

from __future__ import annotations

from flowmrd.flags import MEANINGS, REGISTRY, FlagKind
from flowmrd.report.language import message_id

__all__ = ["messages_page"]


def messages_page(note: str) -> str:
    """Markdown of the registry, one section for each effect; ``note`` says where the page comes from."""
    lines = [f"<!-- {note} -->", "# Messages", ""]
    lines += [
        "Every reason of a verdict, flag of quality control and finding about a file has a code. This page says what",
        "each does to the verdict of its tube and what to do next. The codes of a tube are in `verdict.reasons` of",
        "`mrd.json`, in `flags` of `qc.json` and `gates.json`, in `findings` of `ingest.json`, and on the page of the",
        "tube. Of several messages of one section, the one that stands first here is named first. Words in braces",
        "differ from tube to tube.",
    ]
    for effect, meaning in MEANINGS.items():
        kinds = [kind for kind in REGISTRY.values() if kind.effect is effect]
        named = [kind for kind in kinds if "file" not in kind.places]
        lines += ["", f"## {effect.value.replace('_', ' ').capitalize()}", meaning, ""]
        lines += ["| code | sentence | next step |", "|---|---|---|"]
        lines += [_row(kind) for kind in named]
        if len(named) < len(kinds):
            found = ", ".join(f"`{kind.code}`" for kind in kinds if "file" in kind.places)
            lines += ["", f"Findings about a file, whose sentences name the keyword: {found}."]
    return "\n".join(lines) + "\n"


def _row(kind: FlagKind) -> str:
    step = f"{kind.step} *{kind.question}*" if kind.question else kind.step
    return f"| `{kind.code}` | {_cell(message_id(kind.sentence))} | {_cell(message_id(step))} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").strip()
