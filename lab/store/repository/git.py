"""Running git: with the lab's own settings, and with nothing of the surroundings.

A repository's settings name programs: hooks, filters, a monitor of the file system, drivers. A mutator could plant
one, so none of them is ever started here.
"""

from __future__ import annotations

import os
import re
import shutil
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OLDEST = (2, 30)
MERGES_TREES = (2, 38)  # `git merge-tree --write-tree`
LIMIT_S = 300.0
_WORDS_CHARS = 600
SETTINGS = (
    "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null", "core.untrackedCache=false", "core.splitIndex=false", "core.preloadIndex=false",
    "core.safecrlf=false", "core.quotePath=false", "core.pager=cat", "core.sshCommand=false",
    "core.alternateRefsCommand=", "core.trustctime=true", "core.checkStat=default", "gc.auto=0",
    "maintenance.auto=false", "protocol.allow=never", "commit.gpgSign=false", "submodule.recurse=false",
    "diff.ignoreSubmodules=all", "color.ui=false", "advice.detachedHead=false", "checkout.workers=1",
)  # fmt: skip
# A power cut must not take what a seal speaks of. Older gits do not know these settings, and pass them over.
_DURABLE = ("core.fsync=committed,loose-object", "core.fsyncMethod=batch")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What git said. `cut` when it said more than was wanted."""

    code: int
    out: bytes
    problem: str
    cut: bool = False


class Git:
    """One repository as git is to see it. `objects` is where objects are, when they are not in `git_dir`."""

    def __init__(self, git_dir: str, *, objects: str = "", durable: bool = False, settings: Sequence[str] = ()) -> None:
        self.program, self.version = found()
        self.git_dir = git_dir
        self._objects = objects
        self._settings = [*SETTINGS, *(_DURABLE if durable else ()), *settings]

    def ask(  # what one call of git needs
        self,
        *words: str,
        given: bytes = b"",
        tree: str = "",
        index: str = "",
        environ: Mapping[str, str] | None = None,
        codes: Sequence[int] = (0,),
        most: int = 0,
    ) -> Answer:
        """Run git and wait. `Unavailable` with its words when it ends otherwise than `codes` allow.

        In the work tree `tree` where one is given, else in its own folder: never where the lab happens to be.
        """
        settings = [word for setting in self._settings for word in ("-c", setting)]
        given_environ = self._environ(tree, index) | dict(environ or {})
        command = [self.program, *settings, "--no-pager", *words]
        answer = _run(command, given=given, cwd=tree or self.git_dir, environ=given_environ, most=most)
        if answer.code not in codes and not answer.cut:
            raise refused(answer, words[0], self.git_dir)
        return answer

    def out(self, *words: str, given: bytes = b"", tree: str = "", index: str = "") -> str:
        """What git printed, less the last newline. Names that are no text come as Python has them."""
        return os.fsdecode(self.ask(*words, given=given, tree=tree, index=index).out.removesuffix(b"\n"))

    def names(self, *words: str, given: bytes = b"", tree: str = "", index: str = "") -> list[str]:
        """What git printed with `-z`, as a list."""
        found_names = os.fsdecode(self.ask(*words, given=given, tree=tree, index=index).out)
        return found_names.split("\0")[:-1]

    def _environ(self, tree: str, index: str) -> dict[str, str]:
        environ = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C",
            "TZ": "UTC",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_SYSTEM": "/dev/null",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_EDITOR": "false",
            "GIT_DIR": self.git_dir,
        }
        if self._objects:
            environ["GIT_OBJECT_DIRECTORY"] = self._objects
        if tree:
            environ["GIT_WORK_TREE"] = tree
        if index:
            environ["GIT_INDEX_FILE"] = index
        return environ


def refused(answer: Answer, verb: str, where: str) -> Unavailable:
    """A refusal of git's, in its own words."""
    said = answer.problem.strip()[:_WORDS_CHARS] or f"it ended with {answer.code} and said nothing"
    return Unavailable(f"git {verb} did not work: {said}", where=where, fix="mend what git says, then try again")


@lru_cache(maxsize=1)
def found() -> tuple[str, tuple[int, ...]]:
    """The program, and its version. `Unavailable` when there is none, or too old a one."""
    program = shutil.which("git")
    fix = f"install git {OLDEST[0]}.{OLDEST[1]} or later, so that it is found on PATH"
    if program is None:
        raise Unavailable("the code loop needs git, and there is none on PATH", fix=fix)
    program = os.path.abspath(program)
    said = _run([program, "version"], given=b"", cwd="/", environ={"PATH": os.environ.get("PATH", os.defpath)}, most=0)
    numbers = re.search(rb"(\d+)\.(\d+)", said.out)
    version = tuple(int(number) for number in numbers.groups()) if numbers else ()
    if version < OLDEST:
        shown = os.fsdecode(said.out).strip() or said.problem.strip()
        raise Unavailable(f"this git is too old for the code loop: {shown}", where=program, fix=fix)
    return program, version


def takes(ref: str) -> bool:
    """Whether it can be the name of a ref."""
    words = [found()[0], "check-ref-format", ref]
    environ = {"PATH": os.environ.get("PATH", os.defpath)}
    return _run(words, given=b"", cwd="/", environ=environ, most=0).code == 0


def _run(command: Sequence[str], *, given: bytes, cwd: str, environ: Mapping[str, str], most: int) -> Answer:
    import subprocess  # noqa: PLC0415  # 6 ms that most commands do not need

    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=environ,
            start_new_session=True,  # a Ctrl-C at the terminal is for the lab, which knows what is half done
        ) as process:
            if most and process.stdout is not None:
                out = process.stdout.read(most + 1)
                if len(out) > most:
                    process.kill()
                    return Answer(code=0, out=out[:most], problem="", cut=True)
                rest, problem = process.communicate(timeout=LIMIT_S)
                out += rest
            else:
                try:
                    out, problem = process.communicate(given, timeout=LIMIT_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    words = f"it took longer than {LIMIT_S:.0f} s"
                    return Answer(code=-9, out=b"", problem=words)
            return Answer(code=process.returncode, out=out, problem=os.fsdecode(problem))
    except OSError as error:
        raise Unavailable(
            f"git could not be started: {error.strerror}", where=cwd, fix="look at the machine"
        ) from error
