"""A command as it is to be typed to go on: with all that was said the first time, and the runs that are left."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

# What a person may have said, and where it is kept; what is as by default is left out.
_FLAGS = (
    ("strategy", "--strategy"), ("seed", "--seed"), ("search_space", "--search-space"), ("jobs", "--jobs"),
    ("engine", "--engine"), ("pause", "--pause"), ("wait", "--wait"), ("worker", "--worker"),
    ("direction", "--direction"),
)  # fmt: skip
_UNSAID = {"jobs": 1, "pause": 0.0}


def typed_again(args: argparse.Namespace, verb: str, left: int) -> str:
    """The line. With --resume N counts all, so it stays what it was; else it is what is left of it."""
    words = ["labctl", verb, args.experiment, "-n", str(args.iterations if args.resume else max(1, left))]
    for name, flag in _FLAGS:
        said = getattr(args, name, None)
        if said not in (None, "", _UNSAID.get(name)):
            words += [flag, f"{said:g}" if isinstance(said, float) else str(said)]
    strategies = getattr(args, "strategies", [])
    words += ["--strategies", *strategies] if strategies else []
    words += ["--rotate"] if getattr(args, "rotate", False) else []
    return shlex.join([*words, *(["--resume"] if args.resume else [])])
