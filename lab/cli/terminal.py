"""What the user sees: results on stdout, narration on stderr, one envelope for every `--json`.

What a person, a model or a run wrote may be in any of it, and must not speak to the terminal: colours, cursor moves,
titles, marks that turn the direction of writing. Nor may it look like a line of ours. So whatever is printed as text
goes through `harmless` here, and what is one line is printed as one. Only what is marked as exact, for a program to
read, goes out as it is.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from itertools import islice

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Iterator

    from lab.core.errors import LabError

ENVELOPE = 1
_BAR = 24
_COLUMNS = 80  # of a terminal that does not say
_LAST_STREAM = 2
_TOGETHER = 200  # lines, or entries of a list, that become text at once
_WRITTEN = 1 << 16  # characters of a document that are written at once
_SELF_EVIDENT = ("failed", "interrupted")  # kinds of errors that an explanation adds nothing to
_TAGS = "\U000e0000"  # from here on letters that count as printable are invisible


class Answer:
    """What a verb found or did: one value, from which both the text and the JSON come.

    With an `exit_code` it was done, and did not succeed; `why` says in a line what went wrong, where the verb knows it,
    and `fix` what to do about it, where that is not the first of what is next.
    `exact`: the text is for a program (a table, variables for a shell), and not a byte of it may be left out.
    """

    __slots__ = ("data", "exact", "exit_code", "fix", "next", "text", "warnings", "why")

    def __init__(  # noqa: PLR0913  # the parts of an answer
        self,
        data: object,
        text: Iterable[str],
        *,
        warnings: Iterable[str] = (),
        then: Iterable[str] = (),
        exit_code: int = 0,
        exact: bool = False,
        why: str = "",
        fix: str = "",
    ) -> None:
        self.data = data
        self.exact = exact
        self.text = text
        self.warnings = list(warnings)
        self.next = list(then)
        self.exit_code = exit_code
        self.why = why
        self.fix = fix


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
            from lab.cli import person

            commands, advice = person.parted(given.next)
            body: dict[str, object] = {
                "schema": f"labctl.{verb}/{ENVELOPE}",
                "ok": given.exit_code == 0,
                "data": given.data,
                "warnings": given.warnings,
                "next": commands,
                **({"advice": advice} if advice else {}),
            }
            if given.exit_code:  # whoever decides on `error` finds one whenever `ok` is false
                body["error"] = _unsuccessful(verb, given)
            for written in _json(body):
                _out(written)
            return
        for some in _batches(given.text):
            _out("".join(f"{line}\n" for line in some) if given.exact else _lines(some))
        _err(_lines(f"warning: {warning}" for warning in given.warnings))
        if not self.quiet:
            _err(_lines(f"next: {line}" for line in given.next))

    def line(self, text: str) -> None:
        """Print a part of the result as it comes. Under `--json` it comes with the rest, at the end."""
        if not self.as_json:
            self._wipe()
            _out(_lines((text,)))

    def renew(self, text: str) -> None:
        """Show a line that is not finished, in place of what was shown so before; only to a person at a terminal."""
        if self.as_json or text == self._renewed or not _can_renew():
            return
        fits = _fitting(harmless(text), (os.get_terminal_size(sys.stdout.fileno()).columns or _COLUMNS) - 1)
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
            _err(harmless(f"{text}\n"))

    def waits(self, text: str) -> None:
        """Tell that this waits for a person: on stderr whatever was asked for, or a program hangs and knows no why."""
        self._wipe()
        _err(harmless(f"{text}\n"))

    def narrate(self, text: str) -> None:
        """Tell a person at a terminal what is going on; nobody else."""
        if not (self.quiet or self.as_json) and sys.stderr.isatty():
            _err(harmless(f"{text}\n"))

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
            for written in _json(body):
                _out(written)
            return
        more = "" if error.fix or error.kind in _SELF_EVIDENT else f"\n  more: labctl explain {error.kind}"
        _err(harmless(f"error[{error.kind}]: {error}{more}\n"))

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

    def can_ask(self) -> bool:
        """Whether somebody is there who could answer."""
        return sys.stdin is not None and sys.stdin.isatty() and sys.stderr is not None and sys.stderr.isatty()

    def ask(self, question: str) -> str:
        """What a person types in answer; nothing where nobody is there."""
        if not self.can_ask():
            return ""
        _err(harmless(question))
        return sys.stdin.readline().strip()

    def agrees(self, question: str, *, yes: bool) -> bool:
        """Ask before something that cannot be undone. With nobody to ask, the answer is no."""
        if yes:
            return True
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            return False
        _err(harmless(f"{question} [y/N] "))
        return sys.stdin.readline().strip().lower() in ("y", "yes")


def _unsuccessful(verb: str, given: Answer) -> dict[str, object]:
    """What went wrong with what was done: its `data` is told all the same."""
    from lab.cli import exits, parser
    from lab.core.errors import kind_of

    means = {**dict(parser.EXIT_CODES), **exits.OWN.get(verb, {})}
    return {
        "kind": kind_of(given.exit_code),
        "exit_code": given.exit_code,
        "message": given.why or means.get(given.exit_code, means[1]),
        "where": "",
        "fix": given.fix or next(iter(given.next), ""),
    }


def take_first_descriptors() -> None:
    """Fill 0, 1 and 2 where they are closed: the next file opened would be taken for the output, and written into."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _LAST_STREAM:
        pass
    os.close(descriptor)


class NoOutput(Exception):  # named for what it is: there is nobody to tell
    """Stdout takes no more: its disk is full. Told on stderr, once."""


def _lines(lines: Iterable[str]) -> str:
    """Each on one line: a line end that somebody else wrote must not begin what looks like a line of ours."""
    return harmless("".join([f"{line}\n" if "\n" not in line else f"{' '.join(line.split())}\n" for line in lines]))


def harmless(text: str) -> str:
    """The text without what would speak to a terminal, or hide. Its lines and tabs stay as they are laid out."""
    if text.replace("\n", "").replace("\t", "").isprintable() and (text.isascii() or max(text) < _TAGS):
        return text  # nearly always: then nothing is loaded for it
    from lab.projections.text import visible

    # Line by line, or a sequence that one line begins and another ends would swallow those between.
    return "\n".join(visible(line.rstrip("\r").replace("\r", " ")) for line in text.split("\n"))


def escaped(document: str) -> str:
    """The same JSON document, with what is not seen written as its number: json itself does that only below a space."""
    if harmless(document) == document:
        return document
    from lab.projections.text import UNSEEN

    def number(found: re.Match[str]) -> str:
        units = found[0].encode("utf-16-be", "surrogatepass").hex()
        return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))

    return UNSEEN.sub(number, document)


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


def _json(body: dict[str, object]) -> Iterator[str]:
    """JSON that the stream can carry, with a person's decisions marked: a stand-in for a character would be no JSON."""
    from lab.cli import person

    carries = (getattr(sys.stdout, "encoding", "") or "").lower().replace("-", "") == "utf8"
    if sys.stdout is not None and sys.stdout.isatty():
        yield escaped(json.dumps(person.told(body), indent=2, ensure_ascii=not carries) + "\n")
        return

    def written(value: object, name: str) -> str:
        told = json.dumps(value, ensure_ascii=not carries)
        return json.dumps(person.told(value, name), ensure_ascii=not carries) if person.is_named(told) else told

    waiting = ""
    for piece in _pieces(body, "", written):
        waiting += piece
        if len(waiting) > _WRITTEN:
            yield waiting
            waiting = ""
    yield waiting + "\n"


def _pieces(value: object, name: str, written: Callable[[object, str], str]) -> Iterator[str]:
    """For a program in one line, which takes half the time for 10,000 runs.

    A long list bit by bit, or it would be in the memory three times: as values, as text, and as what is written.
    """
    if isinstance(value, dict) and name in ("", "data"):
        before = "{"
        for key, each in value.items():
            yield f"{before}{written(key, '')}: "
            yield from _pieces(each, key, written)
            before = ", "
        yield "{}" if before == "{" else "}"
    elif isinstance(value, list) and len(value) > _TOGETHER:
        for start in range(0, len(value), _TOGETHER):
            some = written(value[start : start + _TOGETHER], name)
            yield f"{', ' if start else '['}{some[1:-1]}"
        yield "]"
    else:
        yield written(value, name)


def _batches(lines: Iterable[str]) -> Iterator[list[str]]:
    every = iter(lines)
    while some := list(islice(every, _TOGETHER)):
        yield some


def _err(text: str) -> None:
    if sys.stderr is None or not text:
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
