"""What is wrong with the Python blocks of a skill: found by parsing them, never by running them."""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from typing import TYPE_CHECKING

from lab.core.skills.codes import issue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.skills.blocks import Block
    from lab.core.skills.codes import Issue

_BUILT_IN = frozenset(dir(builtins)) | {"__file__", "__name__", "__doc__"}
_STARTERS = frozenset(
    {
        "os.system", "os.popen", "subprocess.run", "subprocess.call", "subprocess.check_call",
        "subprocess.check_output", "subprocess.Popen", "subprocess.getoutput", "subprocess.getstatusoutput",
    }
)  # fmt: skip
_ALWAYS_A_SHELL = frozenset({"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"})
_QUOTERS = frozenset({"shlex.quote", "quote", "shlex.join"})
_PROGRAM = re.compile(r"\s*(?:bash|cd|curl|docker|echo|export|git|labctl|make|pip|python3?|sh|ssh|uv|uvx|wget)\s")


def judge(blocks: list[Block]) -> Iterator[Issue]:
    """Each block by itself; what an earlier block of the skill defines is known to the later ones."""
    known: set[str] = set()
    for block in blocks:
        tree = _parsed(block.text)
        if isinstance(tree, str):
            at, _, why = tree.partition(" ")
            yield issue("PYTHON_SYNTAX", f"this does not parse: {why}", line=block.line + int(at) - 1)
            continue
        known |= _bound(tree)
        for name, line in _unknown(tree, known):
            yield issue("PYTHON_NAME", f"nothing defines {name}", line=block.line + line - 1)
        for line, how in _injections(tree):
            yield issue("SHELL_INJECTION", how, line=block.line + line - 1)


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


def _parsed(text: str) -> ast.Module | str:
    """The tree, or `LINE why` of what is wrong."""
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


def _injections(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _runs_a_shell(node):
            for argument in node.args[:1]:
                if isinstance(argument, ast.JoinedStr) and any(_is_raw(part) for part in argument.values):
                    yield argument.lineno, "an f-string with a variable is given to a shell"
        elif isinstance(node, ast.JoinedStr):
            first = node.values[0] if node.values else None
            is_command = isinstance(first, ast.Constant) and _PROGRAM.match(str(first.value)) is not None
            if is_command and _quotes_a_variable(node):
                yield node.lineno, "an f-string puts a variable inside a shell's quotes"


def _runs_a_shell(call: ast.Call) -> bool:
    name = _dotted(call.func)
    asks = any(each.arg == "shell" and not _is_false(each.value) for each in call.keywords)
    return name in _ALWAYS_A_SHELL or (name in _STARTERS and asks)


def _dotted(value: ast.expr) -> str:
    """`os.system` for the expression that says so. No recursion: a stranger's chain may have thousands of links."""
    names: list[str] = []
    while isinstance(value, ast.Attribute):
        names.append(value.attr)
        value = value.value
    return ".".join((value.id, *reversed(names))) if isinstance(value, ast.Name) else ""


def _is_false(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


def _is_raw(part: ast.expr) -> bool:
    """A variable as it is, not one that a quoting function went over."""
    if not isinstance(part, ast.FormattedValue):
        return False
    return not (isinstance(part.value, ast.Call) and _dotted(part.value.func) in _QUOTERS)


def _quotes_a_variable(text: ast.JoinedStr) -> bool:
    before = ""
    for part in text.values:
        if isinstance(part, ast.Constant):
            before += str(part.value)
        elif _is_raw(part) and (before.count('"') % 2 or before.count("'") % 2):
            return True
    return False
