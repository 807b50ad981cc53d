r"""`{params.lr}` and its like in a command, filled in so that each value stays what it is: one argument.

Which braces are ours: `{params.ANYTHING}` and `{NAME}` for the names in NAMES. Every other brace passes as it stands
(JSON, awk, `{a,b}`, `${HOME}`, `{}`), doubled ones too. Double one of ours to pass it: `{{run_dir}}` gives `{run_dir}`.
A single word that is nearly one of our names (`{rundir}`) is refused: it would be a mistake far more often than meant.

Without a shell the command is split first and filled afterwards, so no value can become two arguments. With a shell no
value is ever part of the program: it arrives in a variable that is set in front of the command, and where the
placeholder stood the variable is read, in the quotes that the place needs. In a here-document those quotes show. What
the command itself hands to a second interpreter (`sh -c '...{params.x}...'`, eval) is that one's program text.
"""

from __future__ import annotations

import re
import shlex
from functools import cache
from typing import TYPE_CHECKING

from lab.core import canonical
from lab.core.errors import BadInput, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAMES: Mapping[str, str] = {  # and why one of them may have no value in a run
    "run_dir": "",
    "run_id": "",
    "experiment": "",
    "iteration": "",
    "tier": "",
    "role": "",
    "workspace": "the SPEC names no workspace_root",
    "seed": "the SPEC has no seed",
    "params_path": "the run was given no params",
}
SHELL = "/bin/sh"
_PARAMS = "params."
_NEAR = 0.8  # rundir, run-dir and workspce are mistakes; print, time and run are somebody else's words
_SHOWN_CHARS = 80


def fill(
    command: str, *, shell: bool, params: Mapping[str, object] | None, names: Mapping[str, str]
) -> tuple[str, ...]:
    """The arguments of a command. `BadInput` for a placeholder that has no value, and for a quote left open."""
    return in_shell(command, params, names) if shell else words(command, params, names)


def words(command: str, params: Mapping[str, object] | None, names: Mapping[str, str]) -> tuple[str, ...]:
    """The same where no shell reads it."""
    try:
        split = shlex.split(command)
    except ValueError:
        raise BadInput(
            f"the command has a quote that is never closed: {command[:_SHOWN_CHARS]}",
            fix="close the quote, or set `shell: true`",
        ) from None

    def value_of(name: str) -> str:
        return _value(name, params, names)

    return tuple(_passable(_filled(word, value_of) if "{" in word else word, "the command") for word in split)


def in_shell(command: str, params: Mapping[str, object] | None, names: Mapping[str, str]) -> tuple[str, ...]:
    """The same where one does."""
    text = _for_shell(command, lambda name: _value(name, params, names)) if "{" in command else command
    return (SHELL, "-c", _passable(text, "the command"))


def plain(value: object, name: str = "") -> str:
    """A parameter as plain text: a string as it is, true and false, numbers in full, and the rest as JSON."""
    if isinstance(value, str):
        return _passable(value, f"params.{name}")
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    return canonical.encode(value).decode()


def _passable(text: str, what: str) -> str:
    """Refuse what no argument and no variable can hold: it would stop the start with a riddle."""
    if "\0" in text:
        raise BadInput(f"{what} holds a zero byte, which no program can be given", fix="take it out")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise BadInput(f"{what} holds what is no character (a lone surrogate)", fix="take it out") from None
    return text


@cache
def _ours() -> re.Pattern[str]:
    return re.compile(_PLACE)


@cache
def _in_code() -> re.Pattern[str]:
    """What changes the meaning of a shell's text outside single quotes: escapes, quotes, comments; and our places."""
    return re.compile(r"\\.|['\"]|(?<![^\s;|&(])#[^\n]*|" + _PLACE, re.DOTALL)


@cache
def _in_single() -> re.Pattern[str]:
    return re.compile("'|" + _PLACE)


_WORD = r"params\.[^{}]*|[A-Za-z][A-Za-z0-9_-]*"
_PLACE = r"\{\{(?P<doubled>" + _WORD + r")\}\}|(?P<dollar>\$?)\{(?P<name>" + _WORD + r")\}"


def _filled(word: str, value_of: Callable[[str], str]) -> str:
    return _ours().sub(lambda match: _meant(match, value_of), word)


def _meant(match: re.Match[str], value_of: Callable[[str], str]) -> str:
    """What a match of `_PLACE` stands for: itself, itself without its second braces, or a value."""
    doubled, dollar, name = match["doubled"], match["dollar"], match["name"]
    if doubled is not None:
        return match[0][1:-1] if _is_ours(doubled) or _is_near(doubled) else match[0]
    if dollar and name.startswith(_PARAMS):
        raise BadInput(f"{match[0][:_SHOWN_CHARS]} is neither a variable nor a placeholder", fix=f"write {{{name}}}")
    if dollar or not _is_ours(name):
        if not dollar and (near := _is_near(name)):
            fix = f"did you mean {{{near}}}? To pass it as it stands, write {{{{{name}}}}}"
            raise BadInput(f"there is no placeholder {{{name}}}", fix=fix)
        return match[0]
    return value_of(name)


def _for_shell(command: str, value_of: Callable[[str], str]) -> str:
    variables: dict[str, tuple[str, str]] = {}  # by placeholder: the variable, and its value quoted
    pieces: list[str] = []
    quote, at = "", 0

    def read_here(name: str) -> str:
        if name not in variables:
            variables[name] = (f"LAB_VALUE_{len(variables) + 1}", shlex.quote(value_of(name)))
        variable = f"${{{variables[name][0]}}}"
        return {"": f'"{variable}"', '"': variable, "'": f"'\"{variable}\"'"}[quote]

    while match := (_in_single() if quote == "'" else _in_code()).search(command, at):
        pieces.append(command[at : match.start()])
        at, found = match.end(), match[0]
        if found[0] == "#" and quote:  # no comment inside double quotes
            found, at = "#", match.start() + 1
        elif found in ("'", '"'):
            quote = found if not quote else "" if quote == found else quote
        elif found[0] not in "\\#":
            found = _meant(match, read_here)
        pieces.append(found)
    pieces.append(command[at:])
    settings = "".join(f"{variable}={value}; " for variable, value in variables.values())
    return settings + "".join(pieces)


def _is_ours(name: str) -> bool:
    return name in NAMES or name.startswith(_PARAMS) or name == "params"


def _is_near(name: str) -> str:
    """The name that was probably meant, if it is very like one of ours."""
    import difflib  # noqa: PLC0415  # only for a word in braces that is not ours

    found = difflib.get_close_matches(name.lower()[:_SHOWN_CHARS], NAMES, n=1, cutoff=_NEAR)
    return found[0] if found else ""


def _value(name: str, params: Mapping[str, object] | None, names: Mapping[str, str]) -> str:
    if name == "params":
        raise BadInput("{params} alone is no placeholder", fix="write {params.NAME}, or {params_path} for the file")
    if name in NAMES:
        if not names.get(name):
            raise BadInput(f"{{{name}}} has no value: {NAMES[name] or 'it is not known here'}")
        return names[name]
    wanted = name.removeprefix(_PARAMS)
    if params is None:
        fix = "give the SPEC a `search_space`, or take the placeholder out of the command"
        raise BadInput(f"{{{name[:_SHOWN_CHARS]}}} has no value: the run was given no params", fix=fix)
    if wanted not in params:
        near = nearest(wanted[:_SHOWN_CHARS], tuple(params))
        known = ", ".join(sorted(params)[:20]) or "none"
        fix = f"did you mean {{{_PARAMS}{near}}}?" if near else f"the params of this run are: {known}"
        raise BadInput(f"there is no parameter {wanted[:_SHOWN_CHARS]!r} for {{{name[:_SHOWN_CHARS]}}}", fix=fix)
    return plain(params[wanted], wanted)
