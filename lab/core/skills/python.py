"""What is wrong with the Python blocks of a skill: found by parsing them, never by running them."""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING

from lab.core.skills import started
from lab.core.skills.codes import issue
from lab.core.skills.started import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.skills.blocks import Block
    from lab.core.skills.codes import Issue

_BUILT_IN = frozenset(dir(builtins)) | {"__file__", "__name__", "__doc__"}
MOST_CHARS = 50_000  # of one block: for some texts the parser's time grows with the square of their length
_ENDLESS = frozenset({"itertools.count", "itertools.cycle"})
_PROGRAM = re.compile(r"\s*(?:bash|cd|curl|docker|echo|export|git|labctl|make|pip|python3?|sh|ssh|uv|uvx|wget)\s")


def judge(blocks: list[Block]) -> Iterator[Issue]:
    """Each block by itself; what an earlier block of the skill defines is known to the later ones."""
    known: set[str] = set()
    scope = Scope()
    for block in blocks:
        tree = _parsed(block.text)
        if isinstance(tree, str):
            at, _, why = tree.partition(" ")
            yield issue("PYTHON_SYNTAX", f"this does not parse: {why}", line=block.line + int(at) - 1)
            continue
        known |= _bound(tree)
        for name, line in _unknown(tree, known):
            yield issue("PYTHON_NAME", f"nothing defines {name}", line=block.line + line - 1)
        scope.learn(tree)
        for line, how in _injections(tree, scope):
            yield issue("SHELL_INJECTION", how, line=block.line + line - 1)
        for line in _endless(tree, scope):
            yield issue("UNBOUNDED", "this loop has no way out", line=block.line + line - 1)


def commands(blocks: list[Block]) -> Iterator[tuple[int, tuple[str, ...], bool]]:
    """The commands that the blocks would start, each with its line, and whether all of its words are known."""
    scope = Scope()
    for block in blocks:
        tree = _parsed(block.text)
        if not isinstance(tree, str):
            scope.learn(tree)
            yield from ((block.line + line - 1, words, whole) for line, words, whole in started.commands(tree, scope))


def texts(block: Block) -> Iterator[tuple[int, str]]:
    """The texts and lists of words that a block holds, as one line each: a shell command may be among them."""
    tree = _parsed(block.text)
    if isinstance(tree, str):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield block.line + node.lineno - 1, node.value
        elif isinstance(node, ast.List | ast.Tuple):
            words = [each.value for each in node.elts if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            yield block.line + node.lineno - 1, " ".join(words)


@lru_cache(maxsize=32)
def _parsed(text: str) -> ast.Module | str:
    """The tree, or `LINE why` of what is wrong."""
    if len(text) > MOST_CHARS:
        return f"1 it has more than {MOST_CHARS:,} characters"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a stranger's `"\d"` is none of our warnings
            return ast.parse(text)
    except SyntaxError as trouble:
        return f"{trouble.lineno or 1} {trouble.msg}"
    except (ValueError, RecursionError, MemoryError) as trouble:
        return f"1 {trouble}"


def _bound(tree: ast.Module) -> set[str]:
    """Every name that is given a meaning anywhere: too kind to code that runs in another order, never too strict."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.alias):
            found.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            found.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            found.add(node.rest)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            found.update(node.names)
    return found


def _unknown(tree: ast.Module, known: set[str]) -> Iterator[tuple[str, int]]:
    if "*" in known:  # a star import: anything may have come with it
        return
    told: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            name = node.id
            if name not in known and name not in _BUILT_IN and name not in told:
                told.add(name)
                yield name, node.lineno


def _injections(tree: ast.Module, scope: Scope) -> Iterator[tuple[int, str]]:
    told: set[int] = set()
    for text in started.texts(tree, scope):
        if started.is_raw(text, scope) and text.lineno not in told:
            told.add(text.lineno)
            yield text.lineno, "a text with a variable in it is given to a shell"
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and node.lineno not in told:
            first = node.values[0] if node.values else None
            is_command = isinstance(first, ast.Constant) and _PROGRAM.match(str(first.value)) is not None
            if is_command and _quotes_a_variable(node, scope):
                yield node.lineno, "an f-string puts a variable inside a shell's quotes"


def _quotes_a_variable(text: ast.JoinedStr, scope: Scope) -> bool:
    before = ""
    for part in text.values:
        if isinstance(part, ast.Constant):
            before += str(part.value)
        elif (before.count('"') % 2 or before.count("'") % 2) and started.is_raw(ast.JoinedStr([part]), scope):
            return True
    return False


def _endless(tree: ast.Module, scope: Scope) -> Iterator[int]:
    """The lines of loops that end by nothing in them: no condition that can change, and no way out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.While):
            is_endless = _is_always_true(node.test)
        elif isinstance(node, ast.For) and isinstance(node.iter, ast.Call):
            name, given = scope.called(node.iter.func), len(node.iter.args) + len(node.iter.keywords)
            is_endless = name in _ENDLESS or (name == "itertools.repeat" and given == 1)
        else:
            continue
        if is_endless and not any(_is_way_out(inside) for each in node.body for inside in ast.walk(each)):
            yield node.lineno


def _is_always_true(test: ast.expr) -> bool:
    """Whether a condition has nothing in it that could change: `True`, `1`, `not False`, `1 == 1`."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return isinstance(test.operand, ast.Constant) and not test.operand.value
    if isinstance(test, ast.Compare):
        return all(isinstance(each, ast.Constant) for each in (test.left, *test.comparators))
    return isinstance(test, ast.Constant) and bool(test.value)


def _is_way_out(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute | ast.Name):
        return (node.attr if isinstance(node, ast.Attribute) else node.id) in ("exit", "quit", "_exit")
    return isinstance(node, ast.Break | ast.Return | ast.Raise | ast.Yield | ast.YieldFrom)
