"""The exception tree: every error a user can meet, and the exit code it ends in.

::

    FlowmrdError                    exit code 1: our fault unless a subclass says otherwise
    ├── InputError                  exit code 2: the input is wrong, the message says what to do
    │   ├── ConfigError             config.yaml
    │   ├── SheetError              samples.tsv, patients.tsv, adverse_events.tsv
    │   │   ├── ColumnError         an unknown column in one of them
    │   │   └── RepeatedSampleError one name for two tubes
    │   ├── PanelError              panels/*.yaml
    │   ├── FcsError                an FCS file that cannot be read, or only by guessing
    │   ├── ChannelError            a channel the panel needs is missing or ambiguous
    │   ├── CompensationError       a spillover matrix is missing, malformed or singular
    │   ├── TransformError          values or parameters a transform cannot take
    │   ├── GateError               a gate tree, gate override or GatingML file
    │   │   ├── UnavailableGateError  a gate that this tube cannot have, for want of a channel or parent
    │   │   └── UnknownTubeError      an expert's file of gates that does not hold this tube
    │   ├── ArtefactError           a stored reference, LAIP or column file
    │   ├── ReviewError             a review file or the review log
    │   ├── TrialError              clinical tables that contradict themselves
    │   └── ResourceError           not enough memory or disk was granted; says how much to ask for
    └── InternalError               a contradiction inside flowmrd: a bug

Every message answers four questions: which file or row, what was found, what was expected, what to do next.
"""

from __future__ import annotations

__all__ = [
    "ArtefactError",
    "ChannelError",
    "ColumnError",
    "CompensationError",
    "ConfigError",
    "FcsError",
    "FlowmrdError",
    "GateError",
    "InputError",
    "InternalError",
    "PanelError",
    "ResourceError",
    "ReviewError",
    "SheetError",
    "TransformError",
    "TrialError",
    "UnavailableGateError",
    "UnknownTubeError",
    "counted",
]


class FlowmrdError(Exception):
    """Root of all errors raised on purpose by flowmrd."""

    exit_code = 1


class InputError(FlowmrdError):
    """The input is wrong and the user can put it right.

    Parameters
    ----------
    where
        File, row or field concerned. File *names* only where the path is the user's own; never an FCS keyword value.
    found
        What was found there.
    expected
        What would have been right.
    todo
        The next step for the person reading the message.
    """

    exit_code = 2

    def __init__(self, where: str, *, found: str, expected: str, todo: str) -> None:
        self.where = where
        self.found = found
        self.expected = expected
        self.todo = todo
        super().__init__(f"{where}: found {found}; expected {expected}. What to do: {todo}.")


class ConfigError(InputError):
    """``config.yaml`` is missing, malformed or contradicts itself."""


class SheetError(InputError):
    """A row or column of a tab-separated sheet is wrong."""


class ColumnError(SheetError):
    """A sheet has an unknown column.

    Parameters
    ----------
    near
        The known column whose name is most similar; None where none is similar.
    """

    def __init__(self, where: str, *, found: str, expected: str, todo: str, near: str | None = None) -> None:
        super().__init__(where, found=found, expected=expected, todo=todo)
        self.near = near


class RepeatedSampleError(SheetError):
    """Two rows of the sample sheet have one name.

    Parameters
    ----------
    sample, patient
        The name, and the patient whom both rows name; empty where they differ.
    """

    def __init__(self, where: str, *, found: str, expected: str, todo: str, sample: str, patient: str) -> None:
        super().__init__(where, found=found, expected=expected, todo=todo)
        self.sample, self.patient = sample, patient


class PanelError(InputError):
    """A panel file is malformed or unknown."""


class FcsError(InputError):
    """An FCS file is damaged, truncated, not list mode or not FCS at all."""


class ChannelError(InputError):
    """A channel that the panel needs is missing from the file, or two channels claim it."""


class CompensationError(InputError):
    """A spillover matrix is missing, malformed, singular or does not fit the file."""


class TransformError(InputError):
    """Transform parameters or values outside what the transform is defined for."""


class GateError(InputError):
    """A gate tree, a gate override or a GatingML file is wrong, or a gate is asked for that does not exist."""


class UnavailableGateError(GateError):
    """A gate of the panel that this tube cannot have, because a channel or a parent is missing."""


class UnknownTubeError(GateError):
    """A file of gates does not hold the tube that was asked for."""


class ArtefactError(InputError):
    """A stored reference, LAIP model or column file is missing, altered or of another version."""


class ReviewError(InputError):
    """A review file does not belong to this result, or the review log was altered."""


class TrialError(InputError):
    """Clinical tables are incomplete or contradict themselves."""


class ResourceError(InputError):
    """Memory or disk granted to this job is below what the input needs."""


class InternalError(FlowmrdError):
    """flowmrd contradicts itself. This is a bug; please report it with the log."""


def counted(number: int, thing: str, more: str = "") -> str:
    """A number with its noun, for messages: ``1 tube``, ``2 tubes``; ``more`` is a plural that does not end in s.

    Examples
    --------
    >>> counted(1, "tube"), counted(0, "tube")
    ('1 tube', '0 tubes')
    """
    return f"{number} {thing if number == 1 else more or thing + 's'}"
