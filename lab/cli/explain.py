"""Explain a word of labctl's: what it means, why it happens, and what to do.

An exit code (3), a kind of error (what stands in brackets: error[busy]), an outcome, a verdict, a phase and why it is
in it, an event of the ledger, a damage, a notice, the state of a run, a claim, a job, a package or a check, what went
wrong with a model, a code of a skill's check, a word of a research project, a field of SPEC.yaml: whatever stands for a
thing in a field of --json. A whole reason may be given as it is printed ("5 failures in a row"). `--list` names all, a
line each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.core.glossary import Word

EXAMPLE = "labctl explain 3\nlabctl explain superseded\nlabctl explain '5 failures in a row'\nlabctl explain --list"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which word."""
    what = parser.add_mutually_exclusive_group()
    what.add_argument("code", nargs="?", default="", metavar="CODE", help="the word, or the number")
    what.add_argument("--list", action="store_true", dest="list_them", help="print all of them, a line each")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """What it means. It needs no lab."""
    del session
    from msgspec import to_builtins

    from lab.cli import explained

    if args.list_them:
        every = list(explained.words())
        return Answer({"codes": to_builtins(every)}, (f"{each.code}\t{each.family}\t{each.means}" for each in every))
    if not args.code:
        raise BadInput("explain wants a word", fix="labctl explain --list")
    found = explained.find(args.code)
    return Answer({"codes": to_builtins(found)}, _text(found))


def _text(found: list[Word]) -> Iterator[str]:
    for word in found:
        yield f"{word.code} ({word.family}): {word.means}"
        for label, text in (("why", word.why), ("do", word.do), ("example", word.example)):
            if text:
                yield f"  {label}: {text}"
