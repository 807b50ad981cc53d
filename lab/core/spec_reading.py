"""A mapping to a `Spec`: knows every rule, and reports everything that is wrong at once, with its lines.

Lenient where the meaning is plain (a blank is the default, a single word is a list of one), deaf to guesses
elsewhere: a key, a word or a number that is not understood refuses the whole SPEC before anything is written.
Loaded only for a SPEC that was not read before: `core.spec` is the way in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
from msgspec import inspect as shapes

from lab.core import spec_evaluation, spec_rules, spec_tuning
from lab.core.cadence import duration_s
from lab.core.errors import BadInput, around, nearest
from lab.core.space import Problems, collect
from lab.core.spec_fields import (
    MAX_BUDGET_S,
    RECORDS,
    TIER_OVERRIDABLE_FIELDS,
    Override,
    Spec,
    StopConditions,
    Value,
    shapes_of,
    without_none,
)
from lab.core.spec_values import boolean, entries, is_blank, not_blank, number, shown, text, word

if TYPE_CHECKING:
    from lab.core.spec_text import Lines, Path

# How the budget is written; the record holds it once, in seconds.
BUDGETS = ("time_budget", "time_budget_minutes")
KNOWN = tuple(
    key
    for name in Spec.__struct_fields__
    for key in (BUDGETS if name == "time_budget_s" else (name,))
    if key != "overrides"
)

_MAPS: Mapping[str, type[msgspec.Struct]] = {"stop_conditions": StopConditions, **RECORDS}
_PATHS = ("mutable_paths", "read_only_paths")
_MAX_REPORTED = 20
_MAX_KEY_CHARS = 100


def parse(mapping: Mapping[str, object], lines: Lines | None, where: str, fix: str) -> Spec:
    """Return the SPEC that `mapping` writes, or refuse it with everything that is wrong, each with its line."""
    reading = _Reading(mapping, lines)
    spec = reading.spec()
    if not reading.problems:
        return spec
    count = len(reading.problems)
    told = [f"  {problem}" for _, problem in sorted(reading.problems, key=lambda problem: problem[0])]
    if count > _MAX_REPORTED:
        told[_MAX_REPORTED:] = [f"  and {count - _MAX_REPORTED} more"]
    what = "\n".join((f"the SPEC has {count} problem{'s' if count > 1 else ''}:", *told))
    if reading.is_lost:
        fix = "a note of your own is a comment, behind a #; every key: labctl schema spec; of one: labctl explain KEY"
    raise BadInput(what, where=where, fix=fix)


def apart(mapping: Mapping[str, object], lines: Lines | None) -> tuple[Spec, frozenset[str]]:
    """What could be read of a SPEC that is refused, and the keys that are wrong or may be meant by wrong ones."""
    reading = _Reading(mapping, lines)
    spec = reading.spec()
    unsure = frozenset(KNOWN) if reading.unknown > _MAX_REPORTED else frozenset(reading.unsure)
    return (reading.readable or spec), unsure


def _hint(key: object, known: tuple[str, ...], name: str) -> str:
    """What may have been meant by a key that the map `name` does not have."""
    if key in KNOWN:
        return f"{key} stands at the top, not in {name}"
    near = nearest(key[:_MAX_KEY_CHARS], known) if isinstance(key, str) else ""
    return f"did you mean {near}?" if near else f"known are {', '.join(known)}"


class _Reading:
    """One pass over a mapping, and what was wrong with it."""

    def __init__(self, mapping: Mapping[str, object], lines: Lines | None) -> None:
        self.mapping = mapping
        self.lines = lines
        self.problems: list[tuple[int, str]] = []
        self.is_lost = False  # a key came near no known one: to know where all of them stand will help
        self.unknown = 0
        self.unsure: set[str] = set()  # keys that are wrong, and those that a wrong one may have meant
        self.readable: Spec | None = None  # what stands beside what is wrong

    def spec(self) -> Spec:
        values: dict[str, object] = {}
        for name in KNOWN:
            if name in self.mapping and name not in BUDGETS:
                self._read(name, name, values)
        self._budget("", values)
        if is_blank(self.mapping.get("id")):
            self._complain(("id",), "id is missing; give the experiment a name such as `id: lr-sweep`")
        tiers = self._tiers(values)
        overrides = self._overrides(tiers)
        self._commands(values, overrides)
        self._paths(values, overrides)
        if self.problems:
            self.readable = msgspec.structs.replace(Spec(id="refused"), overrides=overrides, **values)
            return Spec(id="refused")
        identity = str(values.pop("id"))
        spec = msgspec.structs.replace(Spec(id=identity), overrides=overrides, **values)
        if "max_iterations_total" not in values:
            spec = msgspec.structs.replace(spec, max_iterations_total=spec_tuning.most_runs(spec))
        for key, problem in (*spec_tuning.problems(spec), *spec_evaluation.problems(spec)):
            self._complain((key,), f"{key}: {problem}")
        return spec

    def _read(self, key: str, name: str, values: dict[str, object]) -> None:
        """Read the field `name` from `key` into `values`, unless nothing is written there."""
        given = self.mapping[key]
        shape = _shape(name)
        if is_blank(given) or _is_none(name, given):
            return
        try:
            match shape:
                case shapes.VarTupleType():
                    values[name] = self._list(key, name, given)
                case shapes.StructType() if name in RECORDS:
                    values[name] = self._record(name, RECORDS[name], given)
                case shapes.StructType():
                    values[name] = self._stop_conditions(given)
                case shapes.BoolType():
                    values[name] = boolean(given)
                case shapes.IntType() | shapes.FloatType():
                    values[name] = number(given, shape)
                case shapes.UnionType() if isinstance(given, Mapping):
                    values[name] = self._space(given)
                case _:
                    values[name] = self._text((key,), name, given)
        except BadInput as refusal:
            self._refused((key,), refusal)

    def _text(self, path: Path, name: str, given: object) -> str:
        spelling = self.lines.spelling(path) if self.lines else None
        shape = _shape(name)
        if isinstance(shape, shapes.LiteralType):
            if name == "workspace_mode":
                given = spec_rules.workspace_mode(text(given, spelling))
            known = tuple(str(value) for value in shape.values)
            return word(given, known, spec_rules.ALIASES.get(name, {}), spelling)
        found = text(given, spelling)
        rule = spec_rules.TEXTS.get(name)
        return rule(found) if rule else found

    def _list(self, key: str, name: str, given: object) -> tuple[str, ...]:
        listed = isinstance(given, (list, tuple))
        found: list[str] = []
        for index, entry in enumerate(entries(given)):
            path: Path = (key, index) if listed else (key,)
            try:
                found.append(self._text(path, name, not_blank(entry)))
            except BadInput as refusal:
                self._refused(path, refusal)
        return tuple(found)

    def _space(self, given: Mapping[str, object]) -> object:
        problems: Problems = []
        space = collect(given, problems)
        for path, problem in problems:
            dotted = ".".join(str(part) for part in ("search_space", *path))
            self._complain(("search_space", *path), f"{dotted}: {problem}")
        return space

    def _record(self, name: str, record: type[msgspec.Struct], given: object) -> msgspec.Struct:
        """A map of fields of their own. What is wrong in it is told with its line, like everything else."""
        if not isinstance(given, Mapping):
            raise BadInput(f"must be a map, not {shown(given)}", fix=f"write lines such as `{name}:` / `  key: value`")
        found: dict[str, object] = {}
        known = shapes_of(record)
        for key, value in given.items():
            path: Path = (name, str(key)[:_MAX_KEY_CHARS])
            if not isinstance(key, str) or key not in known:
                self._complain(path, f"{name}: unknown key {shown(key)}; {_hint(key, tuple(known), name)}")
            elif not is_blank(value):
                try:
                    found[key] = self._plain(path, name, without_none(known[key]), value)
                except BadInput as refusal:
                    self._refused(path, refusal)
        return record(**found)

    def _plain(self, path: Path, name: str, shape: shapes.Type, value: object) -> object:
        """One value of such a map."""
        match shape:
            case shapes.BoolType():
                return boolean(value)
            case shapes.IntType() | shapes.FloatType():
                return number(value, shape)
            case shapes.LiteralType():
                return word(value, tuple(str(each) for each in shape.values), {}, None)
            case shapes.VarTupleType():
                return tuple(text(not_blank(each)) for each in entries(value))
            case _:
                found = text(value, self.lines.spelling(path) if self.lines else None)
                rule = spec_rules.TEXTS.get(f"{name}.{path[-1]}")
                return rule(found) if rule else found

    def _stop_conditions(self, given: object) -> StopConditions:
        pairs: list[tuple[Path, object, object]] = []
        for index, entry in enumerate([given] if isinstance(given, Mapping) else entries(given)):
            at: Path = ("stop_conditions",) if isinstance(given, Mapping) else ("stop_conditions", index)
            if isinstance(entry, Mapping):
                pairs += [((*at, str(key)[:_MAX_KEY_CHARS]), key, value) for key, value in entry.items()]
            else:
                self._complain(at, f"stop_conditions: write `name: number`, such as `target: 0.99`, not {shown(entry)}")
        found: dict[str, int | float] = {}
        known = StopConditions.__struct_fields__
        for path, key, value in pairs:
            if not isinstance(key, str) or key not in known:
                hint = _hint(key, known, "stop_conditions")
                self._complain(path, f"stop_conditions: unknown condition {shown(key)}; {hint}")
            elif key in found:
                self._complain(path, f"stop_conditions: {key} is here twice; keep one of them")
            elif not is_blank(value):
                try:
                    found[key] = number(value, without_none(shapes_of(StopConditions)[key]))
                except BadInput as refusal:
                    self._refused(path, refusal)
        return msgspec.structs.replace(StopConditions(), **found)

    def _budget(self, prefix: str, values: dict[str, object]) -> None:
        written = [prefix + name for name in BUDGETS if not is_blank(self.mapping.get(prefix + name))]
        if not written:
            return
        if len(written) > 1:
            self._complain((written[1],), f"{written[0]} and {written[1]} say the same; keep one of them")
            return
        key = written[0]
        try:
            values["time_budget_s"] = _budget_s(self.mapping[key], in_minutes=key.endswith("_minutes"))
        except BadInput as refusal:
            self._refused((key,), refusal)

    def _tiers(self, values: dict[str, object]) -> tuple[str, ...]:
        tiers = tuple(dict.fromkeys(_texts(values.get("fidelity_tiers", ("default",)))))
        if tiers:  # else each of its entries was refused, and there is nothing to compare with
            values["fidelity_tiers"] = tiers
            initial = values.setdefault("initial_fidelity_tier", tiers[0])
            if initial not in tiers:
                told = f"initial_fidelity_tier: {shown(initial)} is none of the tiers {', '.join(tiers)}"
                self._complain(("initial_fidelity_tier",), told)
        return tiers

    def _overrides(self, tiers: tuple[str, ...]) -> tuple[Override, ...]:
        by_key = {f"{tier}_{name}": (tier, name) for tier in tiers for name in TIER_OVERRIDABLE_FIELDS}
        by_tier: dict[str, dict[str, object]] = {tier: {} for tier in tiers}
        for key in self.mapping:
            if key in KNOWN:
                continue  # with a tier `validation`, `validation_command` is still the field of that name
            if key not in by_key:
                self._unknown_key(key, tiers, tuple(by_key))
                continue
            tier, name = by_key[key]
            if name not in BUDGETS:
                self._read(key, name, by_tier[tier])
        for tier in tiers:
            self._budget(f"{tier}_", by_tier[tier])
        return tuple(
            Override(tier=tier, field=name, value=_value(value))
            for tier in tiers
            for name, value in sorted(by_tier[tier].items())
        )

    def _unknown_key(self, key: object, tiers: tuple[str, ...], overrides: tuple[str, ...]) -> None:
        self.unknown += 1
        if self.unknown > _MAX_REPORTED:  # finding what each was meant to be takes a while, and nobody would read it
            self.problems.append((self._line((str(key)[:_MAX_KEY_CHARS],)), "unknown key"))
            return
        if not isinstance(key, str):
            self._complain((), f"unknown key {shown(key)}; keys are words")
            return
        for name in sorted(TIER_OVERRIDABLE_FIELDS, key=len, reverse=True):
            tier, found, rest = key.rpartition(f"_{name}")
            if found and not rest:
                near = nearest(tier[:_MAX_KEY_CHARS], tiers)
                hint = f"did you mean {near}_{name}?" if near else f"the tiers are {', '.join(tiers)}"
                self._complain((key,), f"unknown key {shown(key)}: {shown(tier)} is not in fidelity_tiers; {hint}")
                return
        above = next((name for name, record in _MAPS.items() if key in record.__struct_fields__), "")
        if above:
            self.unsure.add(above)
            self._complain((key,), f"unknown key {shown(key)}: it is {above}.{key}, a line below `{above}:`")
            return
        near = nearest(key[:_MAX_KEY_CHARS], (*KNOWN, *overrides))
        self.unsure.add(near)
        self.is_lost = self.is_lost or not near
        hint = f"; did you mean {near}?" if near else ""
        if not near and (others := around(key[:_MAX_KEY_CHARS], KNOWN)):
            hint = f"; the nearest is {others[0]}" if len(others) == 1 else f"; the nearest are {', '.join(others)}"
        self._complain((key,), f"unknown key {shown(key)}{hint}")

    def _commands(self, values: dict[str, object], overrides: tuple[Override, ...]) -> None:
        if values.get("shell"):
            return  # a shell has quotes of its own, here-documents among them
        written = [(name, name, values.get(name)) for name in spec_rules.COMMANDS]
        written += [(f"{each.tier}_{each.field}", each.field, each.value) for each in overrides]
        for key, name, command in written:
            if name in spec_rules.COMMANDS and isinstance(command, str):
                try:
                    spec_rules.splits(command)
                except BadInput as refusal:
                    self._refused((key,), refusal)

    def _paths(self, values: dict[str, object], overrides: tuple[Override, ...]) -> None:
        """What may be changed and what may not, in every tier that says one of them."""
        for tier in ("", *dict.fromkeys(each.tier for each in overrides)):
            over = {each.field: each for each in overrides if each.tier == tier and each.field in _PATHS}
            if tier and not over:
                continue
            told = [_texts(over[name].value if name in over else values.get(name)) for name in _PATHS]
            key = f"{tier}_{_PATHS[1] if _PATHS[1] in over else _PATHS[0]}" if tier else _PATHS[1]
            try:
                spec_rules.apart(*told)
            except BadInput as refusal:
                self._refused((key,), refusal)

    def _refused(self, path: Path, refusal: BadInput) -> None:
        head, *rest = (str(part) for part in path)
        at = f"{head} entry {int(rest[0]) + 1}" if len(rest) == 1 and rest[0].isdigit() else ".".join((head, *rest))
        self._complain(path, f"{at}: {refusal.what}" + (f"; {refusal.fix}" if refusal.fix else ""))

    def _complain(self, path: Path, problem: str) -> None:
        self.unsure.add(str(path[0]) if path else "")
        line = self._line(path)
        self.problems.append((line, f"line {line}: {problem}" if self.lines else problem))

    def _line(self, path: Path) -> int:
        return self.lines.line(path) if self.lines else 0


def _shape(name: str) -> shapes.Type:
    return without_none(shapes_of(Spec)[name])


def _is_none(name: str, given: object) -> bool:
    """Whether a field that may be unset says so with the word none, which YAML takes for text."""
    may_be_unset = shapes_of(Spec)[name] is not _shape(name) or name == "parent_experiment"
    return may_be_unset and isinstance(given, str) and given.strip().lower() == "none"


def _budget_s(given: object, *, in_minutes: bool) -> float:
    seconds = number(given, shapes.FloatType()) * 60.0 if in_minutes else duration_s(given, "the length")
    if not 0 < seconds <= MAX_BUDGET_S:
        raise BadInput(f"must be above 0 and at most 30 days, not {shown(given)}")
    return seconds


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(each) for each in value) if isinstance(value, tuple) else ()


def _value(value: object) -> Value:
    if isinstance(value, (str, bool, int, float)):
        return value
    return _texts(value)
