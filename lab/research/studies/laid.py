"""A study of one idea, laid out in the project's folder and made an experiment of; once, however often it is asked."""

from __future__ import annotations

import difflib
import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, ids
from lab.core.errors import BadInput
from lab.core.layout import SPEC
from lab.research.project import RESEARCH
from lab.research.studies import narrowed
from lab.research.work.out import safe
from lab.scheduler import change, create, unread
from lab.scheduler.loop import scripts
from lab.store import experiments, reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.space import Space
    from lab.research.studies.study import Study
    from lab.store.root import Root

FOLDER = "studies"
_ID_CHARS, _DIGEST_CHARS = 64, 8
_TEXT_BYTES = 1 << 20
_MODE, _STARTED = 0o644, 0o755


class Laid(msgspec.Struct, frozen=True, kw_only=True):
    """Where it lies, what it is called in the lab, and every file of it as it is run."""

    folder: str
    experiment: str
    files: dict[str, bytes]


def out(  # which study, of what, and where
    root: Root, project: str, folder: str, study: Study, name: str, left: Space | None, *, fenced: bool = False
) -> Laid:
    """Lay it out below `folder`, and make its experiment. What is there already and the same is left as it is.

    With other files elsewhere it is another study: its runs are not counted with those of the first.
    `left` is the space of the idea; None where it is the study's. Killed at any moment, it is whole there or not at
    all, and the next one goes on.
    """
    place = ""
    told = f"-{_digest(study, left, fenced=fenced)}"
    for suffix in (told,) if study.elsewhere else ("", told):
        experiment = _named(f"{project}-{name}{suffix}")
        text = narrowed.text(
            study.text, experiment, left, is_loop=scripts.is_loop(study.spec), where=f"{study.where}/{SPEC}",
            fenced=fenced,
        )  # fmt: skip
        files = {**study.files, SPEC: text}
        place = f"{folder}/{FOLDER}/{name}{suffix}"
        if not os.path.lexists(place):
            _put(root, place, files, study.programs)
        elif not _is_same(place, files):
            continue
        _made(root, project, place, experiment, text)
        return Laid(folder=place, experiment=experiment, files=files)
    what = "a study of this very name and digest lies there, and was changed since"
    raise BadInput(what, where=place, fix="move that folder away; its runs stay in the lab")


def diff(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> str:
    """What was changed, as people read it. Of what is no text it says that it differs."""
    found: list[str] = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        texts = [_lines(each) for each in (old, new)]
        if None in texts:
            found.append(f"{name} differs, and is no text\n")
            continue
        heads = (f"a/{name}" if old is not None else "/dev/null", f"b/{name}" if new is not None else "/dev/null")
        rows = difflib.unified_diff(texts[0] or [], texts[1] or [], *heads)
        found += [row if row.endswith("\n") else f"{row}\n\\ No newline at end of file\n" for row in rows]
    return "".join(found)


def _lines(data: bytes | None) -> list[str] | None:
    if data is None:
        return []
    if len(data) > _TEXT_BYTES or b"\0" in data:
        return None
    try:
        return data.decode().splitlines(keepends=True)
    except UnicodeDecodeError:
        return None


def _digest(study: Study, left: Space | None, *, fenced: bool) -> str:
    told = {name: canonical.digest(data) for name, data in study.files.items()}
    space = None if left is None else [narrowed.written(each) for each in left.parameters]
    more = {"elsewhere": study.elsewhere} if study.elsewhere else {}
    return canonical.digest(canonical.encode({"files": told, "space": space, "fenced": fenced, **more}))[:_DIGEST_CHARS]


def _named(wanted: str) -> str:
    """The id of an experiment: one that is too long is cut, and told apart by its digest."""
    if len(wanted) > _ID_CHARS:
        mark = canonical.digest(wanted.encode())[:_DIGEST_CHARS]
        wanted = f"{wanted[: _ID_CHARS - _DIGEST_CHARS - 1].rstrip('.-')}-{mark}"
    return ids.experiment_id(wanted)


def _put(root: Root, place: str, files: Mapping[str, bytes], programs: frozenset[str]) -> None:
    """The folder, whole or not at all. What an earlier one left that was killed here goes first."""
    parent, name = os.path.split(place)
    root.files.folder(parent)
    drafts = (each for each in os.listdir(parent) if each.startswith(f".{name}.") and each.endswith(".draft"))
    for each in sorted(drafts):
        root.files.discard_folder(f"{parent}/{each}")
    draft = f"{parent}/.{name}.{os.urandom(4).hex()}.draft"
    for inside, data in files.items():
        root.files.create(
            f"{draft}/{safe(inside)}", data, durable=False, mode=_STARTED if inside in programs else _MODE
        )  # fmt: skip
    root.files.move(draft, place, durable=True)


def _is_same(place: str, files: Mapping[str, bytes]) -> bool:
    """Whether every file is there as it would be laid out. What runs wrote besides does not count."""
    if not os.path.isdir(place) or os.path.islink(place):
        return False
    return all(
        reading.is_file(f"{place}/{name}") and change.look_at(f"{place}/{name}").digest == canonical.digest(data)
        for name, data in files.items()
    )


def _made(root: Root, project: str, place: str, experiment: str, text: bytes) -> None:
    """Its experiment. One that was made of this very study is taken up; another of its name is somebody else's."""
    told = next((each for each in unread.creations(root) if each.experiment == experiment), None)
    if told is None:
        create.experiment(root, place, actor=RESEARCH, lent=project)
        return
    if told.spec != canonical.digest(text) or told.name != canonical.plain(place):
        what = f"there is an experiment {experiment} already, which is not of this study"
        fix = "give the idea or the project another name; nothing of that experiment was touched"
        raise BadInput(what, where=root.layout.experiment(experiment), fix=fix)
    if experiments.load(root, experiment).sha256 != told.spec:
        what = f"the SPEC of {experiment} was edited since the study was made"
        fix = f"put it back as it lies in {place}, or edit the study itself, and a new one is made"
        raise BadInput(what, where=root.layout.spec(experiment), fix=fix)
