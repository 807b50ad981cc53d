"""A study made one idea's: its parameters narrowed to what the idea moves, all others held where the baseline is. Pure.

The baseline stays a point of what is left, or the idea is refused: nothing could be compared with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import assignment, constraint, spec_text
from lab.core import space as spaces
from lab.core.errors import BadInput, nearest
from lab.core.parameter import same, shown
from lab.research import spelled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.assignment import Params
    from lab.core.parameter import Parameter
    from lab.core.space import Space

_SPACE = "search_space"
_MODE, _FENCED = "workspace_mode", "fenced"
_KEPT = ("when", "default")  # of a parameter that an idea writes as another kind
_KINDS = {"choices": "choice", "value": "fixed"}


def baseline(space: Space, where: str) -> Params:
    """The point that everything is compared with: that of the defaults."""
    found = assignment.beginning(space)
    if found is None:
        what = "the study has no baseline: no parameter has a `default:`, or the defaults break a constraint"
        raise BadInput(what, where=where, fix="give each parameter the `default:` that is in use today")
    return found


def space(study: Space, moved: Mapping[str, object], where: str) -> Space:
    """What is left of a study's space where an idea moves only these. `BadInput` for one that leaves the study's."""
    if not moved:
        return study
    for name in moved:
        if name not in study.names:
            near = nearest(name, study.names)
            fix = f"did you mean {near}?" if near else f"the study has {', '.join(study.names)}"
            raise BadInput(f"space: {name[:60]!r} is no parameter of the study", where=where, fix=fix)
    begun = baseline(study, where)
    written = {each.name: _one(each, moved, begun, where) for each in study.parameters}
    kept = _reachable({name: entry for name, entry in written.items() if entry is not None})
    names: set[str] = set(kept)
    constraints = [text for text in study.constraints if not constraint.problem(text, names)]
    whole: dict[str, object] = {"parameters": kept, "constraints": constraints} if constraints else {"parameters": kept}
    found = _parsed(whole, where)
    for each in found.parameters:
        _require_inside(next(old for old in study.parameters if old.name == each.name), each, where)
    return found


def _parsed(whole: Mapping[str, object], where: str) -> Space:
    """The space, in which the baseline is the point of the defaults: so a default outside refuses it."""
    try:
        return spaces.parse(whole, where)
    except BadInput as wrong:
        fix = "write it as a search_space does, and wide enough for the study's defaults: they are the baseline"
        raise BadInput(f"the space of the idea: {wrong.what}", where=where, fix=fix) from None


def written(parameter: Parameter) -> dict[str, object]:
    """A parameter as a search_space writes it."""
    told: dict[str, object] = {"type": parameter.kind}
    match parameter.kind:
        case "float" | "int":
            told |= {"low": parameter.low, "high": parameter.high}
            told |= {"log": True} if parameter.log else {}
            told |= {"step": parameter.step} if parameter.step is not None else {}
        case "choice":
            told["choices"] = list(parameter.choices)
        case "fixed":
            told["value"] = parameter.value
        case _:
            pass
    if parameter.when:
        told["when"] = {each.name: list(each.values) for each in parameter.when}
    if parameter.default is not msgspec.UNSET:
        told["default"] = parameter.default
    return told


def text(  # what the lab writes of it
    data: bytes, new_id: str, left: Space | None, *, is_loop: bool, where: str, fenced: bool = False
) -> bytes:
    """The SPEC with this id and this space; `left` is None where the space stays as it is written.

    `fenced`: what is run was written by somebody else, and is to write to its own folder and no other.

    All other lines stay, comments too. A SPEC that is written so that its lines cannot be told apart is written anew. A
    code loop works in copies: its folder may lie in a repository of the user's, which has never heard of it.
    """
    mapping, lines = spec_text.parse_text(data, where)
    wanted: dict[str, object] = {"id": new_id}
    if left is not None:
        wanted[_SPACE] = _mapping(left)
    if is_loop and mapping.get(_MODE) in (None, "", "auto"):
        wanted[_MODE] = "copy"
    if fenced:
        wanted[_FENCED] = True
    rows = data.decode().removeprefix("\ufeff").splitlines(keepends=True)
    begins = {key: lines.line((key,)) for key in mapping}
    for key in sorted(wanted, key=lambda each: -begins.get(each, 1 << 30)):
        block = _block(key, wanted[key])
        if key not in begins:
            rows += ["" if not rows or rows[-1].endswith("\n") else "\n", *block]
            continue
        first = begins[key] - 1
        rows[first : _end(rows, first)] = block
    made = "".join(rows).encode()
    meant = {**mapping, **wanted}
    if _reads_as(made, meant, where):
        return made
    return "".join(row for key, value in meant.items() for row in _block(key, value)).encode()


def _mapping(left: Space) -> dict[str, object]:
    told: dict[str, object] = {each.name: written(each) for each in left.parameters}
    return {"parameters": told, "constraints": list(left.constraints)} if left.constraints else told


def _block(key: str, value: object) -> list[str]:
    """A key and its value as lines: JSON is YAML. A parameter a line, where there are any."""
    if key != _SPACE or not isinstance(value, dict):
        return [f"{key}: {spelled.line(value)}\n"]
    inner, pad, head = value, "  ", [f"{key}:\n"]
    tail: list[str] = []
    if isinstance(value.get("parameters"), dict) and "constraints" in value:
        tail = [f"  constraints: {spelled.line(value['constraints'])}\n"]
        inner, pad, head = value["parameters"], "    ", [f"{key}:\n", "  parameters:\n"]
    return [*head, *(f"{pad}{spelled.line(name)}: {spelled.line(entry)}\n" for name, entry in inner.items()), *tail]


def _end(rows: list[str], first: int) -> int:
    """The row after a key's value: the next that begins in the first column and is no comment."""
    end = first + 1
    while end < len(rows) and (rows[end][:1] in (" ", "\t", "-", "]", "}") or not rows[end].strip()):
        end += 1
    while end > first + 1 and not rows[end - 1].strip():
        end -= 1
    return end


def _reads_as(made: bytes, meant: Mapping[str, object], where: str) -> bool:
    try:
        found = spec_text.parse_text(made, where)[0]
    except BadInput:
        return False
    return spelled.line(found) == spelled.line(meant) or dict(found) == dict(meant)


def _one(parameter: Parameter, moved: Mapping[str, object], begun: Params, where: str) -> dict[str, object] | None:
    """A parameter in the narrowed space: as the idea moves it, or held at the baseline; None where it never counts."""
    told = written(parameter)
    name = parameter.name
    if name not in moved:
        if name not in begun:
            return told  # it counts where a parameter has a value that the baseline has not
        kept = {key: told[key] for key in ("when",) if key in told}
        return {"type": "fixed", "value": begun[name], "default": begun[name], **kept}
    entry = moved[name]
    if not isinstance(entry, dict):
        fix = 'write it as in a search_space: {"low": 0.001, "high": 0.1}'
        raise BadInput(f"space.{name}: must be a map, not {shown(entry)}", where=where, fix=fix)
    held: dict[str, object] = {"default": begun[name]} if name in begun else {}
    kind = entry.get("type") or next((kind for key, kind in _KINDS.items() if key in entry), told["type"])
    if kind != told["type"]:
        told = {"type": kind, **{key: told[key] for key in _KEPT if key in told}}
    return {**told, **entry, **held}


def _reachable(entries: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """Without what can never count: a condition on a parameter that is held elsewhere by now."""
    while True:
        left = {}
        for name, entry in entries.items():
            when = entry.get("when")
            if not isinstance(when, dict):
                left[name] = entry
                continue
            possible = {each: _possible(entries.get(each), values) for each, values in when.items()}
            if all(possible.values()):
                left[name] = {**entry, "when": possible}
        if len(left) == len(entries):
            return left
        entries = left


def _possible(parent: Mapping[str, object] | None, values: object) -> list[object]:
    listed = list(values) if isinstance(values, (list, tuple)) else [values]
    if parent is None:
        return []
    match parent.get("type"):
        case "fixed":
            return [each for each in listed if same(each, parent.get("value"))]
        case "choice":
            choices = parent.get("choices")
            known = choices if isinstance(choices, (list, tuple)) else ()
            return [each for each in listed if any(same(each, choice) for choice in known)]
        case _:
            return listed


def _require_inside(old: Parameter, new: Parameter, where: str) -> None:
    ends: tuple[object, ...]
    match new.kind:
        case "fixed":
            ends = (new.value,)
        case "choice":
            ends = new.choices
        case "bool":
            ends = (True, False)
        case _:
            ends = (new.low, new.high)
    old = msgspec.structs.replace(old, step=None)  # a coarser or a finer grid is the idea's own matter
    if old.kind == "int" and new.kind == "float":
        raise BadInput(f"space.{new.name}: the study takes whole numbers", where=where, fix="write `type: int`")
    if (old.kind in ("float", "int")) != (new.kind in ("float", "int")) and new.kind not in ("fixed", "choice"):
        what = f"space.{new.name}: it is a {old.kind} in the study, and cannot be a {new.kind}"
        raise BadInput(what, where=where, fix="write it as the study does")
    wrong = next((problem for end in ends if (problem := old.problem(end))), "")
    if wrong:
        raise BadInput(f"space.{new.name}: it leaves the study: it {wrong}", where=where, fix="stay inside the study")
