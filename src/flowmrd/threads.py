"""One thread for numerical libraries, also where flowmrd is called from a notebook.

The matrices of one tube are small: with as many threads as the machine has cores, classifying a tube spends most of its
processor time on waiting for each other, and the order of additions, which shows in the last bits, depends on the
machine. Commands set the usual environment variables before numpy is imported; in a process that has imported numpy
already only its libraries can be told.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["THREAD_VARIABLES", "one_thread"]

THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it, and within functions that it decorates, BLAS and OpenMP compute with one thread."""
    if all(os.environ.get(name) == "1" for name in THREAD_VARIABLES):
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield
