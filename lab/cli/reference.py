"""The machine contract and the reference pages, made from the parsers, the records and the SPEC's own fields.

`scripts/reference` writes them; a test holds them against what is committed.
"""

from __future__ import annotations

import argparse

import msgspec

from lab import __version__
from lab.cli import parser as parsers
from lab.cli.commands import COMMANDS, Command
from lab.core import canonical, event, layout, spec
from lab.core.claim import Claim
from lab.core.manifest import Manifest
from lab.core.run import OUTCOMES
from lab.core.seal import Seal
from lab.core.view import PHASES

MANIFEST_FORMAT = 1
_CANONICAL = {
    "experiments/<id>/SPEC.yaml": "what the experiment is; yours to edit",
    "experiments/<id>/runs/<run>/": "a sealed bundle; SEAL.json is its last file",
    "registry/events.jsonl": "the chained ledger of decisions",
    "control/": "commands and approvals",
    "PROGRAM.md": "yours: what the lab is for",
    "CHANGELOG.md": "yours: one line a human decision",
}
_ENVIRONMENT = {
    "LAB_DATA_ROOT": "the data root",
    "HERMES_LAB_DATA_ROOT": "the data root, if LAB_DATA_ROOT is not set",
    "LABCTL_OUTPUT": "`json` for --json on every command",
    "LABCTL_ACTOR": "the name that decisions are written down for; else $USER",
}


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
    pages = {f"experiments/<id>/{name}": "derived" for name in layout.EXPERIMENT_PAGES}
    lab = dict.fromkeys((*layout.LAB_PAGES, "digests/daily/<date>.md", "digests/weekly/<week>.md"), "derived")
    value = {
        "manifest_format": MANIFEST_FORMAT,
        "name": "labctl",
        "version": __version__,
        "envelope": {
            "schema": "labctl.<verb>/1",
            "success": ["schema", "ok", "data", "warnings", "next"],
            "failure": ["schema", "ok", "error"],
            "error": ["kind", "exit_code", "message", "where", "fix"],
        },
        "exit_codes": {str(code): meaning for code, meaning in parsers.EXIT_CODES},
        "commands": [_command(command) for command in COMMANDS],
        "files": {**_CANONICAL, **lab, **pages},
        "bundle": [
            layout.MANIFEST, layout.PLAN, layout.PARAMS, layout.RESULT, layout.METRICS, layout.REPORT, layout.CURVE,
            layout.STDOUT, layout.STDERR, f"{layout.ARTIFACTS}/", layout.SEAL,
        ],
        "environment": _ENVIRONMENT,
        "phases": list(PHASES),
        "outcomes": list(OUTCOMES),
        "events": event.MEANING,
        "schemas": {
            "spec": spec.json_schema(),
            **{name: _schema(kind) for name, kind in _RECORDS.items()},
        },
    }  # fmt: skip
    return canonical.page(value)


_RECORDS: dict[str, type[msgspec.Struct]] = {
    "seal": Seal,
    "manifest": Manifest,
    "claim": Claim,
    "ledger_line": event.Line,
}


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


def _command(command: Command) -> dict[str, object]:
    built = parsers.build(command)
    arguments, flags = [], []
    for action in built._actions:  # noqa: SLF001  # argparse offers no other way to list what it knows
        if isinstance(action, argparse._HelpAction):  # noqa: SLF001
            continue
        told: dict[str, object] = {"help": action.help or ""}
        if action.choices:
            told["choices"] = list(action.choices)
        if action.option_strings:
            takes = None if action.nargs == 0 else str(action.metavar or action.dest).upper()
            flags.append({"flags": list(action.option_strings), "takes": takes, **told})
        else:
            required = action.nargs not in ("?", "*")
            arguments.append({"name": action.metavar or action.dest, "required": required, **told})
    module = parsers.load(command)
    return {
        "name": command.name,
        "aliases": list(command.aliases),
        "summary": command.summary,
        "schema": f"labctl.{command.name}/1",
        "example": getattr(module, "EXAMPLE", "").splitlines(),
        "arguments": arguments,
        "flags": flags,
    }


def _schema(kind: type[msgspec.Struct]) -> dict[str, object]:
    return msgspec.json.schema(kind)


def spec_page() -> str:
    """docs/reference/spec.md."""
    return spec.reference_page()
