"""Whoever decodes JSON knows the three ways in which that fails: no JSON, no UTF-8, and a nest without end.

Found again and again by fuzzing: a place that handles the first and lets the others through, as a crash of its process.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.tidy.test_house_rules import CHECKOUT, dotted, read, trees

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.tidy.test_house_rules import Module

__all__ = ["trees"]  # a fixture

JSON = ("msgspec.json.decode", "json.loads", "json.load", "json_text.parse")
NO_UTF8, TOO_DEEP = {"UnicodeDecodeError", "UnicodeError", "ValueError"}, {"RecursionError"}
NO_JSON = {
    "msgspec.MsgspecError",
    "ValueError",
    "json.JSONDecodeError",
    "msgspec.ValidationError",
    "msgspec.DecodeError",
}
# What decodes without a handler of its own, and why nothing can fail there.
SURE = {
    "lab.core.spec_page": "its own schema, as it has just been written",
    "lab.research.project_page": "the same",
    "lab.cli.schemas": "the same",
    "lab.api.run": "a line that `results.table` has decoded",
    "lab.scheduler.results.export": "the same",
    "lab.scheduler.results.optuna_journal": "the same",
    "lab.scheduler.turn": "a line that another process of this very command has written to its pipe",
    "lab.scheduler.search.burst": "the same",
    "lab.executors.warden": "the same",
    "lab.executors.evaluating": "the argument that the lab started it with",
    "lab.executors.config_file": "`_read` handles it, for all three kinds of file",
    "lab.research.release.gathered": "a seal that the ledger vouches for",
    "lab.engines.ray_text": "`ray` handles it, where it is known who answered",
    "lab.core.json_text": "its callers handle it: they know whose file it is",
}


def found(module: Module) -> Iterator[tuple[int, str]]:
    """Lines that decode, and what they would let through."""
    if not any(name in module.source for name in JSON):
        return
    yield from _below(module.tree, frozenset())


def _below(node: ast.AST, handled: frozenset[str]) -> Iterator[tuple[int, str]]:
    """The same below a node, around which these errors are handled."""
    if isinstance(node, ast.Call) and dotted(node.func) in JSON:
        ways = (("no JSON", NO_JSON), ("no UTF-8", NO_UTF8), ("a nest", TOO_DEEP))
        lacks = [words for words, names in ways if not handled & names]
        if lacks:
            yield node.lineno, ", ".join(lacks)
    inside: set[str] = set()
    if isinstance(node, ast.Try):
        inside = {dotted(each) for handler in node.handlers for each in _types(handler.type)}
    elif isinstance(node, ast.With):
        calls = [each.context_expr for each in node.items if isinstance(each.context_expr, ast.Call)]
        inside = {dotted(each) for call in calls if dotted(call.func) == "suppress" for each in call.args}
    guarded = node.body if isinstance(node, (ast.Try, ast.With)) else []
    for child in ast.iter_child_nodes(node):
        yield from _below(child, handled | inside if child in guarded else handled)


def _types(given: ast.expr | None) -> list[ast.expr]:
    if isinstance(given, ast.Tuple):
        return given.elts
    return [given] if given is not None else []


def test_who_decodes_json_handles_all_that_can_be_wrong_with_it() -> None:
    modules = [module for module in read(CHECKOUT, "lab") if not module.name.startswith("lab.testing")]
    wrong = [
        f"{module.name}:{line}: {lacks}"
        for module in modules
        if module.name not in SURE
        for line, lacks in found(module)
    ]
    assert wrong == []
    unneeded = {module.name for module in modules if module.name in SURE and not list(found(module))}
    assert unneeded == set()
