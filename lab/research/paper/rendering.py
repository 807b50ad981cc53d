"""A paper from its source: the text, a claim for every value in it, the figures and the references. Writes nothing.

The same source, words and bundles give the same bytes.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, layout
from lab.core.errors import BadInput
from lab.core.run import better
from lab.research import built, citing, decision, evaluated, idea, trained
from lab.research.paper import bibliography, evidence, figure, forms, language, linting, recorded, told, traced
from lab.research.paper.claim import FIGURE, FIGURES, PAPER, SOURCE, Claim
from lab.research.paper.linting import Finding  # msgspec resolves annotations
from lab.research.project import PHASES
from lab.research.source import NOT_FOUND, Source
from lab.research.trained import Trained

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.research.paper.claim import Op
    from lab.research.paper.evidence import Evidence
    from lab.research.paper.told import Told
    from lab.research.paper.traced import Book

_MARKED = re.compile(f"{traced.OPEN}([0-9]+){traced.MIDDLE}([^{traced.OPEN}{traced.CLOSE}]*){traced.CLOSE}")
_FILES = {
    "built": ("implementation", built.FILE),
    "training": ("training", trained.FILE),
    "evaluation": ("evaluation", evaluated.FILE),
    "decision": ("iteration", decision.FILE),
}
_WORDS = ("title", "topic", "authors", "statement", "provider", "model", "writer")
MOST_NEGATIVE = 300
_AGENT, _COMMAND = "agent", "command"  # workers that are not the lab's
_BLANKS = re.compile("\n{3,}")


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """`text` is paper.md. `remarks` are what the linter only warns of."""

    text: str
    claims: tuple[Claim, ...]
    cited: tuple[str, ...]
    bibtex: bytes
    figures: dict[str, bytes]
    remarks: tuple[Finding, ...] = ()


def render(source: str, words: Told, sources: Evidence) -> Rendered:
    """`BadInput` names every line of the source, or of what comes of it, that says a number which no run stands for."""
    linting.refuse(linting.of_source(source), SOURCE)
    book = traced.Book(sources, time.monotonic() + language.LIMIT_S)
    known = cited_from(words, sources)
    names = Names(words, book, known)
    marked = language.rendered(source, names.every())
    if source != recorded.shipped():  # a fresh set of names: whatever the source gave these is not seen
        marked = f"{marked}\n\n{language.rendered(recorded.template(), names.every())}"
    marked, cited = _cited(marked, known)
    marked = marked.replace(traced.LATER, _references(book, words, cited))
    text, claims = _placed(_BLANKS.sub("\n\n", marked).strip("\n") + "\n", book)
    if source != recorded.shipped():
        recorded.require(text)
    found = linting.of_paper(text, claims)
    linting.refuse(found, PAPER)
    return Rendered(
        text=text,
        claims=claims,
        cited=cited,
        bibtex=bibliography.bibtex(cited, known),
        figures=names.figures,
        remarks=tuple(each for each in found if each.is_remark),
    )


def cited_from(words: Told, sources: Evidence) -> dict[str, Source]:
    """What may be cited, by its key."""
    run_id = words.phases.get("literature", "")
    if not run_id or evidence.SOURCES not in sources.run(run_id).files:
        return {}
    rows, _ = sources.document(run_id, evidence.SOURCES)
    return msgspec.convert(rows, dict[str, Source])


class Names:
    """What a source may name: the words of the project, and what its phases left."""

    def __init__(self, words: Told, book: Book, known: Mapping[str, Source]) -> None:
        self.figures: dict[str, bytes] = {}
        self._words, self._book, self._known = words, book, known

    def every(self) -> dict[str, object]:
        words = self._words
        found = {name: self._own(name) for name in _WORDS}
        for name, (phase, file) in _FILES.items():
            found[name] = self._left(words.phases.get(phase, ""), file, name)
        file = f"{idea.FOLDER}{words.idea}"
        found["idea"] = self._left(words.phases.get("ideation", "") if words.idea else "", file, "idea")
        found["rounds"] = [self._round(number) for number in range(len(words.rounds))]
        found["phases"] = list(self._phases())
        found["data"] = self._left(words.phases.get("ideation", ""), idea.SUMMARY, "data")
        workers = {str(traced.raw_of(each["worker"])) for each in self._phases()} | {words.writer}
        found["has_agent"], found["has_command"] = _AGENT in workers, _COMMAND in workers
        found["related"] = self._related()
        phase = "training" if words.phases.get("training") else "evaluation"
        found["negative"] = self._negative(words.phases.get(phase, ""), phase)
        return {
            **found, "run": self._run, "source": self._source, "figure": self._figure, "count": self._count,
            "difference": self._difference, "ratio": self._ratio, "change": self._change, "references": _later,
            "cite": self._cite,
        }  # fmt: skip

    def _own(self, name: str) -> object:
        return self._book.open("", told.FILE, name, f"/{name}")

    def _left(self, run_id: str, file: str, path: str) -> object:
        """A file that a phase left; None where there is no such phase, or it left none."""
        place = f"{layout.ARTIFACTS}/{file}"
        if not run_id or place not in self._book.sources.run(run_id).files:
            return None
        return self._book.open(run_id, place, path)

    def _round(self, number: int) -> dict[str, object]:
        of, path = self._words.rounds[number], f"rounds[{number}]"
        found: dict[str, object] = {"number": self._book.open("", told.FILE, f"{path}.number", f"/{path_of(number)}")}
        for name, run_id in (("training", of.training), ("evaluation", of.evaluation), ("decision", of.iteration)):
            found[name] = self._left(run_id, _FILES[name][1], f"{path}.{name}")
        found["negative"] = self._negative(of.training, f"{path}.training", failed_only=True)
        found["idea"] = self._left(of.ideation if of.idea else "", f"{idea.FOLDER}{of.idea}", f"{path}.idea")
        return found

    def _phases(self) -> Iterator[dict[str, object]]:
        """Who did which phase, as the orders of its runs say."""
        for phase, run_id in ((each, self._words.phases.get(each, "")) for each in PHASES):
            if not run_id:
                continue
            path = f"phases.{phase}"
            yield {
                "phase": self._book.open(run_id, layout.PARAMS, f"{path}.phase", "/phase"),
                "worker": self._book.open(run_id, layout.PARAMS, f"{path}.worker", "/worker"),
                "run": self._book.open(run_id, layout.SEAL, f"{path}.run", "/run/run_id"),
            }

    def _run(self, run_id: object) -> traced.OfRun:
        name = traced.raw_of(run_id)
        if not isinstance(name, str) or not name:
            raise BadInput("run(...) wants the id of a run", fix='run("RUN-...") or run(training.best)')
        of = self._book.sources.run(name).run.experiment
        if of not in self._words.experiments:
            what = f"{name} is a run of {of}, and this paper rests on {' and '.join(self._words.experiments)}"
            raise BadInput(what, fix="name runs of the study, or of the project itself")
        return traced.OfRun(self._book, name)

    def _negative(self, run_id: str, path: str, *, failed_only: bool = False) -> dict[str, object]:
        """The runs of a training that are not believed, did not end well, or were no better than the baseline.

        Where there was none, those that an evaluation chose among. `more` where there are so many that the paper
        leaves the rest to the file; those that failed come first.
        """
        found = self._chosen_from(run_id)
        if found is None:
            return {"rows": [], "more": False}
        made, place, field = found
        failed = [number for number, each in enumerate(made.made) if not each.is_believable]
        chosen = [*failed, *([] if failed_only else _worse(made))]
        names = ("run_id", "outcome", "void", "value")
        rows = []
        for number in chosen[:MOST_NEGATIVE]:
            at = f"{path}.{field}[{number}]"
            row = {name: self._book.open(run_id, place, f"{at}.{name}", f"/{field}/{number}/{name}") for name in names}
            rows.append({**row, "of": traced.OfRun(self._book, made.made[number].run_id)})
        return {"rows": rows, "more": len(chosen) > MOST_NEGATIVE}

    def _chosen_from(self, run_id: str) -> tuple[Trained, str, str] | None:
        """What a training or an evaluation chose from, the file that says so, and where in it the runs are."""
        files = self._book.sources.run(run_id).files if run_id else {}
        place = f"{layout.ARTIFACTS}/{trained.FILE}"
        if place in files:
            return msgspec.convert(self._book.sources.document(run_id, place)[0], Trained), place, "made"
        place = f"{layout.ARTIFACTS}/{evaluated.FILE}"
        if place not in files:
            return None
        told_of = msgspec.convert(self._book.sources.document(run_id, place)[0], evaluated.Evaluated)
        made = Trained(
            experiment=told_of.experiment, metric=told_of.metric, direction=told_of.direction,
            tier=told_of.selected_in, made=told_of.among, baseline=told_of.baseline.of,
        )  # fmt: skip
        return made, place, "among"

    def _related(self) -> list[object]:
        """The keys of all sources but those that were looked for and not found."""
        run_id = self._words.phases.get("literature", "")
        keys = [key for key, row in self._known.items() if row.status != NOT_FOUND]
        of = [(f"source({key!r}).key", evidence.step(evidence.step("", key), "key")) for key in keys]
        return [self._book.open(run_id, evidence.SOURCES, path, pointer) for path, pointer in of]

    def _source(self, key: object) -> object:
        name = self._key(key)
        run_id = self._words.phases["literature"]
        return self._book.open(run_id, evidence.SOURCES, f"source({name!r})", evidence.step("", name))

    def _cite(self, key: object) -> str:
        return f"[@{self._key(key)}]"

    def _key(self, key: object) -> str:
        name = traced.raw_of(key)
        if not isinstance(name, str) or name not in self._known:
            raise BadInput(f"there is no source {str(name)[:80]!r}", fix=_known(self._known))
        return name

    def _figure(self, name: object) -> object:
        run_id = self._words.phases.get("training", "")
        if name not in figure.NAMES or not run_id:
            fix = f"there are: {', '.join(figure.NAMES)}" if run_id else "without a training there is nothing to draw"
            raise BadInput(f"there is no figure {str(name)[:40]!r}", fix=fix)
        place = f"{layout.ARTIFACTS}/{trained.FILE}"
        document, part = self._book.sources.document(run_id, place)
        data = figure.drawn(msgspec.convert(document, Trained))
        file = f"{FIGURES}{name}.svg"
        self.figures[file] = data
        told_of = traced.Entry(
            text=file, kind=FIGURE, expression=f"figure({name!r})", raw=canonical.digest(data), of=(part,),
            op=forms.DRAWN, where={}, form="",
        )  # fmt: skip
        return self._book.mark(told_of)

    def _count(self, rows: object, **where: object) -> traced.Number:
        return traced.counted(rows, where)

    def _difference(self, one: object, other: object) -> traced.Number:
        return self._pair(forms.DIFFERENCE, one, other)

    def _ratio(self, one: object, other: object) -> traced.Number:
        return self._pair(forms.RATIO, one, other)

    def _change(self, one: object, other: object) -> traced.Number:
        return self._pair(forms.CHANGE, one, other)

    def _pair(self, op: Op, one: object, other: object) -> traced.Number:
        raw = forms.made(op, [traced.raw_of(one), traced.raw_of(other)], {})
        return traced.paired(self._book, op, float(raw), one, other)


def _worse(made: Trained) -> list[int]:
    """The places of those that may be believed, and were no better than the baseline."""
    first = next((each.value for each in made.made if each.run_id == made.baseline), None)
    rest = [(number, each) for number, each in enumerate(made.made) if each.is_believable]
    return [
        number for number, each in rest
        if each.run_id != made.baseline and each.value is not None and not better(each.value, first, made.direction)
    ]  # fmt: skip


def path_of(number: int) -> str:
    return f"rounds/{number}/number"


def _later() -> str:
    return traced.LATER


def _known(known: Mapping[str, object]) -> str:
    return f"cite one of {', '.join(sorted(known)[:20])}" if known else "there are no sources: leave the citation out"


def _cited(marked: str, known: Mapping[str, Source]) -> tuple[str, tuple[str, ...]]:
    """The text with a word behind what is not verified; and what it cites. What comes from files cites nothing."""
    shown = linting.without(marked, [found.span() for found in _MARKED.finditer(marked)])
    cited = set()
    for place, _, key in citing.spans(shown):
        if key not in known:
            line = marked.count("\n", 0, place) + 1
            fix = f"{_known(known)}; {citing.PLAIN}"
            raise BadInput(f"[@{key}] is none of the sources", where=f"{PAPER} line {line}", fix=fix)
        cited.add(key)
    return bibliography.doubted(marked, shown, known), tuple(sorted(cited))


def _references(book: Book, words: Told, cited: tuple[str, ...]) -> str:
    """A line for each source that is cited, with how far anybody has seen to it."""
    run_id = words.phases.get("literature", "")
    rows = []
    for key in cited:
        document, _ = book.sources.document(run_id, evidence.SOURCES)
        row = evidence.at(document, evidence.step("", key))
        assert isinstance(row, dict)  # noqa: S101  # a parsed record

        def part(name: str, key: str = key) -> str:
            found = book.open(run_id, evidence.SOURCES, f"source({key!r}).{name}", f"/{key}/{name}")
            return str(traced.unquoted(found))

        authors = [part(f"authors/{number}") for number in range(len(row["authors"]))]
        who = f"{', '.join(authors)}: " if authors else ""
        told_of = [f"{who}*{part('title')}*", *(part(name) for name in ("year", "doi", "arxiv", "url") if row[name])]
        state = "" if row["status"] == "verified" else f" (**{bibliography.STATES[row['status']]}**)"
        rows.append(f"- [@{key}] {'. '.join(told_of)}.{state}")
    return "\n".join(rows) or "Nothing is cited."


def _placed(marked: str, book: Book) -> tuple[str, tuple[Claim, ...]]:
    """The text without its marks, and a claim for each, with its place. A value that was changed on the way is none."""
    pieces: list[str] = []
    claims: list[Claim] = []
    at, line, column = 0, 1, 1
    for found in _MARKED.finditer(marked):
        plain = marked[at : found.start()]
        pieces.append(plain)
        line, column = _moved(line, column, plain)
        entry = book.entries[int(found[1])]
        if found[2] != entry.text:
            raise BadInput(f"{entry.expression} was changed after it was written", where=SOURCE)
        said = {name: getattr(entry, name) for name in entry.__struct_fields__}
        claims.append(Claim(n=len(claims) + 1, line=line, column=column, **said))
        pieces.append(entry.text)
        line, column = _moved(line, column, entry.text)
        at = found.end()
    text = "".join((*pieces, marked[at:]))
    if text != text.translate(traced.MARKS):
        raise BadInput("a value was cut after it was written", where=SOURCE)
    return text, tuple(claims)


def _moved(line: int, column: int, words: str) -> tuple[int, int]:
    """Where one is behind these words."""
    lines = words.count("\n")
    return (line + lines, len(words) - words.rfind("\n")) if lines else (line, column + len(words))
