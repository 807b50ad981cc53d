"""What the user sees: results on stdout, narration on stderr, one envelope for every `--json`."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lab.core.errors import LabError

ENVELOPE = 1
_BAR = 24
_COLUMNS = 80  # of a terminal that does not say
_LAST_STREAM = 2


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
        self._has_begun = False
        self._renewed = ""

    def begin(self, verb: str, given: Answer) -> None:
        """Print the result of a verb that goes on from here, now. What it returns at its end is not printed."""
        self.answer(verb, given)
        self._has_begun = True

    def answer(self, verb: str, given: Answer) -> None:
        """Print a result."""
        if self._has_begun:
            return
        if self.as_json:
            body = {
                "schema": f"labctl.{verb}/{ENVELOPE}",
                "ok": given.exit_code == 0,
                "data": given.data,
                "warnings": given.warnings,
                "next": given.next,
            }
            _out(_json(body))
            return
        text = "".join(f"{line}\n" for line in given.text)
        _out(text)
        for warning in given.warnings:
            _err(f"warning: {warning}\n")
        if given.next and not self.quiet:
            _err("".join(f"next: {line}\n" for line in given.next))

    def line(self, text: str) -> None:
        """Print a part of the result as it comes. Under `--json` it comes with the rest, at the end."""
        if not self.as_json:
            self._wipe()
            _out(f"{text}\n")

    def renew(self, text: str) -> None:
        """Show a line that is not finished, in place of what was shown so before; only to a person at a terminal."""
        if self.as_json or text == self._renewed or not _can_renew():
            return
        fits = _fitting(text, (os.get_terminal_size(sys.stdout.fileno()).columns or _COLUMNS) - 1)
        self._wipe()
        _out(fits)
        self._renewed = text

    def leave(self) -> None:
        """Let such a line stand as it is, and go on below it."""
        if self._renewed:
            self._renewed = ""
            _out("\n")

    def _wipe(self) -> None:
        if self._renewed:
            self._renewed = ""
            _out("\r\x1b[K")

    def say(self, text: str) -> None:
        """Tell whoever is there, on stderr; not under `--quiet`, as cron runs us, and not beside a JSON document."""
        if not (self.quiet or self.as_json):
            self._wipe()
            _err(f"{text}\n")

    def narrate(self, text: str) -> None:
        """Tell a person at a terminal what is going on; nobody else."""
        if not (self.quiet or self.as_json) and sys.stderr.isatty():
            _err(f"{text}\n")

    def no_output(self, why: str) -> None:
        """Say on stderr that stdout took no more."""
        _err(f"error[unavailable]: the result could not be printed: {why}\n")

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
            _out(_json(body))
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


def take_first_descriptors() -> None:
    """Fill 0, 1 and 2 where they are closed: the next file opened would be taken for the output, and written into."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _LAST_STREAM:
        pass
    os.close(descriptor)


class NoOutput(Exception):  # named for what it is: there is nobody to tell
    """Stdout takes no more: its disk is full. Told on stderr, once."""


def _can_renew() -> bool:
    return sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def _fitting(text: str, columns: int) -> str:
    """As much as fits into one row: what wraps into the next is not wiped with it."""
    from unicodedata import combining, east_asian_width

    left = columns
    for place, letter in enumerate(text):
        left -= 0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1
        if left < 0:
            return text[:place]
    return text


def _out(text: str) -> None:
    if sys.stdout is None:  # started with stdout closed
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        abandon_output()
        raise NoOutput(error.strerror) from error


def _json(body: object) -> str:
    """JSON that the stream can carry: a stand-in for a character would not be JSON any more."""
    carries = (getattr(sys.stdout, "encoding", "") or "").lower().replace("-", "") == "utf8"
    # Laid out for a person who looks; for a program in one line, which takes half the time for 10,000 runs.
    return json.dumps(body, indent=2 if sys.stdout.isatty() else None, ensure_ascii=not carries) + "\n"


def _err(text: str) -> None:
    if sys.stderr is None:
        return
    with suppress(OSError):  # nowhere left to complain to
        sys.stderr.write(text)
        sys.stderr.flush()


def use_plain_encoding() -> None:
    """Never fail on a terminal that cannot show a character: show a stand-in."""
    for stream in (sys.stdout, sys.stderr):
        # A closed stream is None.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def abandon_output() -> None:
    """The reader went away (`| head`). Keep the interpreter from complaining about it at exit."""
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, sys.stdout.fileno())
    os.close(silent)
