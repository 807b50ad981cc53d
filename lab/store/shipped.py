"""What comes with the program: the templates that `labctl create` copies, the units of `labctl schedule`, the skills.

An installation carries them inside the package, a checkout beside it. Nothing here writes.
"""

from __future__ import annotations

import os
from itertools import takewhile

from lab.core.errors import NotFound, Unavailable, nearest

SUFFIX, SPEC = ".yaml", "SPEC.yaml"
PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def template_folder() -> str:
    return _folder("templates")


def skill_folder() -> str:
    """The folder of the skills: where tools look that search installed packages for some, or in the checkout."""
    inside = os.path.join(PACKAGE, ".agents", "skills")
    return inside if os.path.isdir(inside) else os.path.join(template_folder(), "skills")


def _folder(name: str) -> str:
    for folder in (os.path.join(PACKAGE, name), os.path.join(os.path.dirname(PACKAGE), name)):
        if os.path.isdir(folder):
            return folder
    raise Unavailable(
        f"the {name} that comes with labctl is not there", where=PACKAGE, fix="install labctl again: pip install ."
    )


def config(name: str) -> str:
    """The text of one file of config/."""
    with open(config_path(name), encoding="utf-8") as file:
        return file.read()


def config_path(name: str) -> str:
    """Where one file of config/ lies, if it is there."""
    return os.path.join(_folder("config"), name)


def templates() -> tuple[str, ...]:
    """The names of the shipped SPECs that are one file, as `read_template` takes them."""
    return tuple(sorted(name for name in os.listdir(template_folder()) if name.endswith(SUFFIX)))


def find(name: str) -> str:
    """The listed name that somebody means: `sweep`, `sweep.yaml` and `templates/sweep.yaml` name the same; else ""."""
    wanted = _spelt(name)
    return wanted if wanted in templates() else ""


def read_template(name: str) -> bytes:
    """The bytes of one shipped SPEC, by any name that `find` takes."""
    found = find(name)
    if not found:  # only a listed name is ever opened: `../` leads nowhere
        known = templates()
        meant = nearest(_spelt(name), known)
        raise NotFound(
            f"there is no template {name!r}",
            where=template_folder(),
            fix=f"did you mean {meant}?" if meant else f"known: {', '.join(known) or 'none'}",
        )
    with open(os.path.join(template_folder(), found), "rb") as file:
        return file.read()


def folders() -> tuple[str, ...]:
    """The names of the templates that are folders: a SPEC, and beside it the files that it is about."""
    top = template_folder()
    return tuple(sorted(name for name in os.listdir(top) if os.path.isfile(os.path.join(top, name, SPEC))))


def find_folder(name: str) -> str:
    """The listed folder that somebody means, spelt as for `find`; else ""."""
    wanted = name.removeprefix("./").removeprefix("templates/").rstrip("/")
    return wanted if wanted in folders() else ""


def read_folder(name: str) -> dict[str, bytes]:
    """The files of a listed folder by their names. What lies deeper or is hidden, but for .gitignore, is none of it."""
    place = os.path.join(template_folder(), name)
    contents = {}
    for entry in sorted(os.listdir(place)):
        path = os.path.join(place, entry)
        if os.path.isfile(path) and (not entry.startswith(".") or entry == ".gitignore"):
            with open(path, "rb") as file:
                contents[entry] = file.read()
    return contents


def names() -> tuple[str, ...]:
    """The short name of every template."""
    return tuple(sorted((*(name.removesuffix(SUFFIX) for name in templates()), *folders())))


def abouts() -> dict[str, str]:
    """Each template's short name, and the first sentence of the comment that it begins with."""
    found = {}
    for name in names():
        data = read_folder(name)[SPEC] if name in folders() else read_template(name)
        lines = data.decode().splitlines()
        comment = [line.removeprefix("#").strip() for line in takewhile(lambda line: line.startswith("#"), lines)]
        found[name] = " ".join(comment).partition(". ")[0].rstrip(".")
    return found


def goals() -> frozenset[str]:
    """The goals of the templates: placeholders, until somebody writes a goal of their own."""
    lines = [line for name in templates() for line in read_template(name).decode().splitlines()]
    return frozenset(line.removeprefix("goal:").strip() for line in lines if line.startswith("goal:"))


def _spelt(name: str) -> str:
    wanted = name.removeprefix("./").removeprefix("templates/")
    return wanted if wanted.endswith(SUFFIX) else wanted + SUFFIX
