"""What comes with the program: the templates that `labctl create` copies.

An installation carries them inside the package, a checkout beside it. Nothing here writes.
"""

from __future__ import annotations

import os

from lab.core.errors import NotFound, Unavailable, nearest

SUFFIX = ".yaml"
PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def template_folder() -> str:
    for folder in (os.path.join(PACKAGE, "templates"), os.path.join(os.path.dirname(PACKAGE), "templates")):
        if os.path.isdir(folder):
            return folder
    raise Unavailable(
        "the templates that come with labctl are not there", where=PACKAGE, fix="install labctl again: pip install ."
    )


def templates() -> tuple[str, ...]:
    """The names of the shipped SPECs, as `read_template` takes them; folders of other templates are not among them."""
    return tuple(sorted(name for name in os.listdir(template_folder()) if name.endswith(SUFFIX)))


def read_template(name: str) -> bytes:
    """The bytes of one shipped SPEC: `sweep`, `sweep.yaml` and `templates/sweep.yaml` name the same."""
    wanted = name.removeprefix("./").removeprefix("templates/")
    wanted = wanted if wanted.endswith(SUFFIX) else wanted + SUFFIX
    known = templates()
    if wanted not in known:  # only a listed name is ever opened: `../` leads nowhere
        meant = nearest(wanted, known)
        raise NotFound(
            f"there is no template {name!r}",
            where=template_folder(),
            fix=f"did you mean {meant}?" if meant else f"known: {', '.join(known) or 'none'}",
        )
    with open(os.path.join(template_folder(), wanted), "rb") as file:
        return file.read()
