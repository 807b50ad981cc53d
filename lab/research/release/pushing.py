"""Sending to a git remote: one commit with exactly the listed files, on a new branch that is named after their digest.

The commit is the same whoever makes it and whenever: made again after a kill, it is the one that the remote has.
Nothing is forced, the default branch is never written to, and no setting or hook of the user takes part.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput, Busy, Corrupt, Unavailable
from lab.research.release import manifest
from lab.store.repository.git import Git, found

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.research.release.manifest import Release
    from lab.store.files import Files

_HEADS = "refs/heads/"
_NAME, _ADDRESS = "labctl", "labctl@localhost"
# Over those of the lab's own git, which may speak to no other repository at all.
_SETTINGS = (
    "protocol.file.allow=always", "protocol.https.allow=always", "protocol.ssh.allow=always",
    "core.sshCommand=ssh -o BatchMode=yes", "credential.helper=", "push.default=nothing", "push.followTags=false",
    "push.gpgSign=false", "core.autocrlf=false", "core.precomposeUnicode=false", "init.templateDir=",
    "http.followRedirects=false", "core.askPass=",
)  # fmt: skip
_LOGIN = '!f() { test "$1" = get && echo username=labctl && echo "password=$LABCTL_PUBLISH_TOKEN"; }; f'


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What the other side has. `found` where it had it before."""

    commit: str
    url: str = ""
    branch: str = ""
    found: bool = False


class Push:
    """One release, on its way. `place` is an empty folder that nobody else uses; `when` is when it was approved."""

    def __init__(  # what is sent, and where it is put together
        self, files: Files, place: str, release: Release, sha256: str, when: str, token: str = ""
    ) -> None:
        self._files, self._place = files, place
        self._release, self._sha256, self._when = release, sha256, when
        login = [f"credential.helper={_LOGIN}"] if token and release.destination.startswith("https://") else []
        self._git = Git(f"{place}/git", settings=[*_SETTINGS, *login])
        self._branch = manifest.branch(release, sha256)
        self._environ = {"GIT_ASKPASS": "", "SSH_ASKPASS": ""}
        self._environ |= {name: os.environ[name] for name in ("HOME", "SSH_AUTH_SOCK") if name in os.environ}
        self._environ |= {"LABCTL_PUBLISH_TOKEN": token} if login else {}

    def send(self, contents: Mapping[str, bytes]) -> Sent:
        """Push it, or find that it is there. `Busy` where the remote has something else under that name."""
        commit = self._commit(contents)
        there, default = self._asked()
        if (default or self._unborn()) == self._branch:
            raise BadInput(
                f"{self._branch} is the default branch there, which nothing is sent to", fix="choose another"
            )
        if self._has(there, commit):
            return Sent(commit=commit, branch=self._branch, found=True)
        if there:
            raise self._taken(f"{self._branch} is there with another commit, {there}")
        self._push(commit)
        there, _ = self._asked()
        if not self._has(there, commit):
            raise Unavailable(f"the remote says it took {commit}, and has {there or 'nothing'}", where=self._branch)
        return Sent(commit=commit, branch=self._branch)

    def _commit(self, contents: Mapping[str, bytes]) -> str:
        """A commit of these files, staged from a list, and looked at before it is one."""
        tree, index = f"{self._place}/tree", f"{self._place}/index"
        self._files.folder(self._git.git_dir)
        self._files.folder(tree)
        self._git.ask("init", "--quiet", "--template=", environ={"GIT_DIR": self._git.git_dir})
        for path, data in contents.items():
            target = f"{tree}/{path}"
            self._files.folder(os.path.dirname(target))
            self._files.create(target, data, durable=False)
        names = sorted(contents)
        given = b"".join(os.fsencode(name) + b"\0" for name in names)
        self._git.ask(
            "add", "--force", "--pathspec-from-file=-", "--pathspec-file-nul", given=given, tree=tree, index=index
        )
        staged = self._git.names("diff", "--cached", "--name-only", "-z", "--no-renames", tree=tree, index=index)
        if sorted(staged) != names:
            raise Corrupt("git staged other files than those that were approved", where=tree)
        self._compare(contents, self._git.names("ls-files", "--stage", "-z", tree=tree, index=index))
        made = self._git.out("write-tree", tree=tree, index=index)
        title, body = manifest.message(self._release, self._sha256)
        when = f"{self._when[:19]}Z"
        who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
               for what, value in (("NAME", _NAME), ("EMAIL", _ADDRESS), ("DATE", when))}  # fmt: skip
        answer = self._git.ask("commit-tree", made, "-F", "-", given=f"{title}\n\n{body}".encode(), environ=who)
        return os.fsdecode(answer.out).strip()

    def _compare(self, contents: Mapping[str, bytes], staged: list[str]) -> None:
        """The very bytes, as plain files: no filter and no attribute made others of them."""
        for row in staged:
            about, _, path = row.partition("\t")
            mode, blob, _ = about.split(" ")
            data = contents[path]
            own = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # noqa: S324  # git's name for it
            if (mode, blob) != ("100644", own):
                raise Corrupt(f"git staged {path} otherwise than it was approved", where=self._place)

    def _asked(self) -> tuple[str, str]:
        """The commit that the branch has there, and what the default branch is called."""
        ask = ("ls-remote", "--symref", "--", self._release.destination)
        answer = self._git.ask(*ask, environ=self._environ, codes=(0, 128))
        if answer.code:
            raise self._refused(answer.problem)
        there, default = "", ""
        for row in os.fsdecode(answer.out).splitlines():
            value, _, name = row.partition("\t")
            if name == "HEAD" and value.startswith("ref: "):
                default = value.removeprefix("ref: ").removeprefix(_HEADS)
            elif name == f"{_HEADS}{self._branch}":
                there = value
        return there, default

    def _unborn(self) -> str:
        """What the default branch of a remote without a commit will be called, where it says so to who clones it."""
        probe = f"{self._place}/probe"
        words = ("clone", "--quiet", "--bare", "--template=", "--", self._release.destination, probe)
        if self._git.ask(*words, environ=self._environ, codes=(0, 128)).code:
            return ""
        return self._git.out("--git-dir", probe, "symbolic-ref", "--quiet", "HEAD").removeprefix(_HEADS)

    def _has(self, there: str, commit: str) -> bool:
        """Whether the branch there is this commit, or goes on from it: a hook, or somebody, added to what was sent."""
        if there in ("", commit):
            return bool(there)
        words = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", self._release.destination, there)
        if self._git.ask(*words, environ=self._environ, codes=(0, 1, 128)).code:
            return False
        return self._git.ask("merge-base", "--is-ancestor", commit, there, codes=(0, 1, 128)).code == 0

    def _push(self, commit: str) -> None:
        target = f"{commit}:{_HEADS}{self._branch}"
        words = (
            "push",
            "--porcelain",
            "--no-verify",
            "--no-recurse-submodules",
            "--",
            self._release.destination,
            target,
        )
        answer = self._git.ask(*words, environ=self._environ, codes=(0, 1, 128))
        rows = os.fsdecode(answer.out).splitlines()
        refused = next((row for row in rows if row.startswith("!")), "")
        if refused:
            raise self._taken(f"the remote refused it: {' '.join(refused[1:].split())}")
        if answer.code:
            raise self._refused(answer.problem)

    def _taken(self, what: str) -> Busy:
        fix = "look at that branch; delete it there if it is nobody's, or list the release anew"
        return Busy(what, where=self._release.destination, fix=fix)

    def _refused(self, said: str) -> Unavailable:
        words = " ".join(said.split())[:400] or "it said nothing"
        fix = "try the same by hand: git ls-remote; ssh needs SSH_AUTH_SOCK in `env` of the SPEC, https a publish.token"
        return Unavailable(f"git could not reach the remote: {words}", where=self._release.destination, fix=fix)


def present() -> None:
    """Whether git is there. `Unavailable` says what to install."""
    found()
