"""A SPEC for a copy of its workspace elsewhere: where it names the workspace by its whole path, it names the copy.

What git does not follow there (data, a virtual environment) is in no copy: it stays where it is, and that is told. What
names the workspace in a way that is not understood is refused: it would run today's code and say it was the old.
"""

from __future__ import annotations

import os
import re
from shlex import quote
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lab.core.spec import Spec

_COMMANDS = ("executor_command", "validation_command", "setup_command", "baseline_command", "mutation_command")
_ENDS = r"\s'\"`;:,=()<>|&{}"  # where a path in a command begins and ends: quotes, blanks, what a shell reads
_PATH = re.compile(rf"(?:(?<=[{_ENDS}])-\w*|^-\w*|(?<![\w.~/-]))([~/][^{_ENDS}]*)")  # `-I/usr/include` is one too
_HOME = re.compile(r"\$HOME\b|\$\{HOME\}")


class Elsewhere:
    """From a workspace to a copy of it, both absolute. `written` is how the SPEC spells the workspace.

    `followed` says whether git has anything at a path, as seen from the workspace. `kept` are the paths that stay.
    """

    def __init__(self, where: str, there: str, written: str, followed: Callable[[str], bool]) -> None:
        self.kept: set[str] = set()
        self._followed = followed
        self._fits = quote(there) == there or quote(where) != where  # whoever has blanks in both wrote quotes already
        self._real = os.path.realpath(where)
        self._there = there
        spelt = {os.path.normpath(where), self._real, *([written.rstrip("/")] if written.startswith("~") else [])}
        forms = "|".join(re.escape(form) for form in sorted(spelt, key=len, reverse=True))
        self._named = re.compile(
            rf"(^-\w*|(?<=[{_ENDS}])-\w*|^|(?<=[{_ENDS}]))(({forms})(/[^{_ENDS}]*)?)(?=[{_ENDS}]|$)"
        )

    def spec(self, spec: Spec, here: Spec) -> Spec:
        """The SPEC with its workspace there; `here` is that of the tier. `BadInput` where a command cannot follow."""
        kept = tuple(each for each in spec.overrides if each.field not in ("workspace_root", *_COMMANDS))
        moved = {name: self._text(getattr(here, name), f"{name} of the SPEC") for name in _COMMANDS}
        return msgspec.structs.replace(spec, overrides=kept, workspace_root=self._there, **moved)

    def variables(self, spec: Spec, environ: Mapping[str, str]) -> dict[str, str]:
        """The variables that the SPEC hands on and that name the workspace: a PYTHONPATH would bring today's code."""
        given = {name: environ[name] for name in spec.env if name in environ}
        moved = {name: self._text(value, f"the variable {name}") for name, value in given.items()}
        return {name: value for name, value in moved.items() if value != given[name]}

    def _text(self, text: str, what: str) -> str:
        moved = self._named.sub(self._moved, text)
        if moved != text and not self._fits:
            raise BadInput(
                "it names the workspace, and the copy lies in a folder that a shell reads otherwise",
                where=what,
                fix="name the workspace as {workspace}; --as-is runs it as it is now",
            )
        for path in _PATH.findall(_HOME.sub("~", moved)):
            if path not in self.kept and self._is_old(path):
                fix = "name it as {workspace}, or relative to it; --as-is runs it on the workspace as it is now"
                raise BadInput(
                    f"it names the workspace in a way that cannot follow an old commit: {path}", where=what, fix=fix
                )
        return moved

    def _moved(self, found: re.Match[str]) -> str:
        rest = found[4] or ""
        if not os.path.lexists(self._there + rest) and self._stays(rest):
            self.kept.add(found[2])
            return found[0]
        return found[1] + self._there + rest

    def _is_old(self, path: str) -> bool:
        real = os.path.realpath(os.path.expanduser(path))
        # The copy may lie inside the workspace, where the lab does.
        if not _within(real, self._real) or _within(real, os.path.realpath(self._there)):
            return False
        if not self._stays(real[len(self._real) :]):
            return True
        self.kept.add(path)
        return False

    def _stays(self, rest: str) -> bool:
        return rest.strip("/") != "" and os.path.lexists(self._real + rest) and not self._followed(rest.strip("/"))


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")
