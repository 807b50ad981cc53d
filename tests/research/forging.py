"""A forger who can write wherever the lab can, but for its ledger: bundles with seals that fit them."""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.research.work.out import Out
    from lab.store.root import Root


def resealed(root: Root, experiment: str, run_id: str, value: float) -> None:
    """Another value in a sealed run, with a seal to match."""
    _sealed(Path(root.layout.run(experiment, run_id)), run_id, value)


def planted(root: Root, experiment: str, run_id: str, new: str, value: float) -> None:
    """A copy of a sealed run under another name, with another value."""
    place = Path(root.layout.run(experiment, new))
    shutil.copytree(root.layout.run(experiment, run_id), place)
    _sealed(place, new, value)


@contextmanager
def put_in_place(out: Out, name: str, data: bytes) -> Iterator[None]:
    """Other bytes in a file that the tests of a module share: as they were when it is over."""
    kept = out.read(name) or b""
    out.write(name, data)
    try:
        yield
    finally:
        out.write(name, kept)


def _sealed(place: Path, run_id: str, value: float) -> None:
    for each in (place / "metrics.json", place / "manifest.json", place / "SEAL.json"):
        each.chmod(0o644)
    _edit(place / "metrics.json", value=value)
    _edit(place / "manifest.json", run_id=run_id)
    seal = json.loads((place / "SEAL.json").read_text())
    for name, kept in seal["files"].items():
        data = (place / name).read_bytes()
        kept.update(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    seal["run"].update(run_id=run_id, value=value)
    seal["generation"] += 1000
    (place / "SEAL.json").write_text(json.dumps(seal, indent=1, sort_keys=True) + "\n")


def _edit(place: Path, **more: object) -> None:
    place.write_text(json.dumps({**json.loads(place.read_text()), **more}))
