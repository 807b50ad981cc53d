"""`labctl skills install`: which copies and links, and what came of each."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core import clients
from lab.core.errors import DONE, FAILED, BadInput, NotFound, Unavailable, nearest
from lab.core.skills.clients import CLIENTS
from lab.store import skill_copies, skills

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from lab.store.root import Root
    from lab.store.skill_copies import Placed, Spot
    from lab.store.skills import Skill


def install(args: argparse.Namespace, root: Root, chosen: Sequence[str]) -> Answer:
    """Put the skills in place, one after the other: the shared folder first, for the links lead there."""
    _refuse(args, chosen)
    for client in chosen if args.at_home else ():
        clients.home(client, root.world.environ)  # refuses where nobody can say which folder that is
    wanted = [skills.read(place) for place in _own(args.names)]
    plan = [(skill, spot) for skill in wanted for spot in _spots(skill, root, args, chosen)]
    done = [_placed(root, skill, spot, args) for skill, spot in plan]
    kept = [each for each in done if each.deed == "kept"]
    then = [f"labctl skills install {os.path.basename(each.spot.path)} --force  # moves it aside" for each in kept[:1]]
    if "gemini" in chosen:
        then += [f"gemini skills link {each.spot.path}" for each in done if each.spot.client == skill_copies.SHARED]
    warnings = [f"{each.spot.path} was changed by somebody, and stays as it is" for each in kept]
    data = {"dry_run": args.dry_run, "skills": [_row(each) for each in done]}
    text = list(_lines(done, dry_run=args.dry_run))
    return Answer(data, text, warnings=warnings, then=then, exit_code=FAILED if kept else DONE)


def _placed(root: Root, skill: Skill, spot: Spot, args: argparse.Namespace) -> Placed:
    try:
        return skill_copies.install(root, skill, spot, force=args.force, dry_run=args.dry_run)
    except OSError as error:
        what = f"{skill.place.name} could not be put here: {error.strerror}"
        fix = "mend that, or choose another place: --global, or --dest DIR"
        raise Unavailable(what, where=os.path.dirname(spot.path), fix=fix) from error


def _refuse(args: argparse.Namespace, chosen: Sequence[str]) -> None:
    if args.dest and (args.at_home or chosen):
        raise BadInput("--dest is a place of its own", fix="leave --global and the clients out, or --dest")
    if "hermes" in chosen and not args.at_home:
        fix = "labctl skills install --hermes --global (into $HERMES_HOME, else ~/.hermes), or --dest DIR"
        raise BadInput("Hermes reads skills from its home only, not from a project", fix=fix)


def _own(names: Sequence[str]) -> list[skills.Place]:
    own = {place.name: place for place in skills.bundled()}
    for name in names:
        if name not in own:
            close = nearest(name, tuple(own))
            fix = f"did you mean {close}?" if close else f"known: {', '.join(own)}"
            raise NotFound(f"labctl brings no skill {name}", fix=fix)
    return [own[name] for name in dict.fromkeys(names)] or list(own.values())


def _spots(skill: Skill, root: Root, args: argparse.Namespace, chosen: Sequence[str]) -> Iterator[Spot]:
    """The places that were asked for. The shared folder always: several clients read it, and links lead there."""
    if args.dest:
        path = f"{os.path.abspath(os.path.expanduser(args.dest))}/{skill.place.name}"
        yield skill_copies.Spot(client="dest", scope="given", path=path)
        return
    told: set[str] = set()
    for spot in skill_copies.spots(skill, os.getcwd(), root.world.environ, at_home=args.at_home):
        if (spot.client == skill_copies.SHARED or spot.client in chosen) and spot.path not in told:
            told.add(spot.path)
            yield spot


def _row(each: Placed) -> dict[str, object]:
    return {
        "name": os.path.basename(each.spot.path),
        "client": each.spot.client,
        "path": each.spot.path,
        "was": each.state,
        "done": each.deed,
        "moved_aside_to": each.aside,
    }


def _lines(done: Sequence[Placed], *, dry_run: bool) -> Iterator[str]:
    told = {"created": "create", "updated": "update", "replaced": "replace", "linked": "link"}
    for each in done:
        deed = each.deed
        said = f"would {told[deed]}" if dry_run and deed in told else deed
        yield f"{said}: {each.spot.path}"
        if each.aside:
            yield f"  what was there {'would go' if dry_run else 'went'} to {each.aside}"
    silent = [client for client in CLIENTS if CLIENTS[client].how != "command"]
    if done and all(each.spot.client == skill_copies.SHARED for each in done):
        readers = [name for name in silent if CLIENTS[name].project.startswith(".agents")]
        yield f"read from there by {', '.join(readers)}; others: --claude --cursor --hermes --gemini"
