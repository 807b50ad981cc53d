"""The commands that a Python block would start, without starting them, and the texts that it would give to a shell.

Names are followed as far as a reader would: what an import calls a function, and what was assigned in the skill.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import msgspec

from lab.core.skills import shell

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALWAYS_A_SHELL = frozenset(
    {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "asyncio.create_subprocess_shell"}
)
_STARTERS = _ALWAYS_A_SHELL | frozenset(
    {"subprocess.run", "subprocess.call", "subprocess.check_call", "subprocess.check_output", "subprocess.Popen"}
)
_GIVEN_AS = ("args", "command", "cmd")
_HARMLESS = frozenset({"shlex.quote", "shlex.join", "pipes.quote", "int", "float", "len", "round"})
MOST_VALUES, MOST_PIECES = 20, 100  # of one name, of one text: more than that nobody follows

_Words = ast.List | ast.Tuple


class Scope(msgspec.Struct):
    """What the names in a skill's blocks stand for. Later blocks know what earlier ones said."""

    whole: dict[str, str] = {}
    assigned: dict[str, list[ast.expr]] = {}

    def learn(self, tree: ast.Module) -> None:
        """Take in the imports and assignments of a block."""
        for node in ast.walk(tree):
            match node:
                case ast.Import():
                    self.whole.update({each.asname: each.name for each in node.names if each.asname})
                case ast.ImportFrom(module=str(module)):
                    self.whole.update({each.asname or each.name: f"{module}.{each.name}" for each in node.names})
                case ast.Assign(value=value):
                    for target in node.targets:
                        self._assign(target, value)
                case (
                    ast.AnnAssign(target=target, value=ast.expr() as value) | ast.NamedExpr(target=target, value=value)
                ):
                    self._assign(target, value)
                case ast.AugAssign(target=ast.Name() as target, op=ast.Add() as plus, value=value):
                    self._assign(target, ast.copy_location(ast.BinOp(left=target, op=plus, right=value), node))

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            values = self.assigned.setdefault(target.id, [])
            if len(values) < MOST_VALUES:
                values.append(value)

    def called(self, value: ast.expr) -> str:
        """`subprocess.run` for what is called, whatever the import calls it. No recursion: chains may be long."""
        names: list[str] = []
        while isinstance(value, ast.Attribute):
            names.append(value.attr)
            value = value.value
        return ".".join((self.whole.get(value.id, value.id), *reversed(names))) if isinstance(value, ast.Name) else ""

    def meant(self, value: ast.expr) -> list[ast.expr]:
        """The value, or those that were assigned to the name that it is."""
        return self.assigned.get(value.id, []) if isinstance(value, ast.Name) else [value]


def commands(tree: ast.Module, scope: Scope) -> Iterator[tuple[int, tuple[str, ...], bool]]:
    """Each command with its line, and whether all of its words are known. Each value once, however often it is used."""
    seen: set[int] = set()
    for given, is_shell in _given(tree, scope):
        for value in scope.meant(given):
            if not is_shell and id(value) not in seen and (words := _words(value, scope)):
                is_whole = value is given and isinstance(value, _Words) and not _has_star(value)
                yield value.lineno, words, is_whole
            seen.add(id(value))
    for text in texts(tree, scope):
        for value in scope.meant(text):
            if id(value) not in seen or value is text:
                yield from ((value.lineno, words, True) for words in _typed(_spelt(value, scope)))
            seen.add(id(value))


def _typed(text: str) -> list[tuple[str, ...]]:
    try:
        return [words for _, words in shell.commands(text, 0)]
    except ValueError:  # a quote that only the text put in closes
        return []


def texts(tree: ast.Module, scope: Scope) -> Iterator[ast.expr]:
    """The texts that a shell would read: given to one that Python starts, or to `bash -c` in a list of words."""
    for given, is_shell in _given(tree, scope):
        if is_shell:
            yield given.elts[0] if isinstance(given, _Words) and given.elts else given
    for node in ast.walk(tree):
        if isinstance(node, _Words) and len(node.elts) > 1:
            at = shell.text_for_a_shell([_spelt(each, scope) for each in node.elts[:MOST_VALUES]])
            if at:
                yield node.elts[at]


def is_raw(text: ast.expr, scope: Scope) -> bool:
    """Whether a text is put together from pieces of which one is a variable as it is, that no function quoted."""
    todo, seen, is_joined = [text], set[str](), False
    found_raw = False
    for _ in range(MOST_PIECES):
        if not todo:
            break
        match todo.pop():
            case ast.JoinedStr(values=pieces):
                is_joined = True
                todo += pieces
            case ast.FormattedValue(value=piece) | ast.Starred(value=piece):
                todo.append(piece)
            case ast.BinOp(op=ast.Add() | ast.Mod(), left=left, right=right):
                is_joined = True
                todo += [left, right]
            case ast.List(elts=pieces) | ast.Tuple(elts=pieces) | ast.Dict(values=pieces):
                todo += pieces
            case ast.Call(func=ast.Attribute(value=ast.expr() as before, attr="format" | "join")) as call if (
                scope.called(call.func) not in _HARMLESS
            ):
                is_joined = True
                todo += [before, *call.args, *(each.value for each in call.keywords)]
            case ast.Call(func=called):
                found_raw |= scope.called(called) not in _HARMLESS
            case ast.Name(id=name):
                values = () if name in seen else scope.assigned.get(name, ())
                is_made = any(not isinstance(each, ast.Constant) for each in values)
                found_raw |= not is_made and name not in seen
                todo += values if is_made else ()
                seen.add(name)
            case ast.Constant():
                pass
            case _:
                found_raw = True
    return is_joined and found_raw


def _given(tree: ast.Module, scope: Scope) -> Iterator[tuple[ast.expr, bool]]:
    """What each call that starts a program is given as its command, and whether a shell reads it."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or (name := scope.called(node.func)) not in _STARTERS:
            continue
        named = [each.value for each in node.keywords if each.arg in _GIVEN_AS]
        asks = any(each.arg == "shell" and not _is_false(each.value) for each in node.keywords)
        for given in (*node.args[:1], *named):
            yield given, asks or name in _ALWAYS_A_SHELL


def _words(value: ast.expr, scope: Scope) -> tuple[str, ...]:
    """The words of a command, as far as they are known."""
    while isinstance(value, ast.BinOp):  # a list and more of it
        value = value.left
    if isinstance(value, ast.Call) and scope.called(value.func) == "shlex.split" and value.args:
        return tuple(_spelt(value.args[0], scope).split())
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "split":
        return tuple(_spelt(value.func.value, scope).split())
    if not isinstance(value, _Words):
        return ()
    known = value.elts
    if _has_star(value):
        known = known[: next(at for at, each in enumerate(known) if isinstance(each, ast.Starred))]
    return tuple(_spelt(each, scope) for each in known)


def _spelt(value: ast.expr, scope: Scope) -> str:
    """A text as it is spelt, with a stand-in for what is put into it."""
    if isinstance(value, ast.JoinedStr):
        return "".join(_spelt(each, scope) for each in value.values)
    if isinstance(value, ast.Name):
        values = scope.assigned.get(value.id, [])
        value = values[0] if len(values) == 1 else value
    is_text = isinstance(value, ast.Constant) and isinstance(value.value, str)
    return str(value.value) if isinstance(value, ast.Constant) and is_text else shell.STANDIN


def _has_star(words: _Words) -> bool:
    return any(isinstance(each, ast.Starred) for each in words.elts)


def _is_false(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is False
