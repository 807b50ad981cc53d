"""Memory that a server of many threads does not keep.

The C library gives each thread a heap of its own, and what one page needed for a moment stays in its thread's heap when
the next page is made in another. One heap for all is 10 MB less here; Python runs one thread at a time anyway.
"""

from __future__ import annotations

_ARENAS = -8  # M_ARENA_MAX of glibc


def one_heap() -> None:
    """From now on, for all threads. Where the C library is another one, nothing changes."""
    import ctypes  # noqa: PLC0415  # 5 ms, for servers alone

    try:
        ctypes.CDLL(None).mallopt(_ARENAS, 1)
    except (AttributeError, OSError):
        return
