"""Numeric libraries in one thread: for matrices as small as ours, more of them cost ten times the CPU and gain nothing.

The library that numpy computes with reads how many threads it may use once, when it is loaded. One also makes the sums
the same on a machine with other cores.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SETTINGS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "BLIS_NUM_THREADS")


@contextmanager
def in_one_thread() -> Iterator[None]:
    """Import numpy in here. Afterwards the surroundings are as they were: a run's own program keeps its threads.

    Where numpy is loaded already, it stays as it is.
    """
    before = {name: os.environ.get(name) for name in _SETTINGS}
    os.environ.update(dict.fromkeys(_SETTINGS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
