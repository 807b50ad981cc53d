"""Whether a paper still says what its runs say: every claim computed again, from the bytes, by whoever doubts it.

A paper that was edited, a row, a bundle, a run that is gone, a number that nobody proves: each is a drift, with its
place, what is there, and what should be. What cannot be looked at is told apart, and is not called good.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, layout
from lab.core.errors import BadInput, LabError
from lab.core.record import parse
from lab.research.paper import (
    beside,
    bibliography,
    claim,
    evidence,
    forms,
    found,
    latex,
    placed,
    proving,
    rendering,
    told,
)
from lab.research.paper.claim import Claim
from lab.research.paper.placed import Drift
from lab.research.paper.told import Told
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.research.paper.evidence import Bundles, Evidence
    from lab.research.paper.found import Paper
    from lab.store.root import Root

_NO_EVIDENCE = (
    "the runs: there is no lab here, and no evidence/ beside the paper; labctl paper verify --data-root LAB looks there"
)
_NONE_BESIDE = "evidence/, which is not beside the paper: with this lab it can be proved, and without it by nobody"
_NO_LEDGER = "whether the seals in evidence/ are those that the lab made: only its ledger knows"
_NO_SOURCE = "the words of the paper: its source is not beside it, so only numbers and names are held against runs"


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """`unchecked` is what could not be looked at; with `is_blind` the runs are among it.

    `files` of `runs` were read and held against their seals.
    """

    folder: str
    run_id: str
    claims: tuple[Claim, ...]
    drifts: tuple[Drift, ...]
    unchecked: tuple[str, ...]
    remarks: tuple[str, ...]
    is_blind: bool
    runs: int = 0
    files: int = 0


def verify(root: Root | None, paper: Paper) -> Verified:
    """Compute it all again. Writes nothing, and asks nobody."""
    return _Look(root, paper).verified()


class _Look:
    def __init__(self, root: Root | None, paper: Paper) -> None:
        self._root, self._paper = root, paper
        self._drifts: list[Drift] = []
        self._unchecked: list[str] = []
        self._claims: tuple[Claim, ...] = ()
        self._here: tuple[Claim, ...] = ()
        self._remarks: list[str] = []
        self._seen = (0, 0)
        own = (paper.run_id, paper.seal) if paper.seal is not None else None
        self._origin = own or found.written_by(root, paper.folder)
        self._state = self._states()
        self._own = {name: self._file(name) for name in (told.FILE, claim.SOURCE, claim.BIBTEX, claim.FILE)}

    def verified(self) -> Verified:
        text = (self._file(claim.PAPER) or b"").decode(errors="replace")
        self._claims = self._rows()
        bundles = self._bundles()
        sources = None if bundles is None else evidence.Evidence(bundles, self._papers())
        made = self._rendered(sources)
        here = placed.find(text, self._claims, made.text if made is not None else "")
        self._here = here.here
        self._drifts += here.drifts
        for each in here.lint:
            where = f"{claim.PAPER} line {each.line}"
            if each.is_remark or self._is_intact(claim.PAPER, claim.FILE):
                self._remarks.append(f"{where}: {each.what}")
            else:
                self._drifts.append(Drift(where=where, what=each.what, should=each.fix))
        if sources is not None:
            self._drifts += self._computed(sources)
            self._drifts += self._proved(sources)
        if made is not None:
            self._drifts += self._again(text, made)
        self._drifts += self._cited(text)
        self._drifts += self._drawn()
        self._drifts += self._set(text)
        self._drifts += self._unsealed()
        return Verified(
            folder=self._paper.folder,
            run_id=self._paper.run_id or (self._origin[0] if self._origin is not None else ""),
            claims=self._claims,
            drifts=tuple(dict.fromkeys(self._drifts)),
            unchecked=tuple(self._unchecked),
            remarks=tuple(dict.fromkeys(self._remarks)),
            is_blind=sources is None,
            runs=self._seen[0],
            files=self._seen[1],
        )

    def _is_intact(self, *names: str) -> bool:
        """Whether these files are as the run sealed them that wrote the paper.

        Then they are what was judged there. That a later labctl would write, draw or refuse something else is no drift.
        """
        return all(self._state.get(name) for name in names)

    def _states(self) -> dict[str, bool]:
        """Of each file of the paper whether it is as it was sealed; none of one that is not there."""
        states: dict[str, bool] = {}
        for name, kept in (self._origin[1].files if self._origin is not None else {}).items():
            own = name.removeprefix(f"{layout.ARTIFACTS}/")
            data = self._file(own) if own != name and not kept.link else None
            if data is not None:
                states[own] = canonical.digest(data) == kept.sha256
        return states

    def _file(self, name: str) -> bytes | None:
        path = f"{self._paper.folder}/{name}"
        return reading.read_head(path, evidence.MOST_BYTES) if reading.is_file(path) else None

    def _papers(self) -> dict[str, bytes]:
        return {name: data for name, data in self._own.items() if data is not None}

    def _bundles(self) -> Bundles | None:
        if self._root is not None:
            return evidence.InLab(self._root)
        place = f"{self._paper.folder}/{evidence.FOLDER}"
        if not reading.is_folder(place):
            self._unchecked.append(_NO_EVIDENCE)
            return None
        self._unchecked.append(_NO_LEDGER)
        return evidence.InFolder(place)

    def _rows(self) -> tuple[Claim, ...]:
        data = self._own[claim.FILE]
        if not data:
            self._drifts.append(Drift(where=claim.FILE, what="there are no claims: nothing of the paper can be proved"))
            return ()
        rows: list[Claim] = []
        for number, row in enumerate(data.splitlines()[: claim.MOST], 1):
            try:
                rows.append(parse(Claim, row, claim.FILE))
            except LabError as wrong:
                self._drifts.append(Drift(where=f"{claim.FILE} line {number}", what=wrong.what, claim=number))
        return tuple(rows)

    def _unsealed(self) -> Iterator[Drift]:
        """Files that are not what the run sealed which wrote the paper, where nothing more exact is told of them."""
        known = {each.where.partition(" ")[0] for each in self._drifts}
        for name, kept in (self._origin[1].files if self._origin is not None else {}).items():
            own = name.removeprefix(f"{layout.ARTIFACTS}/")
            is_left_out = own not in self._state and not self._paper.run_id  # an export may have less
            if own == name or kept.link or self._state.get(own) or is_left_out or own in known:
                continue
            there = "is not as it was sealed" if own in self._state else "is gone"
            yield Drift(where=own, what=f"{own} {there}", should=kept.sha256)

    def _computed(self, sources: Evidence) -> Iterator[Drift]:
        """Each claim once more, from the files that it names."""
        for each in self._claims:
            where = f"{claim.FILE} line {each.n}"
            if any(not part.run and part.file not in self._papers() for part in each.of):
                continue
            try:
                yield from self._held(each, sources, where)
            except LabError as wrong:
                yield Drift(where=where, what=f"{each.at}: {wrong.what}", there=each.text, claim=each.n)

    def _proved(self, sources: Evidence) -> Iterator[Drift]:
        """The runs behind the claims, and what lies beside the paper for those who have no lab."""
        more = (self._origin[0],) if self._origin is not None else ()
        proof = proving.prove(self._root, sources, self._claims, more)
        self._unchecked += proof.unchecked
        self._seen = (proof.runs, proof.files)
        yield from proof.drifts
        if self._root is None or self._paper.run_id:
            return
        if reading.is_folder(f"{self._paper.folder}/{evidence.FOLDER}"):
            yield from beside.drifts(self._paper.folder, self._claims, sources.bundles)
        else:
            self._unchecked.append(_NONE_BESIDE)

    def _held(self, each: Claim, sources: Evidence, where: str) -> Iterator[Drift]:
        raws: list[object] = []
        for part in each.of:
            document, now = sources.document(part.run, part.file)
            if (now.sha256, now.seal) != (part.sha256, part.seal):
                whose = part.run or "the paper"
                what = f"{each.at}: {part.file} of {whose} is another than the one that was quoted"
                yield Drift(where=where, what=what, there=now.sha256, should=part.sha256, claim=each.n)
                return
            raws.append(evidence.last(part.pointer) if each.op == forms.KEY else evidence.at(document, part.pointer))
        if each.op == forms.DRAWN:
            return
        raw = forms.made(each.op, raws, each.where)
        if raw != each.raw:
            what = f"{each.at}: {each.expression} is {raw!r}, and this row says {each.raw!r}"
            yield Drift(where=where, what=what, there=repr(each.raw), should=repr(raw), claim=each.n)

    def _rendered(self, sources: Evidence | None) -> rendering.Rendered | None:
        """The paper as its source gives it now; None where that is not to be had."""
        source, words = self._own[claim.SOURCE], self._own[told.FILE]
        if source is None or words is None:
            self._unchecked.append(_NO_SOURCE)
            return None
        if sources is None:
            return None
        try:
            return rendering.render(source.decode(errors="replace"), parse(Told, words, told.FILE), sources)
        except LabError as wrong:
            what = f"no paper comes of its source any more: {wrong.what}"
            if isinstance(wrong, BadInput) and self._is_intact(claim.SOURCE, claim.PAPER, claim.FILE):
                self._remarks.append(what)  # a later labctl is stricter; its claims are computed all the same
            else:
                self._drifts.append(Drift(where=wrong.where or claim.SOURCE, what=what))
            return None

    def _again(self, text: str, made: rendering.Rendered) -> Iterator[Drift]:
        """The paper from its source, line by line."""
        if self._is_intact(claim.SOURCE, claim.PAPER, claim.FILE, claim.BIBTEX, *made.figures):
            if text != made.text or self._claims != made.claims:
                self._remarks.append("this labctl would word the paper otherwise; it is as it was sealed")
            return
        known = {each.where.partition(" column")[0] for each in self._drifts}
        for number, there, should in placed.changed(made.text, text):
            where = f"{claim.PAPER} line {number}"
            if where not in known:
                yield Drift(where=where, what="this line is not what the source says", there=there, should=should)
        told_of = {each.claim for each in self._drifts}
        for number, (row, again) in enumerate(itertools.zip_longest(self._claims, made.claims), 1):
            if row != again and number not in told_of:
                what = "this row is not what the source gives"
                yield Drift(where=f"{claim.FILE} line {number}", what=what, claim=number)
        if self._own[claim.BIBTEX] != made.bibtex:
            yield Drift(where=claim.BIBTEX, what="it is not what the sources say of what is cited")
        for name, data in made.figures.items():
            if self._file(name) != data:
                yield Drift(where=name, what="this figure is not what its runs give when it is drawn again")

    def _cited(self, text: str) -> Iterator[Drift]:
        cited = set(placed.cited(text, self._here))
        kept = bibliography.entries(self._own[claim.BIBTEX] or b"")
        for key in sorted(cited ^ kept):
            where = claim.PAPER if key in cited else claim.BIBTEX
            what = f"[@{key}] is none of the sources" if key in cited else f"{key} is not cited"
            yield Drift(where=where, what=what, there=key)

    def _drawn(self) -> Iterator[Drift]:
        for each in self._claims:
            if each.kind == claim.FIGURE:
                data = self._file(each.text)
                if data is None or canonical.digest(data) != each.raw:
                    what = (
                        f"{each.text} is not the figure that was drawn" if data is not None else f"{each.text} is gone"
                    )
                    yield Drift(where=each.text, what=what, should=str(each.raw), claim=each.n)

    def _set(self, text: str) -> Iterator[Drift]:
        data = self._file(claim.LATEX)
        if data is None or self._is_intact(claim.PAPER, claim.LATEX):
            return
        wanted = latex.document(text, placed.cited(text, self._here))
        if data != wanted.encode():
            yield Drift(where=claim.LATEX, what=f"it is not {claim.PAPER} in LaTeX")
