"""docs/reference/api.md, from the signatures and the docstrings of what `lab` names.

Read from the source as text: signatures stay as they are written, and `inspect` costs every command that loads it.
"""

from __future__ import annotations

import ast
import os
from typing import TYPE_CHECKING

import lab.core.errors
from lab.api import opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.core.errors import LabError

HEAD = """\
# The lab from Python

`import lab` gives the names on this page. They are all that is promised of it, as [contract](contract.md) says what a
promise is; whatever else can be imported from the package may change with any release. One task step by step:
[notebook](../how-to/notebook.md). `import lab` itself loads nothing; each name is loaded when it is first used.

Everything that the lab refuses is raised as one of the [errors](#errors) below, with nothing written. What an error
says to do next is often a command: a notebook runs it as `!labctl ...`.
"""
_ERRORS = "lab.core.errors"
_VERSION = "__version__"


def page(where: Mapping[str, str]) -> str:
    """The page. `where` says of each public name in which module it is made."""
    parts = [HEAD]
    errors = sorted(name for name, module in where.items() if module == _ERRORS)
    for name, module in sorted(where.items(), key=_place):
        if module != _ERRORS and name != _VERSION:
            parts.append("\n".join(_class(*_found(module, name))))
    rows = "\n".join(_error(name) for name in errors)
    head = "| name | raised when | `kind` | exit code of a command |\n| --- | --- | --- | --- |"
    about = "Each has `what`, `where` and `fix`, and says all three as text. All are a `LabError`."
    parts += [f"## Errors\n\n{about}\n\n{head}\n{rows}", "## `lab.__version__`\n\nThe version, as text."]
    return "\n\n".join(part.strip() for part in parts) + "\n"


_FIRST = ("Lab", "Experiment", "Burst", "Run", "Table", "Trial")


def _place(item: tuple[str, str]) -> tuple[int, str]:
    return (_FIRST.index(item[0]) if item[0] in _FIRST else len(_FIRST)), item[0]


def _found(module: str, name: str) -> tuple[ast.ClassDef, list[str]]:
    folder = os.path.dirname(os.path.abspath(opened.__file__))
    with open(f"{folder}/{module.rpartition('.')[2]}.py", encoding="utf-8") as file:
        text = file.read()
    return next(
        node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name == name
    ), text.splitlines()


def _class(node: ast.ClassDef, lines: list[str]) -> Iterator[str]:
    yield f"## `lab.{node.name}`\n\n{_told(node)}\n"
    for member in node.body:
        if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
            about = lines[member.lineno - 1].partition("  # ")[2]
            yield f"- `{member.target.id}`: `{ast.unparse(member.annotation)}`{f'; {about}' if about else ''}"
    for member in node.body:
        if isinstance(member, ast.FunctionDef):
            yield from _member(node.name, member)


def _member(owner: str, member: ast.FunctionDef) -> Iterator[str]:
    marks = {ast.unparse(mark) for mark in member.decorator_list}
    if member.name == "__init__" and owner == "Lab":
        yield f"\n`lab.{owner}{_signature(member)}`\n"
    elif member.name.startswith("_"):
        return
    elif "property" in marks and member.returns:
        yield f"\n### `{owner}.{member.name}`\n\n`{ast.unparse(member.returns)}`. {_told(member)}"
    else:
        returns = f" -> {ast.unparse(member.returns)}" if member.returns else ""
        yield f"\n### `{owner}.{member.name}`\n\n`{member.name}{_signature(member)}{returns}`\n\n{_told(member)}"


def _signature(node: ast.FunctionDef) -> str:
    """The arguments as they are written, less `self`."""
    given = node.args
    every = [*given.posonlyargs, *given.args][1:]
    defaults: list[ast.expr | None] = [None] * (len(every) - len(given.defaults)) + list(given.defaults)
    told = [_argument(*pair) for pair in zip(every, defaults, strict=True)]
    if given.vararg:
        told.append(f"*{_argument(given.vararg, None)}")
    elif given.kwonlyargs:
        told.append("*")
    told += [_argument(*pair) for pair in zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    if given.kwarg:
        told.append(f"**{_argument(given.kwarg, None)}")
    return f"({', '.join(told)})"


def _argument(node: ast.arg, default: ast.expr | None) -> str:
    of = f": {ast.unparse(node.annotation)}" if node.annotation else ""
    return f"{node.arg}{of}" + (f" = {ast.unparse(default)}" if default is not None else "")


def _told(node: ast.ClassDef | ast.FunctionDef) -> str:
    return ast.get_docstring(node) or ""


def _error(name: str) -> str:
    kind: type[LabError] = getattr(lab.core.errors, name)
    about = " ".join((kind.__doc__ or "").split())
    return f"| `lab.{name}` | {about} | `{kind.kind}` | {kind.exit_code} |"
