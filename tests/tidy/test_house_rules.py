"""The house rules of the design, kept by reading the source. What must bend bends in BENDS, where a reviewer sees it.

A rule takes a module and yields findings. SAMPLES holds source that breaks each rule and source that keeps it.
"""

from __future__ import annotations

import ast
from collections import deque
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

CHECKOUT = Path(__file__).resolve().parents[2]
MODULE_LINES = 400
FUNCTION_LINES = 60

# Imports point inwards, to an earlier row; folders of one row do not know each other.
RINGS = (
    {"core"},
    {"store", "projections", "llm", "tinker"},
    {"strategies", "executors", "engines"},
    {"scheduler"},
    {"research"},
    {"web", "mcp"},
    {"cli"},  # its verbs start the servers: docs/decisions/0025-mcp.md
    {"api"},  # the lab from Python, in the surroundings that the terminal has: docs/decisions/0054-the-public-api.md
    {""},  # lab/__init__.py: the names of the API; nothing inside imports from it
    {"testing"},  # the contracts and the doubles: they may see everything, nothing sees them
)

# rule -> module -> why it bends there. A bend that is not needed any more fails too.
BENDS: dict[str, dict[str, str]] = {
    "writing": {
        "lab.store.files": "the five verbs: the one place that writes",
        "lab.store.log": "a log grows while its run goes on: no draft, no rename; each write is a step like theirs",
        "lab.executors.limits": "cgroups are folders of the kernel, and not on any disk",
        "lab.executors.evaluating": "a process of its own: what it was asked, into its run's folder; a model it merges",
        "lab.executors.warden": "opens /dev/null for reading and writing",
        "lab.engines.minder": "the same; and the file that takes what a body prints, which is the body's to write",
        "lab.store.sections": "makes the empty file that a lock is taken on; nothing is ever in it",
        "lab.cli.terminal": "opens /dev/null for a stdout whose reader has gone away",
        "lab.tinker.telling": "a recipe is a run's own process: it appends to its run's folder, each row with fsync",
        "lab.tinker.folders": "models and adapters where a person wants them, too large to pass through as bytes",
        "lab.tinker.local.disk": "a server of its own process keeps checkpoints below a folder that is no lab's",
    },
    "printing": {
        "lab.tinker.telling": "a recipe is a run's own process: METRIC lines are what the lab reads of it",
    },
    "broad_except": {
        "lab.scheduler.work": "where the code of a stranger's executor runs: it is recorded as a failed run",
        "lab.executors.door": "a plug-in is a stranger's code: whatever reading raises is told by its name",
        "lab.scheduler.search.offers": "where the code of a stranger's strategy runs: it ends this search, and says so",
        "lab.tinker.tokenizer": "the tokenizers library raises nothing narrower for a file that is none: it is told",
        "lab.store.plug_ins": "a plug-in is a stranger's code: whatever loading it raises is told by its name",
        "lab.web.server": "where pages run: one that fails is told, and stops no other; --debug shows the trace",
        "lab.tinker.carrying": "where a stranger's recipe measures: what was saved and paid outlives its mistake",
        "lab.tinker.waiting": "the SDK raises whatever it stumbles over: it is told in the thread that waits for it",
        "lab.tinker.local.futures": "where models run: whatever torch and strangers' files raise becomes an answer",
        "lab.tinker.local.server": "where requests end: one that fails is told in words, and stops no other",
        "lab.api.burst": "where a caller is told of events: what that raises is raised again once all is sealed",
        "lab.cli.main": "the one handler: whatever is left becomes words and an exit code; --debug shows the trace",
    },
}

IMPURE = {
    "fcntl", "getpass", "glob", "io", "logging", "os", "pathlib", "platform", "random", "secrets", "select", "shutil",
    "signal", "socket", "subprocess", "tempfile", "threading", "time", "uuid",
}  # fmt: skip
AMBIENT_CALLS = {"open", "print", "input", "__import__", "eval", "exec"}
CLOCK_READS = {"now", "utcnow", "today"}
SLOW_TO_LOAD = {"asyncio", "dataclasses", "inspect", "pathlib"}
VAGUE_NAMES = {"common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}
BROAD = {"Exception", "BaseException"}
SHELLS = {"os.popen", "os.system", "subprocess.getoutput", "subprocess.getstatusoutput"}
OS_WRITES = {
    "chmod", "chown", "fchmod", "fchown", "ftruncate", "lchown", "link", "makedirs", "mkdir", "mkfifo", "mknod",
    "remove", "removedirs", "rename", "renames", "replace", "rmdir", "symlink", "truncate", "unlink", "utime",
    "O_APPEND", "O_CREAT", "O_RDWR", "O_TRUNC", "O_WRONLY",
}  # fmt: skip
SHUTIL_READS = {"which", "disk_usage", "get_terminal_size"}
PATH_WRITES = {"write_bytes", "write_text"}


class Module:
    def __init__(self, name: str, source: str, *, is_package: bool = False) -> None:
        self.name = name  # dotted; a package goes by its own name
        self.source = source
        self.is_package = is_package
        parts = name.split(".")
        self.folder = parts[1] if len(parts) > 2 or (len(parts) == 2 and is_package) else ""

    @property
    def tree(self) -> ast.Module:
        return _parsed(self.source)


@cache
def _parsed(source: str) -> ast.Module:
    """When it is first looked at: whoever collects tests would have 200 MB of trees, and each fork of it would pay."""
    return ast.parse(source)


@pytest.fixture(scope="module", autouse=True)
def trees() -> Iterator[None]:
    """What was read for the tests of a module goes with them."""
    yield
    _parsed.cache_clear()


def read(folder: Path, package: str) -> list[Module]:
    modules = []
    for path in sorted((folder / package).rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        modules.append(Module(name, path.read_text(encoding="utf-8"), is_package=is_package))
    return modules


def imports(module: Module) -> Iterator[tuple[int, str]]:
    """Every import wherever it stands, as (line, dotted name); `from a import b` as `a.b`."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.name.split(".")
                upwards = parts[: len(parts) - node.level + module.is_package]
                base = ".".join([*upwards, *([base] if base else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and dotted(node.func).endswith(("import_module", "__import__")):
            for argument in node.args[:1]:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield node.lineno, argument.value


def imported_at_run_time(module: Module) -> Iterator[tuple[int, str]]:
    """The imports, less those under `if TYPE_CHECKING`."""
    for_types = {
        line
        for node in ast.walk(module.tree)
        if isinstance(node, ast.If) and dotted(node.test).endswith("TYPE_CHECKING")
        for line in range(node.body[0].lineno, (node.body[-1].end_lineno or node.body[-1].lineno) + 1)
    }
    return ((line, name) for line, name in imports(module) if line not in for_types)


def dotted(node: ast.AST) -> str:
    """`os.path.join` for the expression that says so; an empty string for what is not a plain dotted name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr}" if base else ""
    return ""


def calls(module: Module) -> Iterator[tuple[ast.Call, str]]:
    return ((node, dotted(node.func)) for node in ast.walk(module.tree) if isinstance(node, ast.Call))


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(module.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def ring(folder: str) -> int:
    return next((place for place, row in enumerate(RINGS) if folder in row), -1)


def layers(module: Module) -> Iterator[str]:
    own = ring(module.folder)
    if own < 0:
        yield f"line 1: the folder {module.folder} has no place in RINGS"
    for line, name in imports(module):
        parts = name.split(".")
        if parts[0] != "lab":
            continue
        # What hangs directly on `lab` is a folder, or else a name of lab/__init__.py.
        target = parts[1] if len(parts) > 1 and ring(parts[1]) >= 0 else ""
        if target != module.folder and ring(target) >= own:
            yield f"line {line}: {module.folder or 'lab'} imports {name}, which is not further in"


def purity(module: Module) -> Iterator[str]:
    if module.folder != "core":
        return
    for line, name in imported_at_run_time(module):
        if name.partition(".")[0] in IMPURE and name != "random.Random":  # the type of an argument
            yield f"line {line}: core imports {name}"
    for call, name in calls(module):
        parts = name.split(".")
        if name in AMBIENT_CALLS:
            yield f"line {call.lineno}: core calls {name}"
        if parts[-1] in CLOCK_READS and {"date", "datetime"} & set(parts[:-1]):
            yield f"line {call.lineno}: core reads the clock with {name}"
        if parts[-1] == "Random" and not call.args:
            yield f"line {call.lineno}: core draws its own luck with {name}()"


def printing(module: Module) -> Iterator[str]:
    if module.folder == "cli":
        return
    streams = {f"sys.{under}{name}{under}" for name in ("stdin", "stdout", "stderr") for under in ("", "__")}
    for call, name in calls(module):
        if name in ("print", "input"):
            yield f"line {call.lineno}: {name}() outside lab/cli"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and dotted(node) in streams:
            yield f"line {node.lineno}: {dotted(node)} outside lab/cli"
    yield from (f"line {line}: {name} outside lab/cli" for line, name in imports(module) if name in streams)


def sizes(module: Module) -> Iterator[str]:
    lines = len(module.source.splitlines())
    if lines > MODULE_LINES:
        yield f"line 1: {lines} lines, more than {MODULE_LINES}"
    for function in functions(module):
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        if length > FUNCTION_LINES:
            yield f"line {function.lineno}: {function.name} has {length} lines, more than {FUNCTION_LINES}"


def types(module: Module) -> Iterator[str]:
    methods = {id(f) for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef) for f in node.body}
    for function in functions(module):
        given = function.args
        first = [*given.posonlyargs, *given.args][:1]
        static = any(dotted(mark) == "staticmethod" for mark in function.decorator_list)
        bound = first if id(function) in methods and not static else []
        every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        for argument in every:
            if argument and argument not in bound and argument.annotation is None:
                yield f"line {argument.lineno}: {function.name} takes {argument.arg} without a type"
        if function.returns is None:
            yield f"line {function.lineno}: {function.name} returns without a type"


def records(module: Module) -> Iterator[str]:
    """`Any` and `dict[str, Any]` mark a record that nobody has named yet."""
    yield from (f"line {line}: {name}" for line, name in imports(module) if name == "typing.Any")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Subscript) and dotted(node.value).rpartition(".")[2].lower().endswith(
            ("dict", "mapping")
        ):
            names = node.slice.elts if isinstance(node.slice, ast.Tuple) else []
            if [dotted(name).rpartition(".")[2] for name in names] == ["str", "Any"]:
                yield f"line {node.lineno}: {ast.unparse(node)}"


def bare_except(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"line {node.lineno}: bare except"


def broad_except(module: Module) -> Iterator[str]:
    caught: list[tuple[int, ast.expr]] = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler) and node.type is not None:
            last = node.body[-1]
            if not (isinstance(last, ast.Raise) and last.exc is None):  # what goes on up is not hidden
                caught += [(node.lineno, each) for each in getattr(node.type, "elts", [node.type])]
        elif isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] == "suppress":
            caught += [(node.lineno, each) for each in node.args]
    yield from (f"line {line}: catches every {dotted(kind)}" for line, kind in caught if dotted(kind) in BROAD)


def shells(module: Module) -> Iterator[str]:
    for call, name in calls(module):
        if name in SHELLS:
            yield f"line {call.lineno}: {name} runs a shell"
        for keyword in call.keywords:
            if keyword.arg == "shell" and not (
                isinstance(keyword.value, ast.Constant) and keyword.value.value is False
            ):
                yield f"line {call.lineno}: shell={ast.unparse(keyword.value)}"


def names(module: Module) -> Iterator[str]:
    if VAGUE_NAMES & set(module.name.split(".")):
        yield f"line 1: {module.name} is not named after anything"


def writing(module: Module) -> Iterator[str]:
    for line, name in imports(module):
        head, _, tail = name.rpartition(".")
        if (
            (head == "os" and tail in OS_WRITES)
            or (head == "shutil" and tail not in SHUTIL_READS)
            or name == "tempfile"
        ):
            yield f"line {line}: imports {name}; writing goes through store/files.py"
    for node in ast.walk(module.tree):
        head, _, tail = dotted(node).rpartition(".")
        written = (head == "os" and tail in OS_WRITES) or (head == "shutil" and tail not in SHUTIL_READS)
        if written or head == "tempfile" or (isinstance(node, ast.Attribute) and node.attr in PATH_WRITES):
            yield f"line {getattr(node, 'lineno', 1)}: {ast.unparse(node)}; writing goes through store/files.py"
    for call, name in calls(module):
        if name in ("open", "io.open", "os.fdopen"):
            modes = [*call.args[1:2], *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
            if any(not isinstance(mode, ast.Constant) or set("wax+") & set(str(mode.value)) for mode in modes):
                yield f"line {call.lineno}: {ast.unparse(call)}; writing goes through store/files.py"


def start_up(module: Module) -> Iterator[str]:
    for line, name in imported_at_run_time(module):
        if name.partition(".")[0] in SLOW_TO_LOAD:
            yield f"line {line}: {name} is slow to load (test_start_path measures the rest)"


RULES: tuple[Callable[[Module], Iterator[str]], ...] = (
    layers, purity, printing, sizes, types, records, bare_except, broad_except, shells, names, writing, start_up,
)  # fmt: skip


def cycles(modules: Iterable[Module]) -> list[str]:
    """Every module that reaches itself by imports, deferred ones and those for types included, with a shortest way."""
    known = {module.name for module in modules}
    graph: dict[str, set[str]] = {}
    for module in modules:
        targets = ((name if name in known else name.rpartition(".")[0]) for _, name in imports(module))
        graph[module.name] = {target for target in targets if target in known and target != module.name}
    found = []
    for start in sorted(graph):
        way = {start: ""}
        queue = deque([start])
        while queue and start not in graph[queue[0]]:
            here = queue.popleft()
            fresh = graph[here] - way.keys()
            way.update(dict.fromkeys(fresh, here))
            queue.extend(sorted(fresh))
        if queue:
            back = [queue[0]]
            while way[back[-1]]:
                back.append(way[back[-1]])
            found.append(" -> ".join([*reversed(back), start]))
    return found


def findings(rule: Callable[[Module], Iterator[str]], modules: Iterable[Module]) -> list[str]:
    bends = BENDS.get(rule.__name__, {})
    return [f"{module.name}, {text}" for module in modules if module.name not in bends for text in rule(module)]


LAB = read(CHECKOUT, "lab")

# rule -> (module, source that breaks the rule, source that keeps it)
SAMPLES = [
    ("layers", "lab.core.a", "import lab.store.files", "import lab.core.b"),
    ("layers", "lab.store.a", "def f():\n    from lab.projections import page", "from lab import core"),
    ("layers", "lab.store.a", "if TYPE_CHECKING:\n    from lab.scheduler.turn import Turn", "from . import files"),
    ("layers", "lab.store.a", "from ..scheduler import turn", "from ..core import run"),
    ("layers", "lab.store.a", "import_module('lab.cli.main')", "import_module('lab.core.run')"),
    ("layers", "lab.cellar.a", "", None),
    ("layers", "lab.core.a", "from lab import __version__", "from lab.core.version import __version__"),
    ("layers", "lab", "from lab.testing import files", "from lab.api.home import Lab"),
    ("purity", "lab.core.a", "import os", "if TYPE_CHECKING:\n    import os"),
    ("purity", "lab.core.a", "def f():\n    from time import monotonic", "import math"),
    ("purity", "lab.core.a", "from random import choice", "from random import Random"),
    ("purity", "lab.core.a", "Random()", "Random(seed)"),
    ("purity", "lab.core.a", "open('x')", "world.open('x')"),
    ("purity", "lab.core.a", "datetime.now(UTC)", "world.now()"),
    ("purity", "lab.core.a", "datetime.date.today()", "datetime.date(2024, 1, 1)"),
    ("printing", "lab.store.a", "print('x')", "say('x')"),
    ("printing", "lab.store.a", "import sys\nsys.stderr.write('x')", "import sys\nsys.platform"),
    ("printing", "lab.store.a", "from sys import stdout", "from sys import platform"),
    ("sizes", "lab.core.a", "x = 1\n" * 401, "x = 1\n" * 400),
    ("sizes", "lab.core.a", "def f():\n" + "    x = 1\n" * 60, "def f():\n" + "    x = 1\n" * 59),
    ("types", "lab.core.a", "def f(x) -> None: ...", "def f(x: int) -> None: ..."),
    ("types", "lab.core.a", "def f(*x, y: int) -> None: ...", "def f(*x: int, y: int) -> None: ..."),
    ("types", "lab.core.a", "class A:\n  def f(self): ...", "class A:\n  def f(self) -> None: ..."),
    ("types", "lab.core.a", "class A:\n  @staticmethod\n  def f(x) -> int: ...", "lambda x: x"),
    ("records", "lab.core.a", "from typing import Any", "from typing import Literal"),
    ("records", "lab.core.a", "x: dict[str, Any]", "x: dict[str, int]"),
    ("records", "lab.core.a", "x: t.Mapping[str, t.Any]", "x: Mapping[str, object]"),
    ("bare_except", "lab.core.a", "try:\n  f()\nexcept:\n  g()", "try:\n  f()\nexcept OSError:\n  g()"),
    ("broad_except", "lab.core.a", "try:\n  f()\nexcept (OSError, Exception):\n  g()", "suppress(OSError)"),
    (
        "broad_except",
        "lab.core.a",
        "try:\n  f()\nexcept Exception:\n  g()",
        "try:\n  f()\nexcept Exception:\n  g()\n  raise",
    ),
    ("broad_except", "lab.core.a", "with contextlib.suppress(BaseException):\n  f()", "raise Exception"),
    ("shells", "lab.engines.a", "run('ls', shell=True)", "run(['ls'], shell=False)"),
    ("shells", "lab.engines.a", "os.system('ls')", "os.name"),
    ("names", "lab.store.utils", "", None),
    ("writing", "lab.store.a", "open('x', 'w')", "open('x', 'rb')"),
    ("writing", "lab.store.a", "open('x', mode=how)", "open('x', encoding='utf-8')"),
    ("writing", "lab.store.a", "os.open(x, os.O_RDONLY | os.O_CREAT)", "os.open(x, os.O_RDONLY)"),
    ("writing", "lab.store.a", "os.rename(a, b)", "os.stat(a)"),
    ("writing", "lab.store.a", "from os import replace", "from os import scandir"),
    ("writing", "lab.store.a", "shutil.rmtree(a)", "shutil.which(a)"),
    ("writing", "lab.store.a", "Path(a).write_text('x')", "Path(a).read_text()"),
    ("start_up", "lab.core.a", "def f():\n  import dataclasses", "if TYPE_CHECKING:\n  import pathlib"),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_source_keeps_the_rule(rule: Callable[[Module], Iterator[str]]) -> None:
    assert findings(rule, LAB) == []


def test_the_source_has_no_import_cycles() -> None:
    assert cycles(LAB) == []


def test_scripts_keep_the_sizes_and_run_no_shell() -> None:
    scripts = read(CHECKOUT, "scripts")
    for name in ("check", "quickstart"):  # Python without the suffix
        scripts.append(Module(f"scripts.{name}", (CHECKOUT / "scripts" / name).read_text(encoding="utf-8")))
    for rule in (sizes, types, bare_except, shells, names):
        assert findings(rule, scripts) == []


@pytest.mark.parametrize(("rule", "name", "bad", "good"), SAMPLES)
def test_the_rule_is_seen_to_fail(rule: str, name: str, bad: str, good: str | None) -> None:
    (check,) = (each for each in RULES if each.__name__ == rule)
    assert list(check(Module(name, bad)))
    assert good is None or list(check(Module(name, good))) == []


def test_every_rule_has_a_sample_that_breaks_it() -> None:
    assert {rule for rule, *_ in SAMPLES} == {rule.__name__ for rule in RULES}


def test_a_cycle_is_seen_however_deep_it_hides() -> None:
    a = Module("lab.core.a", "def f():\n    from lab.core import b")
    b = Module("lab.core.b", "from lab.core.c import thing")
    c = Module("lab.core.c", "if TYPE_CHECKING:\n    from lab.core.a import f")
    assert cycles([a, b, c])[0] == "lab.core.a -> lab.core.b -> lab.core.c -> lab.core.a"
    assert cycles([a, b]) == []


def test_no_bend_outlives_its_need() -> None:
    rules = {rule.__name__: rule for rule in RULES}
    known = {module.name: module for module in LAB}
    for rule, bends in BENDS.items():
        for name, reason in bends.items():
            assert reason
            assert name in known, f"{name} bends {rule}, but is no module"
            assert list(rules[rule](known[name])), f"{name} does not need its bend of {rule} any more"


def test_the_page_on_architecture_has_the_same_rings() -> None:
    page = (CHECKOUT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    told: list[set[str]] = []
    for line in page.partition("## Rings")[2].partition("\n## ")[0].splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if line.startswith("|") and "`" in cells[2]:
            if cells[1]:
                assert int(cells[1]) == len(told) + 1
                told.append(set())
            told[-1] |= {name.strip("`").replace("lab/__init__.py", "") for name in cells[2].split(", ")}
    assert tuple(told) == RINGS
