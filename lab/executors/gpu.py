"""How much GPU memory the processes of a run hold, as NVML tells it. Without an NVIDIA driver nothing is loaded.

Asked by the lab and not by the warden: NVML names processes by the pids of the host. Where it hides them (some
containers, MIG without the right) nothing is known, and nothing is said.
"""

from __future__ import annotations

import os
import time
from functools import cache
from typing import TYPE_CHECKING

from lab.store import processes

if TYPE_CHECKING:
    import ctypes
    from collections.abc import Sequence

SIGNS = ("/dev/nvidiactl", "/proc/driver/nvidia")
LIBRARY = "libnvidia-ml.so.1"
_EVERY_S = 1.0
_MOST = 1024
_UNKNOWN = (1 << 64) - 1
_ASKS = ("_v3", "_v2", "")  # the last one has a shorter record
_MB = 1 << 20


class Meter:
    """The peak of one run. The driver is loaded at the first look, so that a short run does not pay for it."""

    def __init__(self, *, signs: Sequence[str] = SIGNS, library: str = LIBRARY) -> None:
        self._there = any(os.path.exists(sign) for sign in signs)
        self._library = library
        self._nvml: _Nvml | None = None
        self._next_s = 0.0
        self._peak: int | None = None

    def look(self, pid: int) -> None:
        """Add up what the descendants of a process hold on all GPUs now."""
        if not self._there or time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + _EVERY_S
        try:
            self._nvml = self._nvml or _opened(self._library, os.getpid())
        except (OSError, AttributeError):
            self._there = False
            return
        held = self._nvml.held_by(set(processes.descendants(pid)))
        if held is not None:
            self._peak = max(self._peak or 0, held)

    def peak_mb(self) -> float | None:
        """The most that was seen; None when the run was never seen on a GPU."""
        return None if self._peak is None else round(self._peak / _MB, 3)


@cache
def _opened(library: str, _pid: int) -> _Nvml:
    """Kept for all runs of a process: to start the driver can take a second. Not for its children: they start anew."""
    return _Nvml(library)


class _Nvml:
    def __init__(self, library: str) -> None:
        import ctypes  # noqa: PLC0415  # 2 ms, and only where there is a GPU

        self._c = ctypes
        self._lib = ctypes.CDLL(library)
        if self._lib.nvmlInit_v2() != 0:
            raise OSError("NVML does not start")
        count = ctypes.c_uint()
        self._lib.nvmlDeviceGetCount_v2(ctypes.byref(count))
        self._devices: list[ctypes.c_void_p] = []
        for index in range(count.value):
            device = ctypes.c_void_p()
            if self._lib.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(device)) == 0:
                self._devices.append(device)
        names = (f"nvmlDeviceGetComputeRunningProcesses{version}" for version in _ASKS)
        self._name = next((name for name in names if hasattr(self._lib, name)), "")
        if not self._name:
            raise OSError("NVML does not tell of processes")
        words = 3 if self._name.endswith(("_v2", "_v3")) else 2  # pid, bytes, and two instance ids of 32 bits
        self._words = words
        self._records = (ctypes.c_uint64 * (words * _MOST))()

    def held_by(self, pids: set[int]) -> int | None:
        """Bytes that these processes hold; None when none of them is on a GPU."""
        found: list[int] = []
        for device in self._devices:
            count = self._c.c_uint(_MOST)
            if getattr(self._lib, self._name)(device, self._c.byref(count), self._records) != 0:
                continue
            for at in range(0, count.value * self._words, self._words):
                pid, held = self._records[at] & 0xFFFF_FFFF, self._records[at + 1]
                if pid in pids and held != _UNKNOWN:
                    found.append(held)
        return sum(found) if found else None
