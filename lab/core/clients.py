"""The programs that agents run in: their names, and where each keeps what is its user's.

One table, so that skills and servers are put where one and the same program looks for both.
"""

from __future__ import annotations

from lab.core.errors import Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# name -> the variable that moves its folder; the folder, below the home or what the variable says; and what is in it
HOMES = {
    "claude": ("", ".claude", ""),
    "codex": ("CODEX_HOME", ".codex", ""),
    "cursor": ("", ".cursor", ""),
    "opencode": ("XDG_CONFIG_HOME", ".config", "opencode"),
    "hermes": ("HERMES_HOME", ".hermes", ""),
    "gemini": ("", ".gemini", ""),
}
NAMES = tuple(HOMES)


def home(name: str, environ: Mapping[str, str]) -> str:
    """The folder of a client's user; `Unavailable` where nobody can say which it is."""
    variable = HOMES[name][0]
    said = environ.get(variable, "") if variable else ""
    if said and not said.startswith("/"):  # it would mean another folder wherever it is read, and ~ one of that name
        what = f"{variable} is no absolute path: {said[:80]!a}"
        raise Unavailable(what, fix=f"export {variable} with the whole path, or unset it")
    return folder(name, "" if said else person(environ), environ)


def folder(name: str, home_of_person: str, environ: Mapping[str, str]) -> str:
    """The same below a known home. For whoever only looks: a variable that cannot be used is passed over."""
    variable, usual, beneath = HOMES[name]
    base = environ[variable].rstrip("/") if is_moved(name, environ) else f"{home_of_person}/{usual}"
    return f"{base}/{beneath}" if beneath else base


def is_moved(name: str, environ: Mapping[str, str]) -> bool:
    """Whether a variable says where it is."""
    return environ.get(HOMES[name][0], "").startswith("/")


def person(environ: Mapping[str, str]) -> str:
    """The home of whoever asks."""
    found = environ.get("HOME", "")
    if not found.startswith("/"):
        what = "HOME is not set, and what is for all projects of a person lies there"
        raise Unavailable(what, fix="export HOME, or leave --global out: then it goes into this folder")
    return found.rstrip("/")
