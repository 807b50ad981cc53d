"""Whether the runs that a paper rests on are what was sealed: their seals, what was measured in them, what it makes.

Of every run that a claim names, or that a training or an evaluation is made of, `ALWAYS` is read and held against the
seal. Other files that no claim names, such as logs and models, are not: `labctl verify` looks at those.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, event, layout
from lab.core.errors import LabError
from lab.projections import text
from lab.research.paper import evidence, summed
from lab.research.paper.placed import Drift
from lab.store import ledger

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lab.core.seal import Seal
    from lab.research.paper.claim import Claim
    from lab.research.paper.evidence import Evidence
    from lab.store.root import Root

MEASURED = (layout.PARAMS, layout.METRICS)  # what goes out with a paper
ALWAYS = (*MEASURED, layout.RESULT, layout.MANIFEST)


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """`files` of `runs` were read, and are as they were sealed or among the drifts."""

    drifts: tuple[Drift, ...]
    unchecked: tuple[str, ...]
    runs: int
    files: int


def prove(root: Root | None, sources: Evidence, claims: Iterable[Claim], more: Iterable[str] = ()) -> Proof:
    """Look at all of them, and at the runs `more`. Without a lab at what lies beside the paper."""
    return _Proving(root, sources, tuple(claims), frozenset(more)).proof()


class _Proving:
    def __init__(self, root: Root | None, sources: Evidence, claims: tuple[Claim, ...], more: frozenset[str]) -> None:
        self._root, self._sources = root, sources
        self._parts = {(part.run, part.file) for each in claims for part in each.of if part.run}
        self._named = {run for run, _ in self._parts} | more
        self._quoted: dict[str, set[str]] = {}
        for run_id, file in self._parts:
            self._quoted.setdefault(run_id, set()).add(file)
        self._unchecked: list[str] = []
        self._files = 0

    def proof(self) -> Proof:
        drifts = [*self._seals(), *self._summed()]
        made = self._made()
        unseen, runs = 0, 0
        for run_id in sorted(self._named | made):
            with suppress(LabError):  # told with the claims that rest on it, or with what is made of it
                seal, _ = self._sources.bundles.seal(run_id)
                wrong, missing = self._measured(run_id, seal, self._quoted.get(run_id, set()))
                drifts += wrong
                unseen += missing
                runs += 1
        if unseen:
            where = "which an archive has" if self._root is not None else "of which evidence/ has none"
            self._unchecked.append(f"{text.count(unseen, 'file')} of runs, {where}")
        return Proof(drifts=tuple(drifts), unchecked=tuple(self._unchecked), runs=runs, files=self._files)

    def _measured(self, run_id: str, seal: Seal, quotes: set[str]) -> tuple[list[Drift], int]:
        """What was measured in a run, byte for byte; and how many files of it nobody could look at."""
        drifts, unseen = [], 0
        is_archived = not self._sources.bundles.path(run_id)
        for file in sorted({*quotes, *(ALWAYS if self._root is not None else MEASURED)}):
            kept = seal.files.get(file)
            if kept is None or kept.link or kept.size > evidence.MOST_BYTES:
                unseen += kept is not None
                continue
            try:
                self._sources.bundles.read(run_id, file)
                self._files += 1
            except LabError as wrong:
                if file not in quotes and (
                    is_archived or (self._root is None and not self._sources.bundles.has(run_id, file))
                ):
                    unseen += 1
                    continue
                self._files += 1
                what = f"{file} of {run_id}: {wrong.what}" if run_id not in wrong.what else wrong.what
                drifts.append(Drift(where=f"{file} of {run_id}", what=what, should=kept.sha256))
        return drifts, unseen

    def _made(self) -> set[str]:
        """The runs that a training or an evaluation of the claims is made of."""
        found: set[str] = set()
        for run_id, file in sorted(self._parts):
            if file in summed.CHECKS:
                with suppress(LabError):  # told by _summed
                    found |= {each.run_id for each in summed.made_of(self._sources.document(run_id, file)[0])}
        return found

    def _seals(self) -> Iterator[Drift]:
        """Whether the seals are those that the ledger tells of."""
        if self._root is None:
            return
        known = self._told_of(self._root)
        for run_id in sorted(self._named):
            try:
                _, data = self._sources.bundles.seal(run_id)
            except LabError:
                continue  # told with the claims that rest on it
            if known.get(run_id) != canonical.digest(data):
                told_of = "is not the one that the ledger tells of" if run_id in known else "is not in the ledger"
                yield Drift(where=f"{layout.SEAL} of {run_id}", what=f"the seal of {run_id} {told_of}",
                            should=known.get(run_id, ""))  # fmt: skip

    def _told_of(self, root: Root) -> dict[str, str]:
        """The digests of their seals, as the ledger has them."""
        experiments, known = set(), {}
        for run_id in self._named:
            with suppress(LabError):  # told with the claims that rest on it
                experiments.add(self._sources.bundles.seal(run_id)[0].run.experiment)
        for name in experiments:
            for entry in ledger.mentioning(root, 0, name):
                line = entry.line.event if entry.line is not None else None
                if line is not None and line.type == event.RUN_SEALED and line.run_id in self._named:
                    known[line.run_id] = line.seal
        return known

    def _summed(self) -> Iterator[Drift]:
        """What phases made of runs, made again."""
        for run_id, file in sorted(pair for pair in self._parts if pair[1] in summed.CHECKS):
            where, missing = f"{file} of {run_id}", 0
            try:
                yield from summed.again(self._sources, run_id, file)
                for made, wrong in summed.as_sealed(self._sources, run_id, file):
                    missing += wrong is None
                    if wrong is not None:
                        yield wrong
                    elif self._root is not None:
                        yield Drift(where=where, what=f"there is no run {made} any more")
            except LabError as wrong_file:
                yield Drift(where=where, what=wrong_file.what)
            if missing and self._root is None:
                self._unchecked.append(f"{missing} runs that {where} is made of: they are not in evidence/")
