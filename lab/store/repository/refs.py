"""What the user's repository calls its commits, and the refs that are the lab's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.core.errors import BadInput, Busy, Taken
from lab.store.repository import committed, snapshot
from lab.store.repository.git import refused

if TYPE_CHECKING:
    from lab.store.repository.git import Answer
    from lab.store.repository.site import Site

_MISSING = (0, 1, 128)


def head(site: Site) -> str:
    """The commit of the user's tree now."""
    if site.is_own:
        return snapshot.taken(site)
    return site.theirs.out("rev-parse", "--verify", "HEAD^{commit}")


def branch(site: Site) -> str:
    """The branch of the user's tree, without `refs/heads/`."""
    if site.is_own:
        return ""
    answer = site.theirs.ask("symbolic-ref", "--quiet", "--short", "HEAD", codes=(0, 1))
    return os.fsdecode(answer.out).strip()


def commit_of(site: Site, ref: str) -> str:
    """The commit that something names, or an empty string."""
    if not ref or ref.startswith("-"):
        return ""
    answer = site.theirs.ask("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", codes=_MISSING)
    return os.fsdecode(answer.out).strip() if answer.code == 0 else ""


def lies_under(site: Site, ancestor: str, commit: str) -> bool:
    """Whether a commit can be reached from another."""
    return site.git.ask("merge-base", "--is-ancestor", ancestor, commit, codes=(0, 1)).code == 0


def merge_base(site: Site, one: str, other: str) -> str:
    """Where two commits part."""
    answer = site.git.ask("merge-base", one, other, codes=(0, 1))
    return os.fsdecode(answer.out).split("\n")[0]


def tree_of(site: Site, commit: str) -> str:
    """The id of a commit's tree."""
    return site.git.out("rev-parse", "--verify", f"{commit}^{{tree}}")


def message(site: Site, commit: str) -> str:
    """The words of a commit."""
    return site.git.out("log", "-1", "--no-show-signature", "--format=%B", commit).rstrip("\n")


def put(site: Site, ref: str, commit: str, *, old: str | None) -> None:
    """Write a ref, if it names what it should now."""
    expected = [] if old is None else [old or zeros(commit)]
    words = ("update-ref", "--no-deref", "-m", "labctl", ref, commit, *expected)
    answer = site.theirs.ask(*words, environ=committed.identity(site), codes=(0, 1, 128))
    if answer.code:
        raise _why_not(site, answer, ref, old)


def advance(site: Site, name: str, new: str, old: str) -> None:
    """Move a branch that nobody has checked out."""
    ref = name if name.startswith("refs/heads/") else f"refs/heads/{name}"
    short = ref.removeprefix("refs/heads/")
    where = "" if site.is_own else site.theirs.out("for-each-ref", "--format=%(worktreepath)", ref)
    if where:
        raise BadInput(
            f"the branch {short} is checked out, and the lab never moves a branch under somebody's files",
            where=where,
            fix="switch that tree to another branch (git switch --detach), or give the loop another loop_tag",
        )
    put(site, ref, new, old=old)


def zeros(commit: str) -> str:
    """The id that names nothing, as long as the others of this repository."""
    return "0" * len(commit)


def _why_not(site: Site, answer: Answer, ref: str, old: str | None) -> BadInput | Busy | Taken | Exception:
    said = answer.problem
    if "File exists" in said and ".lock" in said:
        return Busy(
            f"somebody is changing {ref}, or was killed while at it",
            where=site.common,
            fix=f"if no git is running there: rm '{site.common}/{ref}.lock'",
        )
    if old is not None and commit_of(site, ref) != old:
        return Taken(f"{ref} was moved by somebody else", where=site.common, fix=f"look at it: git log {ref}")
    if "exists; cannot create" in said or "not a valid" in said or "bad name" in said or "bad ref" in said:
        fix = "choose another name for the branch: one ref cannot lie below another"
        return BadInput(f"{ref} cannot be made: {said.strip()}", where=site.common, fix=fix)
    return refused(answer, "update-ref", site.common)
