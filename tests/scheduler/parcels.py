"""Builders for packages: queued, claimed, filled with a result, complete, each in a line."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from lab.core import layout, package
from lab.scheduler.dispatch import completing, ingest, mend, offers
from lab.scheduler.dispatch.completing import Word
from lab.store import packages

if TYPE_CHECKING:
    from lab.core.package import Place
    from lab.scheduler.dispatch.offers import Held, Said
    from lab.store.root import Root


def queued(root: Root, name: str = "alpha") -> str:
    """The id of a fresh offer."""
    said = offers.queue(root, actor="ann", only=(name,), now=True)
    assert [each.kind for each in said] == [offers.QUEUED], said
    return said[0].dispatch_id


def claimed(root: Root, name: str = "alpha", worker: str = "w1") -> Held:
    """A package in running/."""
    queued(root, name)
    held, said = offers.claim(root, worker, only=(name,))
    assert len(held) == 1, said
    return held[0]


def fill(held: Held, value: float | None = 0.5, **more: str) -> str:
    """What a worker leaves in run/."""
    run = f"{held.path}/{package.RUN}"
    os.makedirs(f"{run}/artifacts", exist_ok=True)
    texts = {layout.RESULT: "# Done\n\n## Next\n\nGo on.\n", layout.METRICS: json.dumps({"loss": value}), **more}
    for name, text in texts.items():
        with open(f"{run}/{name}", "w", encoding="utf-8") as file:
            file.write(text)
    return run


def completed(root: Root, name: str = "alpha", worker: str = "w1", value: float = 0.5) -> Held:
    """A package in complete/."""
    held = claimed(root, name, worker)
    fill(held, value)
    complete(root, held)
    return held


def complete(root: Root, held: Held, outcome: str = "success", worker: str = "", reason: str = "") -> Place:
    word = Word(outcome, reason=reason)
    return completing.complete(root, held.place.dispatch_id, worker or held.place.worker, word)


def ingested(root: Root) -> list[Said]:
    """What `labctl dispatch-ingest` does."""
    return [*mend.mend(root), *ingest.ingest(root)]


def stages(root: Root) -> dict[str, int]:
    """How many packages are in each state; none that has none."""
    counts = {stage: len(packages.found(root, stage)) for stage in packages.STAGES}
    return {stage: count for stage, count in counts.items() if count}
