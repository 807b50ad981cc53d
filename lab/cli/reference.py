"""The machine contract and the reference pages, made from the parsers, the records and the SPEC's own fields.

`scripts/reference` writes them; a test holds them against what is committed.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

import msgspec

from lab.cli import exits, flags, person, schemas
from lab.cli import parser as parsers
from lab.cli.commands import COMMANDS, Command
from lab.cli.contract import FORMAT, Envelope, Environment, ErrorKind, LabManifest, Verb
from lab.cli.programs import PROGRAMS
from lab.cli.shapes.table import ANYTHING, SHAPES
from lab.cli.terminal import ENVELOPE
from lab.core import errors, event, glossary, inventory, record, variables
from lab.core import spec_page as spec_pages
from lab.core.errors import LabError
from lab.core.version import __version__
from lab.executors import environment
from lab.projections import index, status
from lab.research import project_page as of_project

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lab.cli.schemas import Schema

READ_FIRST = ["AGENTS.md", "README-FIRST.md", "LAB-STATUS.md", "experiments/<id>/RUNBOOK.md", "labctl context <id>"]
_INDENT_FROM = 1500  # a value whose JSON is shorter stands on one line: unreadable if all did, a third larger if none


def whole_parser() -> argparse.ArgumentParser:
    """One parser with every verb in it, for completion scripts."""
    whole = argparse.ArgumentParser(prog="labctl", description="A file-first research lab.")
    whole.add_argument("--version", action="store_true", help="print the version")
    verbs = whole.add_subparsers(metavar="VERB")
    for command in COMMANDS:
        verbs.add_parser(
            command.name,
            aliases=list(command.aliases),
            help=command.summary,
            parents=[parsers.build(command)],
            add_help=False,
            conflict_handler="resolve",
        )
    return whole


def manifest() -> bytes:
    """LAB_MANIFEST.json: what an agent needs to drive the lab."""
    records = {name: kinds for name, (kinds, _) in schemas.RECORDS.items()}
    kinds = list(dict.fromkeys(each for group in (*records.values(), *SHAPES.values(), ANYTHING) for each in group))
    # All at once: two records of one name are told apart by the names of their modules, in this document alone.
    found, defs = schemas.components(kinds)
    told_of = dict(zip(kinds, found, strict=True))
    told = LabManifest(
        manifest_format=FORMAT,
        name="labctl",
        version=__version__,
        read_first=READ_FIRST,
        index=_index(),
        programs=PROGRAMS,
        envelope=Envelope(
            schema=f"labctl.<verb>/{ENVELOPE}",
            success=["schema", "ok", "data", "warnings", "next"],
            sometimes=["advice"],
            unsuccessful=["schema", "ok", "data", "warnings", "next", "error"],
            failure=["schema", "ok", "error"],
            error=["kind", "exit_code", "message", "where", "fix"],
        ),
        exit_codes={str(code): meaning for code, meaning in parsers.EXIT_CODES},
        error_kinds=_error_kinds(),
        flags_everywhere=flags.everywhere(COMMANDS[0]),
        commands=[_verb(command, told_of) for command in COMMANDS],
        files=list(inventory.FILES),
        formats={
            "records on disk": record.FORMAT,
            "STATUS.json": status.SCHEMA_VERSION,
            "STATUS.json fold": status.FOLD_FORMAT,
            "LAB-INDEX.json": index.SCHEMA_VERSION,
            "LAB_SCHEMA_VERSION of runs": int(environment.SCHEMA_VERSION),
            "--json envelope": ENVELOPE,
            "LAB_MANIFEST.json": FORMAT,
        },
        environment=Environment(
            read=variables.READ,
            given_to_runs=variables.GIVEN,
            passed_to_runs=[*sorted(environment.PASSED), *(f"{each}*" for each in environment.PASSED_PREFIXES)],
        ),
        phases=_meanings(glossary.PHASE),
        outcomes=_meanings(glossary.OUTCOME),
        verdicts=_meanings(glossary.VERDICT),
        events=event.MEANING,
        schemas={
            **{name: schemas.named(name) for name in ("spec", "space", "order")},
            **{name: schemas.one_of([told_of[each] for each in group]) for name, group in records.items()},
        },
        defs={name: defs[name] for name in sorted(defs)},
    )
    return _laid_out(msgspec.to_builtins(told))


def _index() -> dict[str, dict[str, str]]:
    groups = dict.fromkeys(command.group for command in COMMANDS)
    return {group: {each.name: each.summary for each in COMMANDS if each.group == group} for group in groups}


def _laid_out(value: object) -> bytes:
    """JSON that a person can review: what is short stands on one line."""
    return f"{_lines(value, '')}\n".encode()


def _lines(value: object, indent: str) -> str:
    short = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if len(short) + len(indent) <= _INDENT_FROM or not isinstance(value, dict | list) or not value:
        return short
    inner = f"{indent}  "
    if isinstance(value, dict):
        items = (f"{json.dumps(key, ensure_ascii=False)}: {_lines(each, inner)}" for key, each in value.items())
        return f"{{\n{inner}" + f",\n{inner}".join(items) + f"\n{indent}}}"
    return f"[\n{inner}" + f",\n{inner}".join(_lines(each, inner) for each in value) + f"\n{indent}]"


def _error_kinds() -> dict[str, ErrorKind]:
    means = _meanings(glossary.ERROR)
    return {each.kind: ErrorKind(exit_code=each.exit_code, means=means.get(each.kind, "")) for each in every_error()}


def every_error() -> Iterable[type[LabError]]:
    """Every kind of error that the lab raises on purpose."""
    return (each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, LabError))


def _meanings(family: str) -> dict[str, str]:
    return {word.code: word.means for word in glossary.words() if word.family == family}


def page() -> str:
    """docs/reference/cli.md."""
    lines = ["# Command line", "", "Generated from the parsers by `scripts/reference`; do not edit.", ""]
    lines += ["Exit codes:", ""]
    lines += [f"- `{code}` {meaning}" for code, meaning in parsers.EXIT_CODES]
    lines += ["", "`--json`, `--quiet`, `--data-root DIR` and `--debug` are understood by every verb.", ""]
    for command in COMMANDS:
        also = f" (also `{'`, `'.join(command.aliases)}`)" if command.aliases else ""
        lines += [f"## labctl {command.name}", "", f"{command.summary[0].upper()}{command.summary[1:]}{also}.", ""]
        lines += ["```text", *_help(command).rstrip().splitlines(), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def _help(command: Command) -> str:
    built = parsers.build(command)
    built.formatter_class = _Fixed
    return built.format_help()


class _Fixed(argparse.RawDescriptionHelpFormatter):
    """The same page whatever the terminal's width."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=100)


def _verb(command: Command, told_of: Mapping[object, Schema]) -> Verb:
    module = parsers.load(command)
    summary, _, details = (module.__doc__ or "").strip().partition("\n\n")
    return Verb(
        name=command.name,
        aliases=list(command.aliases),
        group=command.group,
        summary=command.summary,
        help=" ".join((details or summary).split()),
        sub_verbs=flags.sub_verbs(command),
        example=getattr(module, "EXAMPLE", "").splitlines(),
        arguments=flags.arguments(command),
        flags=flags.flags(command),
        exclusive=flags.exclusive(command),
        a_person_decides=person.of(command.name),
        exit_codes={str(code): means for code, means in exits.OWN.get(command.name, {}).items()},
        schema=f"labctl.{command.name}/{ENVELOPE}",
        data=schemas.one_of([told_of[each] for each in SHAPES.get(command.name, ANYTHING)]),
    )


def spec_page() -> str:
    """docs/reference/spec.md."""
    return spec_pages.reference_page()


def project_page() -> str:
    """docs/reference/project.md."""
    return of_project.page()
