"""What a release is made of: the paper with its evidence, the files that the project names, and what the lab adds.

Nothing is looked for. A file is in it because it is named: by the paper, whose evidence is what its claims rest on, or
by `publish.files`.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, layout
from lab.core.errors import BadInput, Corrupt, LabError
from lab.core.record import parse
from lab.research import built, order
from lab.research.paper import claim, evidence, exporting, found, told, verifying
from lab.research.project import LITERATURE, WRITING
from lab.research.release import bytes_of, card, citations, manifest, names, targets
from lab.research.release.manifest import Item, Release
from lab.research.studies import bundled, frozen
from lab.research.walk import vouched

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.research.project import Project
    from lab.research.worker import Task
    from lab.store.root import Root

_OF_USER = "folder:publish.files/"
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_WORDS = frozenset({"note", "reason", "metric", "signals"})  # of a run's seal: written by whatever ran
_SHOWN = 5
_REASONS = {
    claim.PAPER: "the paper", claim.SOURCE: "its source", claim.LATEX: "the paper in LaTeX", claim.FILE: "its claims",
    claim.BIBTEX: "what it cites", told.FILE: "what it is made of",
}  # fmt: skip


class Gathered(msgspec.Struct, frozen=True, kw_only=True):
    """`made` are the files that the lab wrote; `plain` what looks random in files of the lab, and is none of it."""

    release: Release
    files: dict[str, bytes]
    made: dict[str, bytes]
    plain: frozenset[str]


def gather(task: Task) -> Gathered:
    """All of it, each file read once. A `LabError` says why there can be no such release."""
    project, publish = task.project, task.project.publish
    rows = list(_of_paper(task))
    paper = next((data.decode(errors="replace") for item, data in rows if item.path == claim.PAPER), "")
    rows += _of_user(task)
    if not rows:
        fix = "let it write a paper, or name files: publish.files in project.yaml"
        raise BadInput("there is nothing to publish: no paper, and no files", fix=fix)
    listed = [(item.path, item.reason) for item, _ in rows]
    placeholder = _placeholder(rows)
    _require_title(project, card.title(paper, project), placeholder)
    made = card.files(project, paper, listed, is_card=publish.to == manifest.HUB, placeholder=placeholder)
    rows += [
        (_item(name, "made", name, data, "what is here, and how it was made"), data) for name, data in made.items()
    ]
    release = Release(
        project=task.spec.id,
        title=card.title(paper, project),
        to=publish.to,
        destination=targets.destination(publish, task.folder),
        endpoint=targets.endpoint(publish, task.root.world.environ),
        repo_type=publish.repo_type if publish.to == manifest.HUB else "",
        unverified=_cited(task, rows),
        placeholder=placeholder,
        files=tuple(sorted((item for item, _ in rows), key=lambda item: item.path)),
    )
    wrong = manifest.problems(release)
    if wrong:
        raise BadInput(f"this cannot be published: {'; '.join(wrong[:_SHOWN])}", fix="publish.files in project.yaml")
    most = int(publish.most_mb * (1 << 20))
    if release.size > most:
        what = f"the release has {release.size >> 20:,} MiB, and publish.most_mb allows {publish.most_mb:g}"
        raise BadInput(what, fix="name fewer files, or raise publish.most_mb in project.yaml")
    files = {item.path: data for item, data in sorted(rows, key=lambda row: row[0].path)}
    return Gathered(release=release, files=files, made=made, plain=digests(task.root, task.spec.id, files))


def _placeholder(rows: list[tuple[Item, bytes]]) -> int:
    """How many made-up rows the paper rests on, of the study that comes with labctl; 0 where it is about another."""
    places = [(item.path, data) for item, data in rows if item.path.endswith(f"/{layout.ARTIFACTS}/{built.FILE}")]
    return max((parse(built.Built, data, path).made_up_rows for path, data in places), default=0)


def _require_title(project: Project, title: str, placeholder: int) -> None:
    """Refuse to give a placeholder's numbers out as the answer to a question that nothing has tested."""
    if placeholder and project.topic and _letters(project.topic) == _letters(title):
        what = "the paper is called by the topic, and its study is the placeholder that comes with labctl"
        fix = f"{bundled.FIX}; or give the paper another title: paper.title in project.yaml"
        raise BadInput(what, fix=fix)


def _letters(words: str) -> str:
    """What two titles have in common that differ in blanks, escapes and dots alone."""
    return "".join(each for each in names.fold(words) if each.isalnum())


def _item(path: str, origin: str, name: str, data: bytes, reason: str, run_id: str = "") -> Item:
    told_of = {"path": path, "origin": origin, "name": name, "reason": reason, "run_id": run_id}
    return msgspec.convert({**told_of, "sha256": canonical.digest(data), "size": len(data)}, Item)


def _of_paper(task: Task) -> Iterator[tuple[Item, bytes]]:
    """The paper as it was sealed, if every number of it still stands, and the files that its claims rest on."""
    run_id = task.order.given.get(WRITING, "")
    if not run_id:
        return
    paper = found.of_run(task.root, run_id)
    verified = verifying.verify(task.root, paper)
    doubts = [*(f"{each.where}: {each.what}" for each in verified.drifts), *verified.unchecked]
    if doubts:
        what = f"the paper does not verify: {'; '.join(doubts[:_SHOWN])}"
        raise LabError(what, where=paper.folder, fix=f"labctl paper verify {task.spec.id} tells all of it")
    contents, _, _ = exporting.contents_of(task.root, paper, with_latex=True)
    for path, data in contents.items():
        folder, _, rest = path.partition("/")
        if folder == evidence.FOLDER:
            run, _, name = rest.partition("/")
            yield _item(path, "run", name, data, "what the paper rests on", run), data
        else:
            reason = _REASONS.get(path, "a figure of the paper" if path.startswith(claim.FIGURES) else "of the paper")
            yield _item(path, "run", f"artifacts/{path}", data, reason, run_id), data


def _of_user(task: Task) -> Iterator[tuple[Item, bytes]]:
    """The files that the project names, as the phase was given them."""
    most = int(task.project.publish.most_mb * (1 << 20))
    for piece in task.given.pieces():
        if piece.name.startswith(_OF_USER):
            name = piece.name.removeprefix(_OF_USER)
            if name not in task.project.publish.files:
                what = f"publish.files names a folder, and {name} is in it"
                raise BadInput(
                    what, where=piece.path, fix="name each file by itself: what is added later would go along"
                )
            if names.fold(name).partition("/")[0] == evidence.FOLDER:
                what = f"{name} would lie among the files of sealed runs"
                raise BadInput(what, where=piece.path, fix=f"call the folder otherwise than {evidence.FOLDER}/")
            data = bytes_of.plain(task.folder, name, min(most, manifest.MOST_BYTES))
            if canonical.digest(data) != piece.sha256:
                raise Corrupt(f"{name} changed while the phase ran", where=piece.path, fix="run it again")
            yield _item(name, "project", name, data, "named in publish.files"), data


def _cited(task: Task, rows: list[tuple[Item, bytes]]) -> tuple[str, ...]:
    """Sources that are cited unverified; refused where one may not be."""
    own = {item.path: data for item, data in rows}
    if claim.BIBTEX not in own or told.FILE not in own:
        return ()
    words = parse(told.Told, own[told.FILE], told.FILE)
    known = citations.sources(evidence.InLab(task.root), words.phases.get(LITERATURE, ""))
    cited = citations.judged(own[claim.BIBTEX], known, offline=task.project.literature.offline)
    citations.require(cited)
    return cited.unverified


def digests(root: Root, project: str, files: Mapping[str, bytes]) -> frozenset[str]:
    """What the lab itself wrote and what looks random: digests of these files, names and digests of what was sealed.

    A digest counts because it is that of something that lies here, and not because a file calls it one; a place,
    because there is one. Folders of tests and of notebooks are called at random.
    """
    known = {canonical.digest(data) for data in files.values()}
    experiments = {project}
    for path, data in files.items():
        folder, _, rest = path.partition("/")
        if folder == evidence.FOLDER and rest.endswith(f"/{layout.PARAMS}"):
            its = order.read_bytes(data)
            known |= {its.inputs, its.release} if its is not None else set()
        elif folder == evidence.FOLDER and rest.endswith(f"/{built.FILE}"):
            made_of = parse(built.Built, data, path)
            known |= {*frozen.elsewhere(made_of.outside).values()}  # as they are here now
            known |= {each for each in (made_of.folder, *made_of.outside, *made_of.written) if os.path.exists(each)}
        elif path == told.FILE:
            experiments |= {*parse(told.Told, data, path).experiments}
    for each in sorted(experiments):
        for run_id, recorded in vouched.seals(root, each).items():
            made = vouched.seal(root.layout.run(each, run_id), recorded)
            if made is not None:
                known |= {canonical.digest(made[1]), *_of_seal(msgspec.json.decode(made[1]))}
    return frozenset(known - {""})


def _of_seal(value: object, key: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            if key == "files":
                yield str(name)
            yield from _of_seal(each, str(name))
    elif isinstance(value, list):
        for each in value:
            yield from _of_seal(each, key)
    elif isinstance(value, str) and key not in _WORDS and _DIGEST.fullmatch(value):
        yield value
