"""Finding skills by name or path, and the view of one as a client would have it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.core.errors import NotFound, nearest
from lab.core.skills import lint as rules
from lab.core.skills import page
from lab.store import skill_copies, skills

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.core.skills.codes import Issue
    from lab.store.skills import Place, Skill


def everything(*, home_too: bool) -> list[Skill]:
    """The skills that come with labctl, then those found from this folder that are no copies of them."""
    return [skills.read(place) for place in _places(home_too=home_too)]


def _places(*, home_too: bool) -> list[Place]:
    own = {place.name: skills.read(place) for place in skills.bundled()}
    others = skills.found(os.getcwd(), os.environ, home_too=home_too)
    return [*(each.place for each in own.values()), *(each for each in others if not _is_copy(each, own))]


def _is_copy(place: Place, own: dict[str, Skill]) -> bool:
    """Whether this is one of labctl's skills as it was installed: then it is told as installed, not as another one."""
    skill = own.get(place.name)
    if skill is None:
        return False
    for client in ("agents", "hermes"):
        spot = skill_copies.Spot(client=client, scope="given", path=os.path.realpath(place.folder))
        if skill_copies.state(skill, spot) in ("current", "stale"):
            return True
    return False


def chosen(name: str) -> tuple[Skill, list[Place]]:
    """The skill that a client would load by this name, and those that it hides: the project's hides the user's."""
    if is_path(name):
        found = skills.at(name)
        if len(found) != 1:
            what = "there is no skill" if not found else f"there are {len(found)} skills"
            raise NotFound(what, where=os.path.abspath(name), fix="name the folder that has the SKILL.md")
        return skills.read(found[0]), []
    places = _named(name)
    if not places:
        known = tuple(dict.fromkeys(each.place.name for each in everything(home_too=True)))
        close = nearest(name, known)
        fix = f"did you mean {close}?" if close else "labctl skills list --all"
        raise NotFound(f"there is no skill {name}", fix=fix)
    return skills.read(places[0]), places[1:]


def is_path(name: str) -> bool:
    """Whether a path is meant. A skill that is known by this name comes before a folder that happens to have it."""
    return "/" in name or name in (page.NAME, ".", "..") or (os.path.isdir(name) and not _named(name))


def _named(name: str) -> list[Place]:
    order = {"project": 0, "user": 1, "bundled": 2, "external": 3}
    found = [place for place in _places(home_too=True) if place.name == name]
    return sorted(found, key=lambda place: order[place.scope])


def installed(skill: Skill) -> list[dict[str, str]]:
    """Where the skill of this name that comes with labctl would be installed, and what lies there."""
    own = [place for place in skills.bundled() if place.name == skill.place.name]
    if not own:
        return []
    skill = skill if skill.place == own[0] else skills.read(own[0])
    found = list(skill_copies.spots(skill, os.getcwd(), os.environ, at_home=False))
    if os.environ.get("HOME", "").startswith("/"):
        found += skill_copies.spots(skill, os.getcwd(), os.environ, at_home=True)
    return [
        {"client": spot.client, "scope": spot.scope, "path": spot.path, "state": skill_copies.state(skill, spot)}
        for spot in found
    ]


def view(skill: Skill, shadows: Sequence[Place], issues: Sequence[Issue]) -> dict[str, object]:
    """A skill as it is at run time, `labctl.skill/1`. The playbook is what follows the frontmatter, byte for byte."""
    from msgspec import to_builtins

    place, read = skill.place, skill.page
    description = read.said("description")
    return {
        "schema": "labctl.skill/1",
        "kind": "skill",
        "frontmatter": read.frontmatter,
        "playbook": read.playbook,
        "summary": {
            "id": place.name,
            "kind": "skill",
            "title": read.said("name") or place.name,
            "description": description,
            "path": f"{shown_path(place)}/{page.NAME}",
        },
        "resources": [to_builtins(each) for each in skill.resources],
        "digest": skill.digest,
        "source": {
            "scope": place.scope,
            "root": place.root,
            "shadows": [shown_path(each) for each in shadows],
            "trusted": place.scope in ("bundled", "user"),  # what a repository or a path brings was chosen by nobody
        },
        "installed": installed(skill),
        "cost": {
            "always_on_tokens": rules.tokens(read.said("name") + description),
            "on_invoke_tokens": rules.tokens(read.playbook),
            "lines": read.count,
        },
        "validation_issues": [to_builtins(each) for each in issues],
    }


def shown_path(place: Place) -> str:
    """A path that says something elsewhere too: from the package, from this folder, from the home, else whole."""
    from lab.store import shipped

    bases = {"bundled": os.path.dirname(shipped.PACKAGE), "project": os.getcwd(), "external": os.getcwd()}
    base = bases.get(place.scope)
    if base and place.folder.startswith(f"{base}/"):
        return os.path.relpath(place.folder, base)
    home = os.environ.get("HOME", "").rstrip("/")
    if home and place.folder.startswith(f"{home}/"):
        return f"~/{os.path.relpath(place.folder, home)}"
    return place.folder
