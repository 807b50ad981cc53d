"""List, show, check or install skills: the pages that tell an agent how to work with labctl.

`list` shows those that come with labctl and those of this folder (--all: those of your home too), and where each is
installed. `show` prints one as a client would load it. `lint` holds skills to the open standard and to what reviewers
look for; exit code 1 when one has an error, with --strict also for a warning. `install` puts labctl's own into
.agents/skills of this folder, or with --global of your home, and links them for the clients named. A copy that a person
changed is never written over without --force, and then it is moved aside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.clients import NAMES
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.store.skills import Skill

EXAMPLE = """labctl skills list
labctl skills show labctl-operate --json
labctl skills lint ./my-skill --strict
labctl skills install --claude --dry-run
labctl skills install --hermes --gemini --global"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to do with which skills."""
    parser.add_argument(
        "action", choices=("list", "show", "lint", "install"), help="look, read, judge, or put in place"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="skills; show and lint take a path too (else all)")
    parser.add_argument("--all", action="store_true", dest="home_too", help="list, lint: those of your home too")
    parser.add_argument("--strict", action="store_true", help="lint: as for publishing; a warning is an error")
    for client in NAMES:
        parser.add_argument(f"--{client}", action="store_true", help=f"install: for {client} too")
    parser.add_argument(
        "--global", action="store_true", dest="at_home", help="install: into your home, not this folder"
    )
    parser.add_argument("--dest", default="", metavar="DIR", help="install: plain copies into this folder, no links")
    parser.add_argument("--force", action="store_true", help="install: also where a person changed the copy")
    parser.add_argument("--dry-run", action="store_true", help="install: say what would be done, and do nothing")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """One of the four."""
    _refuse_strangers(args)
    if args.action == "install":
        from lab.cli import skills_install

        chosen = [client for client in NAMES if getattr(args, client)]
        return skills_install.install(args, session.root(existing=False), chosen)
    if args.action == "lint":
        from lab.cli import skills_lint

        return skills_lint.lint(args.names, strict=args.strict, home_too=args.home_too)
    if args.action == "show":
        if len(args.names) != 1:
            raise BadInput("show takes one skill", fix="labctl skills list")
        return _show(args.names[0])
    return _list(args.names, home_too=args.home_too)


def _refuse_strangers(args: argparse.Namespace) -> None:
    """Flags of another action: what was meant is not what would happen."""
    given = {f"--{client}": getattr(args, client) for client in NAMES}
    given |= {"--global": args.at_home, "--dest": args.dest, "--force": args.force, "--dry-run": args.dry_run}
    wrong = [] if args.action == "install" else [flag for flag, value in given.items() if value]
    wrong += ["--strict"] if args.strict and args.action != "lint" else []
    wrong += ["--all"] if args.home_too and args.action not in ("list", "lint") else []
    if wrong:
        raise BadInput(f"{args.action} does not take {wrong[0]}", fix=f"labctl skills {args.action}")


def _list(names: list[str], *, home_too: bool) -> Answer:
    from lab.cli import skills_found

    if names:
        raise BadInput("list takes no names", fix=f"labctl skills show {names[0]}")
    found = skills_found.everything(home_too=home_too)
    rows = [_row(skill) for skill in found]
    then = [] if any(row["installed"] for row in rows) else ["labctl skills install"]
    return Answer({"skills": rows}, _lines(rows), then=then)


def _row(skill: Skill) -> dict[str, object]:
    from lab.cli import skills_found

    there = [each for each in skills_found.installed(skill) if each["state"] != "missing"]
    return {
        "name": skill.place.name,
        "description": skill.page.said("description"),
        "scope": skill.place.scope,
        "path": skills_found.shown_path(skill.place),
        "installed": there,
    }


def _lines(rows: list[dict[str, object]]) -> Iterator[str]:
    from lab.projections import text

    for row in rows:
        placed = row["installed"]
        clients = [f"{each['client']}={each['state']}" for each in placed] if isinstance(placed, list) else []
        yield "\t".join(
            (
                text.line(str(row["name"])),
                str(row["scope"]),
                text.line(str(row["description"])),
                ",".join(dict.fromkeys(clients)) or "not installed",
            )
        )


def _show(name: str) -> Answer:
    from lab.cli import skills_found, skills_lint

    skill, shadows = skills_found.chosen(name)
    issues = skills_lint.judged(skill, shadows)
    data = skills_found.view(skill, shadows, issues)
    warnings = [f"{each.code}: {each.message}" for each in issues if each.severity != "info"]
    return Answer(data, _page(skill), warnings=warnings)


def _page(skill: Skill) -> Iterator[str]:
    """The file as it is, line for line, without what would speak to the terminal. `--json` has every byte."""
    from lab.projections import text

    for row in skill.data.decode(errors="replace").split("\n"):
        yield text.UNSEEN.sub("", row.replace("\r", ""))
