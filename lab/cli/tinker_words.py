"""What the actions of `labctl tinker` have in common: extras that may be missing, and which service is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lab.cli.signals import Signals
    from lab.core.launch import Stop

_MB = 1_000_000
_MOST_DIGITS = 9
SDK_FROM, SDK_BEFORE = (0, 38), (0, 40)  # the versions that pyproject.toml asks for
LOCAL = ("torch", "transformers", "peft", "tinker", "tokenizers")  # what a server of this machine needs


def missing(*modules: str) -> list[str]:
    """Those of these modules that are not installed. None of them is loaded for it."""
    from importlib.util import find_spec

    return [module for module in modules if find_spec(module) is None]


def require_extra(extra: str, *modules: str, what: str) -> None:
    """`Unavailable`, naming the extra, where one of its modules is missing."""
    from lab.core.errors import Unavailable

    absent = missing(*modules)
    if absent:
        raise Unavailable(f"{what} needs {', '.join(absent)}", fix=f"pip install 'labctl[{extra}]'")


def url(given: str, environ: Mapping[str, str]) -> str:
    """The service that is asked where no experiment says which: the flag, $TINKER_BASE_URL, or the local one."""
    from lab.core.tuning import LOCAL_URL
    from lab.tinker import credentials

    chosen = (given or environ.get("TINKER_BASE_URL", "") or LOCAL_URL).rstrip("/")
    credentials.check_url(chosen)
    return chosen


def until(signals: Signals) -> Callable[[], Stop | None]:
    """What a supervisor asks: whether a person has ended it."""
    from lab.core.launch import INTERRUPTED, Stop

    def watch() -> Stop | None:
        came = signals.came()
        return Stop(how=INTERRUPTED, why=f"stopped by {came}") if came else None

    return watch


def size(count: int) -> str:
    """Bytes for people."""
    return f"{count / 1e6:,.1f} MB" if count >= _MB else f"{count / 1e3:,.1f} kB"


def money(*amounts: float) -> list[str]:
    """Sums of USD that are compared, with as many digits behind the point as the smallest of them needs to be seen."""
    from math import floor, log10

    wanted = [1 - floor(log10(each)) for each in amounts if 0 < each < 1]
    digits = min(max([2, *wanted]), _MOST_DIGITS)
    return [f"{each:,.{digits}f}" for each in amounts]


def budget(tokens: int | None, usd: float | None) -> str:
    """What a SPEC lets a training use."""
    of_tokens = "no token budget" if tokens is None else f"{tokens:,} tokens"
    return f"{of_tokens}, {'no money budget' if usd is None else f'{money(usd)[0]} USD'}"


def steps(first: int, end: int, lead: str = "steps ") -> str:
    """Of a chunk: how many steps are inside the state that it begins from, and inside the one that it saves."""
    return f"{lead}{first} to {end}"


def width() -> int:
    """Columns of the terminal; of a pipe as many as anybody could want."""
    import os
    import sys

    try:
        return int(os.environ.get("COLUMNS", "") or os.get_terminal_size(sys.stdout.fileno()).columns)
    except (ValueError, OSError):
        return sys.maxsize


def indented(what: str) -> list[str]:
    """The lines of a message below its first one, each a line of ours."""
    from lab.projections import text

    return [f"    {text.line(line)}" for line in what.splitlines()[1:]]
