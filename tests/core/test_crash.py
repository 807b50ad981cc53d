"""What a crash was, told from what real programs print."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lab.core import crash, launch

if TYPE_CHECKING:
    from pathlib import Path

TRACE = 'Traceback (most recent call last):\n  File "/w/train.py", line 9, in <module>\n    main()\n'
TOLD = {
    "torch on CUDA": (
        "oom",
        "step 3 loss 4.1\n" + TRACE + "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0"
        " has a total capacity of 79.11 GiB of which 1.02 GiB is free.",
    ),
    "older torch": ("oom", TRACE + "RuntimeError: CUDA out of memory. Tried to allocate 20.00 MiB"),
    "torch on MPS": ("oom", TRACE + "RuntimeError: MPS backend out of memory (MPS allocated: 17.9 GB, other 384 KB)"),
    "JAX": (
        "oom",
        TRACE + "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes.",
    ),
    "CPU allocator": ("oom", "RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory"),
    "numpy": ("oom", TRACE + "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 7.28 TiB for an array"),
    "Python": ("oom", TRACE + "MemoryError"),
    "node": ("oom", "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n 1: 0xb7b3e0"),
    "C++": ("oom", "terminate called after throwing an instance of 'std::bad_alloc'\nAborted"),
    "a quota of a service": ("other", TRACE + "google.api_core.ResourceExhausted: 429 RESOURCE_EXHAUSTED quota"),
    "got over": ("other", "CUDA out of memory, halving\nstep 4\n" + TRACE + "ValueError: bad shape"),
    "import of a name": ("import", TRACE + "ImportError: cannot import name 'x' from 'y' (/w/y.py)"),
    "node module": ("import", "node:internal\n\nError: Cannot find module './x'\nRequire stack:\n- /w/a.js"),
    "a header": ("import", "a.c:1:10: fatal error: nothing.h: No such file or directory\ncompilation terminated."),
    "a shared library": ("import", "./a: error while loading shared libraries: libx.so.1: cannot open it"),
    "gcc": ("syntax", "a.c:3:5: error: expected ';' before 'return'\nmake: *** [Makefile:2: a] Error 1"),
    "rustc": ("syntax", "error[E0425]: cannot find value `x`\n --> src/main.rs:2:5\n\nerror: could not compile `a`"),
    "tsc": ("syntax", "src/a.ts(3,5): error TS2322: Type 'string' is not assignable to type 'number'."),
    "go": ("syntax", "# example.com/a\n./main.go:5:2: undefined: x"),
    "bash": ("syntax", "run.sh: line 3: syntax error near unexpected token `fi'"),
    "the linker": ("syntax", "ld: a.o: undefined reference to `f'\ncollect2: error: ld returned 1 exit status"),
    "pytest": ("import", "E   ModuleNotFoundError: No module named 'nothing'\n=== 1 error in 0.1s ==="),
    "a program that starts another": (
        "import",
        "ModuleNotFoundError: No module named 'x'\n" + TRACE + "subprocess.CalledProcessError: Command 'a' returned 1",
    ),
    "an assertion": ("other", TRACE + "AssertionError: loss is nan"),
    "silence": ("other", ""),
}  # fmt: skip


def test_what_a_program_says_to_do_about_it_is_part_of_what_happened() -> None:
    said = "train.py: no torch\n  fix: pip install torch\n"
    assert crash.what(said, 5) == "train.py: no torch; fix: pip install torch"
    assert crash.what(f"{said}ValueError: 3\n", 1) == "ValueError: 3"
    assert crash.what("train.py: no torch\nfix it\n", 5) == "train.py: no torch"


@pytest.mark.parametrize("name", TOLD)
def test_a_crash_is_of_the_kind_that_its_last_error_says(name: str) -> None:
    kind, tail = TOLD[name]
    assert crash.kind(1, None, tail) == kind


def test_what_real_python_prints_is_told_apart(tmp_path: Path) -> None:
    programs = {
        "syntax": "def f(:\n    pass\n",
        "import": "import a_module_that_nobody_has\n",
        "oom": "bytearray(1 << 62)\n",
        "other": "raise ValueError('no\\nmore')\n",
    }
    for kind, program in programs.items():
        (tmp_path / "p.py").write_text(program)
        ran = subprocess.run([sys.executable, "p.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert crash.kind(ran.returncode, None, ran.stdout + ran.stderr) == kind
    (tmp_path / "q.py").write_text("x = 1\n  y = 2\n")
    ran = subprocess.run([sys.executable, "q.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (crash.kind(1, None, ran.stderr), crash.what(ran.stderr)) == (
        "syntax",
        "IndentationError: unexpected indent",
    )


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here")
def test_what_a_real_compiler_prints_is_syntax(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("int main(void) { return x }\n")
    ran = subprocess.run(["cc", "a.c"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert crash.kind(ran.returncode, None, ran.stderr) == "syntax"


def test_how_the_lab_ended_it_counts_before_what_it_printed() -> None:
    assert crash.kind(None, 9, "", launch.MEMORY) == "oom"
    assert crash.kind(None, 15, "ValueError: late", launch.TIMEOUT) == "timeout"
    assert crash.kind(124, None, "") == "timeout"


def test_what_somebody_wished_to_end_is_no_crash_and_neither_is_what_ended_well() -> None:
    assert [crash.kind(None, 15, "MemoryError", why) for why in (launch.CANCELLED, launch.INTERRUPTED)] == ["", ""]
    assert crash.kind(0, None, "MemoryError") == ""


def test_a_program_that_was_killed_from_outside_is_not_said_to_have_run_out_of_memory() -> None:
    assert crash.kind(None, 9, "step 3") == "other"


def test_a_crash_is_told_in_one_line() -> None:
    assert crash.what(TOLD["gcc"][1]) == "a.c:3:5: error: expected ';' before 'return'"
    assert crash.what("one\ntwo\n\n") == "two"
    assert crash.what("", None, 11) == "it was ended by signal 11, and said nothing"
    assert crash.what("", 3) == "it ended with 3, and said nothing"
    assert len(crash.what("x" * 10_000)) == 300


def test_each_kind_is_answered_once_a_candidate() -> None:
    assert crash.answer("oom") == crash.Halve()
    assert crash.answer("oom", {"oom"}) == crash.Record()
    assert crash.answer("syntax") == crash.Repair()
    assert crash.answer("import", {"oom"}) == crash.Repair()
    assert crash.answer("import", {"syntax"}) == crash.Record()
    assert crash.answer("timeout") == crash.answer("other") == crash.Record()
