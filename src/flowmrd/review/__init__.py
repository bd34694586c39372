"""Review of results: signed decisions, kept in an append-only, hash-chained log.

Commands meant for these functions::

    flowmrd review import RUNDIR FILE [--key KEY]     import_review
    flowmrd review status RUNDIR [--json]             review_status
    flowmrd review keygen FOLDER                      make_key
    flowmrd verify RUNDIR [--public-key PUB] [--head HASH]   flowmrd.stages.verify.verify

A key with a passphrase takes it from the environment variable ``FLOWMRD_REVIEW_PASSPHRASE``, never from an argument.
"""

from flowmrd.review.importing import import_review
from flowmrd.review.keys import make_key
from flowmrd.review.log import LogEntry, check_log
from flowmrd.review.model import Decision, ReviewFile, read_review
from flowmrd.review.status import ReviewState, SampleReview, review_status, signatures_of

__all__ = [
    "Decision",
    "LogEntry",
    "ReviewFile",
    "ReviewState",
    "SampleReview",
    "check_log",
    "import_review",
    "make_key",
    "read_review",
    "review_status",
    "signatures_of",
]
