"""A page typed from its top to its end: one bash, one empty folder, an empty home, and nothing of it left afterwards.

The script that bash reads has a line for each line of the page, so what bash calls a line is the page's own.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.pages.page import CHECKOUT, BadPage, Block

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

HERE = CHECKOUT / "tests/pages"
MARK = re.compile(r"^\x1e(failed (\d+) )?(\d+)$")
NOWHERE = "http://127.0.0.1:9"  # a port that nobody listens at: the proxy of whoever tries to leave the machine
SHOWN_LINES = 40
NO_FRAME = "/dev/null"


def script(blocks: list[Block], parts: Path, frame: str, here: Mapping[str, str]) -> str:
    """What bash is given, with the parts that it needs as files."""
    last = max((block.line + len(block.lines) + 1 for block in blocks), default=1)
    lines = [""] * (last + 1)
    lines[0] = f". {shlex.quote(str(HERE / 'prologue.sh'))}; . {shlex.quote(frame)}"
    for block in blocks:
        end = block.line + len(block.lines)
        part = f"{block.line:04d}"
        text = block.text
        for said, meant in here.items():
            text = text.replace(said, meant)
        if block.kind == "sh" and not block.unrun and not block.is_terminal:
            lines[block.line : end] = text.splitlines()
            if block.exit_code:
                lines[block.line - 1] = f"__expect {block.exit_code} {block.last_command}"
                lines[end] = f"__expected_was_met {block.last_command}"
            continue
        name = shlex.quote(block.name)
        if block.is_terminal:
            lines[block.line - 1] = f"__terminal {part}{' 1' if block.is_quiet else ''}"
            text = "\n" * block.line + text
        elif block.is_merged:
            lines[block.line - 1] = f"__put_into {part} {name}"
        elif block.is_shown:
            continue
        elif block.name:
            lines[block.line - 1] = f"__write {part} {name}"
        elif block.kind == "python":
            lines[block.line - 1] = f'python3 "$PAGE_PARTS/{part}"'
            text = "\n" * block.line + text
        (parts / part).write_text(text, encoding="utf-8")
    return "\n".join(lines) + "\n"


def environment(place: Path, more: Mapping[str, str]) -> dict[str, str]:
    """What the shell of a page has: an own home, in which git does not know them yet, and no way out of the machine."""
    shims = place / "shims"
    shims.mkdir()
    labctl = shims / "labctl"
    labctl.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{CHECKOUT}/scripts/labctl.py" "$@"\n')
    labctl.chmod(0o755)
    foreign = ("LAB_", "HERMES_", "LABCTL_", "PYTEST", "GIT_", "SLURM_", "TINKER_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    environ |= {
        "HOME": str(place / "home"),
        "PATH": f"{HERE / 'doubles'}:{shims}:{os.path.dirname(sys.executable)}:{os.environ['PATH']}",
        "GIT_CONFIG_NOSYSTEM": "1",
        "LABCTL_CHECKOUT": str(CHECKOUT),
        "PAGE_PARTS": str(place / "parts"),
        "PAGE_TESTS": str(HERE),
        "NO_PROXY": "localhost,127.0.0.1",
    }
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        environ[name] = NOWHERE
    return {**environ, **more}


def type_page(
    blocks: list[Block],
    place: Path,
    *,
    frame: str = NO_FRAME,
    more: Mapping[str, str] | None = None,
    here: Mapping[str, str] | None = None,
    limit_s: float = 120.0,
) -> None:
    """Type a page in `place`, and say which line of it failed."""
    folder = place / "here"
    for each in (folder, place / "home", place / "parts"):
        each.mkdir()
    written = place / "parts" / "page.sh"
    written.write_text(script(blocks, place / "parts", frame, here or {}), encoding="utf-8")
    log = place / "parts" / "log"
    with log.open("wb") as out:
        shell = subprocess.Popen(
            ["bash", str(written)], cwd=folder, env=environment(place, more or {}), stdin=subprocess.DEVNULL,
            stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            code = shell.wait(limit_s)
        except subprocess.TimeoutExpired:
            code = -1
        finally:
            end_all(place)
            shell.wait()
    if code != 0:
        raise BadPage(told(blocks, log.read_text(encoding="utf-8", errors="replace"), code, limit_s))


def told(blocks: list[Block], log: str, code: int, limit_s: float) -> str:
    """The line that failed, as the page has it, and what was printed since it began."""
    page = blocks[0].page
    number, ended, said = 1, f"ended with {code}", list[str]()
    for line in log.split("\n"):  # not splitlines, for which a mark ends a line
        mark = MARK.match(line)
        if mark is None:
            said.append(line)
        elif mark[1]:
            number, ended = int(mark[3]), f"ended with {mark[2]}"
            break
        else:
            number, said = (int(mark[3]), []) if int(mark[3]) != number else (number, said)
    if code == -1:
        ended = f"was still running after {limit_s:.0f} s of the page"
    block = next((each for each in blocks if each.line <= number <= each.line + len(each.lines)), None)
    typed = block.lines[number - block.line - 1] if block and number > block.line else "(what comes before the page)"
    wanted = f", and was to end with {block.exit_code}" if block and block.exit_code else ""
    return "\n".join((f"{page}:{number}: {typed}", f"{ended}{wanted}; it said:", *said[-SHOWN_LINES:]))


def end_all(place: Path) -> None:
    """End each process that was started from the page, however far it went away: all of them were told of its home."""
    told_of = f"HOME={place / 'home'}\0".encode()
    for _ in range(100):
        found = [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if _has(pid, told_of)]
        if not found:
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _has(pid: int, told_of: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return told_of in file.read() + b"\0" and not _is_dead(pid)
    except OSError:
        return False


def _is_dead(pid: int) -> bool:
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()[0] in (b"Z", b"X")
