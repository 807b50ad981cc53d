"""What the user sees: results on stdout, narration on stderr, one envelope for every `--json`."""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lab.core.errors import LabError

ENVELOPE = 1
_BAR = 24


class Answer:
    """What a verb found or did: one value, from which both the text and the JSON come."""

    __slots__ = ("data", "exit_code", "next", "text", "warnings")

    def __init__(
        self,
        data: object,
        text: Iterable[str],
        *,
        warnings: Iterable[str] = (),
        then: Iterable[str] = (),
        exit_code: int = 0,
    ) -> None:
        self.data = data
        self.text = text
        self.warnings = list(warnings)
        self.next = list(then)
        self.exit_code = exit_code


class Terminal:
    """Where a command talks to. `quiet` keeps narration away; errors are always said."""

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self._drawn = False

    def answer(self, verb: str, given: Answer) -> None:
        """Print a result."""
        if self.as_json:
            body = {
                "schema": f"labctl.{verb}/{ENVELOPE}",
                "ok": given.exit_code == 0,
                "data": given.data,
                "warnings": given.warnings,
                "next": given.next,
            }
            _out(json.dumps(body, indent=2, ensure_ascii=False) + "\n")
            return
        text = "".join(f"{line}\n" for line in given.text)
        _out(text)
        for warning in given.warnings:
            _err(f"warning: {warning}\n")
        if given.next and not self.quiet:
            _err("".join(f"next: {line}\n" for line in given.next))

    def refuse(self, verb: str, error: LabError) -> None:
        """Print an error: to stderr for people, as the envelope to stdout under `--json`."""
        if self.as_json:
            body = {
                "schema": f"labctl.{verb}/{ENVELOPE}",
                "ok": False,
                "error": {
                    "kind": error.kind,
                    "exit_code": error.exit_code,
                    "message": error.what,
                    "where": error.where,
                    "fix": error.fix,
                },
            }
            _out(json.dumps(body, indent=2, ensure_ascii=False) + "\n")
            return
        _err(f"error[{error.kind}]: {error}\n")

    def progress(self, what: str) -> Callable[[int, int], None] | None:
        """A bar on stderr for work of many steps; None where nobody would see it."""
        if self.quiet or self.as_json or not sys.stderr.isatty():
            return None

        def draw(done: int, total: int) -> None:
            filled = _BAR * done // max(total, 1)
            _err(f"\r{what} [{'#' * filled}{'.' * (_BAR - filled)}] {done}/{total}")
            if done == total:
                _err("\r\x1b[K")

        return draw

    def agrees(self, question: str, *, yes: bool) -> bool:
        """Ask before something that cannot be undone. With nobody to ask, the answer is no."""
        if yes:
            return True
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            return False
        _err(f"{question} [y/N] ")
        return sys.stdin.readline().strip().lower() in ("y", "yes")


def _out(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _err(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def use_plain_encoding() -> None:
    """Never fail on a terminal that cannot show a character: show a stand-in."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def abandon_output() -> None:
    """The reader went away (`| head`). Keep the interpreter from complaining about it at exit."""
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, sys.stdout.fileno())
    os.close(silent)
