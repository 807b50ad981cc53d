"""What a program could compute on here: CUDA, ROCm, MPS or the CPU. For people and defaults; nothing depends on it.

Told from device files and what the driver says of them: to import torch for it would take seconds, and would need it
to be installed. A guess, and said as one: a GPU that is there may be in use, too small, or unknown to the program.
"""

from __future__ import annotations

import glob
import os
import re
import subprocess
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

CUDA, ROCM, MPS, CPU = "cuda", "rocm", "mps", "cpu"
_ASK_S = 5.0  # a driver that hangs answers nobody, and must not keep anybody waiting
_HIDDEN = ("", "-1", "none", "void", "NoDevFiles")


class Platform(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, and by what sign."""

    kind: str = CPU
    devices: tuple[str, ...] = ()  # names, as far as the driver tells them
    why: str = ""  # the sign that it was told by

    @property
    def words(self) -> str:
        """In a few words, for a person."""
        if not self.devices:
            return f"{self.kind} ({self.why})"
        shown = self.devices[0] if len(set(self.devices)) == 1 else ", ".join(dict.fromkeys(self.devices))
        count = f"{len(self.devices)} x " if len(self.devices) > 1 else ""
        return f"{self.kind}: {count}{shown} ({self.why})"


def detected(
    environ: Mapping[str, str],
    *,
    top: str = "",
    system: tuple[str, str] = ("", ""),
    ask: Callable[[Sequence[str]], str] | None = None,
) -> Platform:
    """Look. `top` is put before the device files, `system` stands for name and machine, `ask` for starting a program.

    Never fails: what cannot be found out is the CPU.
    """
    name, machine = system if system[0] else (os.uname().sysname, os.uname().machine)
    ask = ask or _printed
    if name == "Darwin":
        if machine == "arm64":
            return Platform(kind=MPS, devices=_lines(ask(("sysctl", "-n", "machdep.cpu.brand_string"))), why="macOS")
        return Platform(why="macOS without an Apple chip")
    hidden = _hiding(environ)
    nodes = [
        node for node in glob.glob(f"{top}/dev/nvidia[0-9]*") if re.fullmatch(r"nvidia\d+", os.path.basename(node))
    ]
    if nodes or os.path.exists(f"{top}/dev/dxg"):
        if hidden:
            return Platform(why=f"there is a GPU, but {hidden} hides it")
        told = _models(top) or _lines(ask(("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")))
        if nodes or told:
            return Platform(kind=CUDA, devices=told, why=_sign(nodes))
    if os.path.exists(f"{top}/dev/kfd"):
        return Platform(why=f"there is a GPU, but {hidden} hides it") if hidden else Platform(kind=ROCM, why="/dev/kfd")
    return Platform(why="no GPU was found")


def visible(environ: Mapping[str, str], *, top: str = "") -> int:
    """How many NVIDIA devices a program with these variables may use; of others nothing is known, which counts as 0."""
    nodes = glob.glob(f"{top}/dev/nvidia[0-9]*")
    there = sum(re.fullmatch(r"nvidia\d+", os.path.basename(node)) is not None for node in nodes)
    chosen = environ.get("CUDA_VISIBLE_DEVICES")
    if _hiding(environ) or chosen is None:
        return 0 if _hiding(environ) else there
    named = [each.strip() for each in chosen.split(",")]
    if any(each.startswith("MIG") for each in named):
        return min(there, 1)  # one process sees one slice, whatever else is named
    known = 0
    for each in named:  # as CUDA reads it: the first name that it does not know ends the list
        if not each.startswith("GPU-") and not (each.isdecimal() and int(each) < there):
            break
        known += 1
    return min(there, known)


def _hiding(environ: Mapping[str, str]) -> str:
    """The variable that keeps programs from every GPU."""
    names = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")
    return next((f"{name}={environ[name]}" for name in names if environ.get(name, "0").strip() in _HIDDEN), "")


def _models(top: str) -> tuple[str, ...]:
    """The names that the NVIDIA driver tells in a file, which costs no process."""
    found: list[str] = []
    for path in sorted(glob.glob(f"{top}/proc/driver/nvidia/gpus/*/information")):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read(4096)
        except OSError:
            continue
        model = re.search(r"^Model:\s*(.+?)\s*$", text, re.MULTILINE)
        if model:
            found.append(model[1])
    return tuple(found)


def _sign(nodes: list[str]) -> str:
    return "/dev/nvidia0" if len(nodes) == 1 else f"{len(nodes)} devices /dev/nvidia*" if nodes else "nvidia-smi"


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _printed(command: Sequence[str]) -> str:
    """What a program prints; nothing when it is not there, fails or hangs."""
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_ASK_S, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""
