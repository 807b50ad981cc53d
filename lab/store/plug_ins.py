"""What installed packages offer to a door: entry points, read only when a name is asked for that is not built in.

Asking the installed packages costs 15 ms, and a built-in is asked for at every run; so each door keeps a table of its
own built-ins, which a test holds equal to the entry points that this package declares.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Generic, TypeVar

import msgspec

from lab.core.errors import BadInput, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.metadata import EntryPoint

T = TypeVar("T")


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A plug-in that cannot be used, and why."""

    name: str
    what: str


class Door(Generic[T]):
    """One kind of thing that a SPEC names: built-ins and plug-ins alike. `kind` is its word in messages."""

    def __init__(self, group: str, kind: str, built_in: Mapping[str, str], methods: tuple[str, ...]) -> None:
        self.group = group
        self.kind = kind
        self.built_in = built_in
        self._methods = methods
        self._made: dict[str, T] = {}

    def find(self, name: str) -> T:
        """The one of that name. `BadInput` when there is none, or when its plug-in cannot be loaded."""
        if name in self.built_in:
            return self._own(name)
        points = self._plug_ins()
        if name not in points:
            known = self.names()
            near = nearest(name, known)
            fix = f"did you mean {near}?" if near else f"known are {', '.join(known)}"
            raise BadInput(f"there is no {self.kind} {name!r}", fix=fix)
        loaded = self._loaded(points[name])
        if isinstance(loaded, Problem):
            raise BadInput(
                f"the {self.kind} {name} cannot be used: {loaded.what}",
                fix=f"repair or remove the package it comes from, or name another {self.kind} in the SPEC",
            )
        return loaded

    def names(self) -> tuple[str, ...]:
        """Every name that a SPEC may say; one that fails to load is among them."""
        return tuple(sorted({*self.built_in, *self._plug_ins()}))

    def problems(self) -> tuple[Problem, ...]:
        """The plug-ins that fail to load, by name. This loads every one of them: for a check-up, not for each run."""
        points = self._plug_ins()
        found = [self._loaded(point) for name, point in sorted(points.items()) if name not in self.built_in]
        taken = [
            Problem(name=name, what=f"{point.value} takes the name of a built-in, which stays what it is")
            for name, point in sorted(points.items())
            if name in self.built_in
        ]
        return (*(each for each in found if isinstance(each, Problem)), *taken)

    def _own(self, name: str) -> T:
        if name not in self._made:
            module, _, attribute = self.built_in[name].partition(":")
            self._made[name] = getattr(import_module(module), attribute)()
        return self._made[name]

    def _plug_ins(self) -> dict[str, EntryPoint]:
        from importlib.metadata import entry_points  # noqa: PLC0415  # 15 ms, which no run of a built-in should pay

        # Without our own lines, which an installed labctl declares like everybody else.
        found = entry_points(group=self.group)
        return {point.name: point for point in found if point.value != self.built_in.get(point.name)}

    def _loaded(self, point: EntryPoint) -> T | Problem:
        """The plug-in, ready for use. It is a stranger's code: whatever it raises is told, and stops nothing else."""
        try:
            made = point.load()
            made = made() if isinstance(made, type) else made
        except Exception as error:  # noqa: BLE001  # see above
            return Problem(name=point.name, what=f"{point.value}: {type(error).__name__}: {error}")
        for method in self._methods:
            if not callable(getattr(made, method, None)):
                return Problem(name=point.name, what=f"{point.value} has no method {method}")
        ready: T = made
        return ready
