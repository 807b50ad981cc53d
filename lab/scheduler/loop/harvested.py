"""What was changed in a tree, judged and put into a commit, before anything is measured."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import sameness
from lab.core.errors import BadInput
from lab.executors import sandbox
from lab.scheduler import change
from lab.store import reading
from lab.store.repository.changed import DELETED, MODIFIED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.scheduler.loop.grounds import Grounds
    from lab.store.repository.changed import Changed, Harvest
    from lab.store.repository.repository import Repository

_OF_GIT = frozenset({".gitattributes", ".gitmodules", ".mailmap", ".lfsconfig"})
_MOST_READ = 16 << 20
_SHOWN, _SHOWN_CHARS = 10, 200


class Harvested(msgspec.Struct, frozen=True, kw_only=True):
    """A change as a commit. `refused` says why it may not be measured; `empty` that there is none."""

    base: str
    commit: str = ""
    tree: str = ""
    diff: str = ""
    added: int = 0
    removed: int = 0
    paths: tuple[str, ...] = ()
    refused: str = ""
    seed_only: bool = False
    cosmetic: str = ""

    @property
    def empty(self) -> bool:
        return not self.paths


def harvest(
    grounds: Grounds, place: str, base: str, note: str, *, secrets: Sequence[str] = (), without: Sequence[str] = ()
) -> Harvested:
    """Take what differs from `base` in the tree at `place`. `without` are paths that the lab itself put or left out.

    A refused change is kept as a commit too, for people to see; its ref names the run like any other. Not one that
    holds the value of a secret: of that nothing is kept, in no repository and no bundle.
    """
    repo = grounds.repo

    try:
        found = _read(repo, place, base, secrets, without)
    except BadInput as refusal:
        return Harvested(base=base, paths=("",), refused=refusal.what)
    if not found.changes:
        return Harvested(base=base)
    refused = judged(grounds, repo.inside(place), found.changes, secrets)
    paths = tuple(_text(each.path).decode() for each in found.changes)
    commit = _committed(grounds, found.tree, base, note)
    lines = tuple(repo.lines(base, commit)) if all(map(_is_plain, found.changes)) else ()
    return Harvested(
        base=base,
        commit=commit,
        tree=found.tree,
        diff=repo.normalised(base, commit),
        added=found.added,
        removed=found.removed,
        paths=paths,
        refused=refused,
        seed_only=sameness.seed_only(lines),
        cosmetic=sameness.cosmetic(lines),
    )


def with_tree(grounds: Grounds, found: Harvested, tree: str, note: str) -> Harvested:
    """The same change as a commit of another tree, which is the one that is measured."""
    return msgspec.structs.replace(found, tree=tree, commit=_committed(grounds, tree, found.base, note))


def _committed(grounds: Grounds, tree: str, base: str, note: str) -> str:
    trailers = {"Lab-Experiment": grounds.experiment, "Lab-Run": grounds.run_id}
    commit = grounds.repo.commit(tree, (base,), _message(note, grounds), trailers)
    grounds.repo.put(grounds.ref(grounds.run_id), commit)
    return commit


def is_empty(
    repo: Repository, place: str, base: str, *, secrets: Sequence[str] = (), without: Sequence[str] = ()
) -> bool:
    """Whether there is no change in a tree. What is wrong with one is for its run to say."""
    try:
        return not _read(repo, place, base, secrets, without).changes
    except BadInput:
        return False


def _read(repo: Repository, place: str, base: str, secrets: Sequence[str], without: Sequence[str]) -> Harvest:
    def look(paths: Sequence[str]) -> None:
        _refuse_secrets(repo, repo.inside(place), base, paths, secrets)

    return repo.harvest(place, base, without=without, look=look if secrets else None)


def _refuse_secrets(repo: Repository, tree: str, base: str, paths: Sequence[str], secrets: Sequence[str]) -> None:
    """Before git takes anything in: an object in the user's repository stays there, whatever is decided of it."""
    wrong = [path for path in paths if _leaks(repo, tree, base, path, secrets)]
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        shown = ", ".join(map(_shown, wrong[:_SHOWN]))
        raise BadInput(f"it touches what it may not: {shown}{more}: it holds the value of a secret")


def _leaks(repo: Repository, tree: str, base: str, path: str, secrets: Sequence[str]) -> bool:
    whole = f"{tree}/{path}"
    if os.path.islink(whole) or not os.path.isfile(whole) or not change.holds_secret(whole, secrets):
        return False
    try:
        return repo.read(base, path) != reading.read(whole)  # else somebody committed it long ago
    except BadInput:
        return True


def _is_plain(change: Changed) -> bool:
    """Whether its lines tell all of it: beside a new file or an image, another seed is not the whole change."""
    odd = change.is_binary or change.is_link or change.is_submodule or change.old_mode != change.new_mode
    return change.status == MODIFIED and not odd


def keep_files(grounds: Grounds, found: Harvested) -> str:
    """The change as files of the run: for people, and for a machine that has no such repository.

    The answer is why there is no patch, in words; empty when there is.
    """
    if not found.commit:
        return ""
    artifacts, files = f"{grounds.path}/artifacts", grounds.root.files
    files.replace(f"{artifacts}/diffstat.txt", _text(grounds.repo.stat(found.base, found.commit)))
    files.replace(f"{artifacts}/changed-files.txt", _text("".join(f"{path}\n" for path in found.paths)))
    try:
        patch = grounds.repo.patch(found.base, found.commit, limit_bytes=_MOST_READ)
    except BadInput:
        shown = ", ".join(map(_shown, found.paths[:_SHOWN]))
        return f"as a patch the change is longer than the {_MOST_READ >> 20} MiB that the lab keeps of one: {shown}"
    files.replace(f"{artifacts}/diff.patch", patch)
    return ""


def _text(said: str) -> bytes:
    """Names need not be UTF-8; what people and JSON read must be."""
    return said.encode(errors="replace")


def _shown(path: str) -> str:
    path = _text(path).decode()
    plain = path if path.isprintable() else repr(path)
    return plain if len(plain) <= _SHOWN_CHARS else f"{plain[:_SHOWN_CHARS]}..."


def _message(note: str, grounds: Grounds) -> str:
    return note or f"a candidate of {grounds.experiment}"


def judged(grounds: Grounds, tree: str, changes: Sequence[Changed], secrets: Sequence[str]) -> str:
    """What is wrong with a change; empty when nothing is. One wrong path refuses all of it."""
    rules = change.Rules(
        mutable=grounds.spec.mutable_paths, read_only=grounds.spec.read_only_paths, secrets=tuple(secrets)
    )
    wrong = {each.path: why for each in changes if (why := _why(tree, each, rules))}
    if not wrong:
        return ""
    shown = "; ".join(f"{_shown(path)}: {why}" for path, why in list(wrong.items())[:_SHOWN])
    return f"it touches what it may not: {shown}{_more(wrong)}"


def _more(wrong: Mapping[str, str]) -> str:
    return f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""


def _why(tree: str, each: Changed, rules: change.Rules) -> str:
    if each.path.startswith("../"):
        return "it lies outside of the workspace"
    if each.is_submodule:
        return "it is a submodule"
    if each.is_link:
        return "it is a link"
    if each.path.rpartition("/")[2].casefold() in _OF_GIT and not _is_named(tree, each.path, rules):
        return "it changes what git does with other files, and is named in no mutable_paths"
    why = change.refusal(tree, each.path, rules)
    if why or each.status == DELETED:
        return why
    return change.holds_secret(f"{tree}/{each.path}", rules.secrets) if os.path.isfile(f"{tree}/{each.path}") else ""


def _is_named(tree: str, path: str, rules: change.Rules) -> bool:
    return any(sandbox.matches(tree, path, each, exactly=True) and each.strip() != "." for each in rules.mutable)
