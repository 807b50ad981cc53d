"""The change that an agent handed in, made once more: from the run's bundle, into a copy of the workspace."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from lab.core import layout
from lab.core.errors import BadInput, LabError
from lab.executors import sandbox
from lab.scheduler import boxed
from lab.scheduler.results import checkout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.core.seal import Seal
    from lab.core.spec import Spec
    from lab.scheduler.results.located import Located
    from lab.store.root import Root

_CHANGES = f"{layout.ARTIFACTS}/changes/"
_MARKS = (f"{layout.ARTIFACTS}/reasoning.md", f"{layout.ARTIFACTS}/decision.json")
_FIELDS = ("executor", "executor_command")


def changes(found: Located, made: Seal) -> Mapping[str, bytes] | None:
    """The files of the change, by path; None for a run that no agent handed in. One without a change has none."""
    if made.run.candidate is not None or not all(name in made.files for name in _MARKS):
        return None
    sent = {}
    for name in made.files:
        if name.startswith(_CHANGES):
            data = found.quoted(name)
            if data is None:
                what = f"{name} of {found.run_id} is not as it was sealed"
                raise LabError(what, where=found.path, fix="labctl verify")
            sent[name.removeprefix(_CHANGES)] = data
    return sent


def measuring(spec: Spec, here: Spec) -> Spec:
    """The SPEC by which a change is measured: its validation is what is run."""
    command = here.validation_command or here.executor_command
    if not command:
        raise BadInput(f"{spec.id} has no validation_command any more", fix="give it one in SPEC.yaml")
    kept = tuple(each for each in spec.overrides if each.field not in _FIELDS)
    return msgspec.structs.replace(spec, executor="command", executor_command=command, overrides=kept)


@contextmanager
def opened(root: Root, workspace: str, run_id: str, sent: Mapping[str, bytes] | None) -> Iterator[str]:
    """The workspace with the change in it: a copy. Without one, the workspace."""
    if sent is None:
        yield workspace
        return
    name = checkout.name(run_id)
    try:
        box = boxed.copied(root, workspace, name)
        sandbox.apply(root.files, box, sent)
        yield box
    finally:
        boxed.discard(root.files, root.layout.sandbox(name))
