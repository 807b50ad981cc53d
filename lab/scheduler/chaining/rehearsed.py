"""A recipe that is asked something without a run: in a folder of its own that goes afterwards.

It is started as a run would start it: the same Python, variables and limits. Nothing is claimed, sealed or counted.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import chunk, crash, ids, layout
from lab.core.errors import BadInput, LabError
from lab.core.launch import Exit, Launch  # msgspec resolves annotations
from lab.core.manifest import Manifest
from lab.core.record import page
from lab.executors import door, environment
from lab.scheduler import launching, passing, places
from lab.scheduler.chaining import next_params
from lab.scheduler.chaining.order import ordered
from lab.scheduler.cycle import Errand
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.chunk import Order
    from lab.core.launch import Stop
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.store.root import Root

SCRATCH = "scratch/tinker"
_MOST_BYTES, _REASON_CHARS, _REASON_LINES = 1 << 20, 4_000, 40
_IN, _FIX = "  in ", "  fix: "  # how `LabError` has the place and the advice below its words


class Rehearsed(msgspec.Struct, frozen=True, kw_only=True):
    """How it ended, and what it printed."""

    how: Exit
    out: str
    err: str

    @property
    def went_well(self) -> bool:
        """Whether it ended by itself, with nothing to complain of."""
        return self.how.started and not self.how.stopped and self.how.code == 0

    @property
    def complaint(self) -> LabError:
        """Why it failed, in its own words: all lines of them, up to some dozens; and its advice apart from them."""
        if self.how.problem or self.how.why:
            return LabError(self.how.problem or self.how.why)
        lines = self.err.rstrip().splitlines()
        begins = max((number for number, line in enumerate(lines) if line[:1].strip()), default=len(lines))
        told = lines[begins:]
        if not any(line.startswith((_IN, _FIX)) for line in told):
            return LabError(" ".join(crash.what(self.err, self.how.code, self.how.signal).split()))
        fix = next((line.removeprefix(_FIX) for line in told if line.startswith(_FIX)), "")
        what = "\n".join([line for line in told if not line.startswith(_FIX)][:_REASON_LINES])
        return LabError(what[:_REASON_CHARS], fix=fix[:_REASON_CHARS])


def next_order(root: Root, view: View, spec: Spec, tier: str = "") -> Order:
    """What the next chunk would be ordered to do. `spec` is the SPEC as it was read."""
    # With parameters given, nobody who would review the last chunk is asked for a look at what is next.
    params = None if spec.strategy else next_params.of(root, view, spec, tier or view.tier).params
    order = ordered(root, view, spec, Errand(tier=tier, params=params or {})).order
    if order is None:
        raise BadInput(f"{spec.id} names no model to train", fix="write `tinker:` / `  base_model: NAME` into its SPEC")
    return order


def rehearse(
    root: Root, view: View, spec: Spec, order: Order, word: str, *, watch: Callable[[], Stop | None]
) -> Rehearsed:
    """The recipe with this word after it."""
    here = spec.for_tier(order.tier)
    run_id = ids.new_run_id(root.world.now(), "rehearsal")
    order = msgspec.structs.replace(order, run_id=run_id)
    root.files.folder(root.layout.place(SCRATCH))
    passing.sweep(root, root.layout.place(SCRATCH))
    path = passing.fresh(root.layout.place(SCRATCH))
    root.files.folder(f"{path}/{layout.ARTIFACTS}")
    try:
        root.files.replace(f"{path}/{chunk.ORDER}", page(order))
        launch = _launch(root, view, here, order, path)
        program = door.find(here.executor).prepare(launch)
        if program is None:
            raise BadInput(f"the executor {here.executor} starts nothing, so there is nothing to try")
        program = msgspec.structs.replace(program, argv=(*program.argv, word))
        how = launching.supervised(root.files, root.world, program, here, path=path, run_id=run_id, watch=watch)
        out, err = (reading.read_head(f"{path}/{name}", _MOST_BYTES) or b"" for name in (layout.STDOUT, layout.STDERR))
        return Rehearsed(how=how, out=out.decode(errors="replace"), err=err.decode(errors="replace"))
    finally:
        with suppress(OSError):
            root.files.discard_folder(path)


def _launch(root: Root, view: View, spec: Spec, order: Order, path: str) -> Launch:
    workspace, folders = places.workspace(root, spec, view), places.folders(root, view)
    manifest = Manifest(
        run_id=order.run_id, experiment=spec.id, fidelity_tier=order.tier, metric=spec.metric,
        metric_direction=spec.metric_direction, executor=spec.executor, time_budget_s=spec.time_budget_s,
    )  # fmt: skip
    params = dict(order.params) or None
    child, secrets = environment.build(
        environ=root.world.environ, spec=spec, manifest=manifest, params=params,
        places=environment.Places(
            data_root=root.layout.root, path=path, workspace=workspace, folder=folders[0], package=""
        ),
    )  # fmt: skip
    return Launch(
        spec=spec, manifest=manifest, path=path, params=params, workspace=workspace, folders=folders, environ=child,
        secrets=secrets,
    )  # fmt: skip
