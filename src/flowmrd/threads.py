"""One thread for numerical libraries, also where flowmrd is called from a notebook.

The matrices of one tube are small. With one thread per core, the threads spend most of their processor time waiting for
each other. The order of additions, and with it the last bits of a result, would then depend on the machine. Commands
set the usual environment variables before numpy is imported. In a process that has already imported numpy, the limit
must be set in numpy's libraries themselves.
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
    """Limit BLAS and OpenMP to one thread, as a context manager or as a decorator."""
    if all(os.environ.get(name) == "1" for name in THREAD_VARIABLES):
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield
