"""Every kind of error that anything in lab/ raises is in the contract, or whoever decides on it meets a stranger."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lab.cli import reference
from lab.core import glossary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LAB = Path(__file__).resolve().parents[2] / "lab"


class Class(NamedTuple):
    """What a class says of itself: what it is called, of what it is made, and each `kind` in its body."""

    name: str
    bases: frozenset[str]
    kinds: tuple[str, ...]


def said() -> tuple[dict[str, list[Class]], dict[str, list[str]]]:
    """The classes of each file, and each `kind` of its documents. One file at a time: all of them are much to parse."""
    classes: dict[str, list[Class]] = {}
    documents: dict[str, list[str]] = {}
    for path in sorted(LAB.rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        classes[str(path)] = [of_class(node) for node in nodes if isinstance(node, ast.ClassDef)]
        documents[str(path)] = list(in_documents(nodes))
    return classes, documents


def of_class(node: ast.ClassDef) -> Class:
    bases = frozenset(base.id if isinstance(base, ast.Name) else getattr(base, "attr", "") for base in node.bases)
    kinds = []
    for part in node.body:
        value = part.value if isinstance(part, ast.Assign | ast.AnnAssign) else None
        names = part.targets if isinstance(part, ast.Assign) else [getattr(part, "target", None)]
        if isinstance(value, ast.Constant) and any(isinstance(n, ast.Name) and n.id == "kind" for n in names):
            kinds.append(str(value.value))
    return Class(node.name, bases, tuple(kinds))


def of_errors(classes: dict[str, list[Class]]) -> Iterator[tuple[str, str]]:
    """The `kind` of each class that is an error of the lab, however far from it, with its place."""
    known = {"LabError"}
    while grown := {each.name for found in classes.values() for each in found if each.bases & known} - known:
        known |= grown
    for path, found in classes.items():
        yield from ((path, kind) for each in found if each.name in known for kind in each.kinds)


def in_documents(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """The `kind` of each document that has an exit code beside it, and of each call that makes one."""
    for node in nodes:
        if isinstance(node, ast.Dict):
            told = {
                key.value: value
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant)
            }
            found = told.get("kind") if "exit_code" in told else None
            if isinstance(found, ast.Constant):
                yield str(found.value)
        elif isinstance(node, ast.Call) and "exit_code" in {each.arg for each in node.keywords}:
            found = next((each.value for each in node.keywords if each.arg == "kind"), None)
            if isinstance(found, ast.Constant):
                yield str(found.value)


def test_every_kind_that_is_raised_is_in_the_contract_and_explained() -> None:
    listed = {each.kind for each in reference.every_error()}
    explained = {word.code for word in glossary.words() if word.family == glossary.ERROR}
    classes, documents = said()
    raised = {*of_errors(classes), *((path, kind) for path, kinds in documents.items() for kind in kinds)}
    assert len(raised) > 10  # it has looked
    assert not {each for each in raised if each[1] not in listed or each[1] not in explained}
