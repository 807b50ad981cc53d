# ruff: noqa: E501  # an input or a row of a table stands on one line
"""What travels in files: tars of packages, archives, patches of git, and whatever may be packed in a release."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import tarfile
import zipfile

from lab.core.errors import LabError
from lab.research.ideas import summary
from lab.research.release import keys, looked, personal
from lab.research.release.pieces import Shut, Text
from lab.store import archive_file, tarball
from lab.store.files import Files
from lab.store.repository import changes
from scripts.trial.fuzzing import place
from scripts.trial.fuzzing.target import Target, chosen, promise

_NAME = "DISPATCH-20261130-053300-000000-lr-sweep"
_MOST_WRITTEN = 64 << 20


def _tar(*members: tuple[str, bytes, bytes], **pax: str) -> bytes:
    """A tar of these members: a name, a type, what is in it."""
    kept = io.BytesIO()
    with tarfile.open(fileobj=kept, mode="w", format=tarfile.PAX_FORMAT, pax_headers=pax) as tar:
        for name, kind, data in members:
            about = tarfile.TarInfo(name)
            about.type, about.size = kind, len(data) if kind == tarfile.REGTYPE else 0
            about.linkname = data.decode() if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            tar.addfile(about, io.BytesIO(data) if kind == tarfile.REGTYPE else None)
    return kept.getvalue()


_DONE = b'{"format": 1, "dispatch_id": "%s", "worker": "w", "outcome": "success", "completed_at": "x"}' % _NAME.encode()
_GOOD = _tar(
    (f"{_NAME}/", tarfile.DIRTYPE, b""), (f"{_NAME}/run/", tarfile.DIRTYPE, b""), (f"{_NAME}/done.json", tarfile.REGTYPE, _DONE),
    (f"{_NAME}/run/metrics.json", tarfile.REGTYPE, b'{"value": 0.5}'), (f"{_NAME}/run/{'d/' * 60}a", tarfile.REGTYPE, b"x"),
)  # fmt: skip
_BAD = (
    _tar((f"{_NAME}/run/a", tarfile.SYMTYPE, b"/etc/passwd")), _tar((f"{_NAME}/run/../../../x", tarfile.REGTYPE, b"x")),
    _tar((f"{_NAME}/run/a", tarfile.REGTYPE, b"x"), (f"{_NAME}/run/a/b", tarfile.REGTYPE, b"y")),
    _tar((f"{_NAME}/run/a", tarfile.LNKTYPE, b"/etc/passwd")), _tar((f"{_NAME}/run/{'n' * 300}", tarfile.REGTYPE, b"x")),
    _tar((f"{_NAME}/run/a", tarfile.REGTYPE, b"x"), path=f"{_NAME}/run/b", size="7", mtime="nan"),
    _tar((f"{_NAME}/run/s", tarfile.GNUTYPE_SPARSE, b"")),
)  # fmt: skip


def _package(data: bytes) -> None:
    """A tar: refused before anything is written, or written below its folder, as plain files, and no more than it says."""
    scratch = place.fresh("tar")
    path = place.file("tar/in/a.tar", data)
    target = f"{scratch}/out/here"
    tarball.digest_of(path)
    try:
        name = tarball.top(path)
    except LabError:
        promise(not os.path.exists(f"{scratch}/out"), "a tar that was refused has written")
        raise
    os.makedirs(f"{scratch}/out")
    tarball.file_of(path, f"{name}/done.json", 1 << 20)
    count = tarball.extract(Files(durable=False), path, target, below=f"{name}/run")
    found = [f"{folder}/{each}" for folder, inside, names in os.walk(scratch) for each in (*inside, *names)]
    outside = [
        each for each in found if not each.startswith((f"{scratch}/in", f"{scratch}/out")) or os.path.islink(each)
    ]
    promise(not outside, f"a tar wrote outside of its folder, or a link: {outside}")
    files = [each for each in found if each.startswith(f"{target}/") and os.path.isfile(each)]
    promise(len(files) == count, f"{count} files are said, and {len(files)} are there")


def _archive(data: bytes) -> None:
    """An archive whose digest was not looked at yet: only listed."""
    for _, _, kept in archive_file.listed(place.file("archive/a.tar", data)):
        promise(kept.size >= 0, "a file of less than nothing")


class _Said:
    def __init__(self, out: bytes) -> None:
        self.out = out
        self.code = 0


class _Git:
    """As much of a repository as a difference is read from."""

    def __init__(self, out: bytes) -> None:
        self._out = out

    def ask(self, *words: str) -> _Said:
        del words
        return _Said(self._out)


class _Site:
    prefix = ""

    def __init__(self, out: bytes) -> None:
        self.git = _Git(out)

    def named(self, path: str) -> str:
        return path


def _patch(data: bytes) -> None:
    """A difference as git tells it: every line of it has a path, a sign and a text."""
    for _, sign, line in changes.lines(_Site(data), "a", "b"):  # type: ignore[arg-type]  # as much of it as is read
        promise(sign in "+-" and "\n" not in line, "a line that is none")


def _release(data: bytes) -> None:
    """Whatever may be packed or spelt in a file: its texts, or why it cannot be looked into, and no more than there is room."""
    size = 0
    for part in looked.into(data):
        promise(isinstance(part, (Text, Shut)), "neither a text nor a reason")
        if isinstance(part, Text):
            size += len(part.text)
            list(keys.over_lines(part.text[:4_000]))
            for line in part.text[:4_000].splitlines():
                list(keys.within(line[:1_000]))
    promise(size <= _MOST_WRITTEN, f"{size:,} characters came of {len(data):,} bytes")
    personal.told(personal.names({"evidence/RUN-1/SEAL.json": data}))


def _table(data: bytes) -> None:
    """Data of the user's: looked into, or refused with the line; what is said of a column is finite."""
    at, rest = chosen(data, 3)
    made = summary.of_files({("a.csv", "a.tsv", "a.jsonl")[at]: rest})
    promise(summary.read(summary.page(made)) == made, "read(page(summary)) is another summary")


def _packed() -> tuple[bytes, ...]:
    words = b"token = 'sk-abcdefghijklmnopqrstuvwxyz0123456789'\n" * 2
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.txt", words)
        packed.comment = b"c"
    return (
        words,
        made.getvalue(),
        gzip.compress(words),
        lzma.compress(words),
        lzma.compress(words, format=lzma.FORMAT_ALONE),
        _tar(("a", tarfile.REGTYPE, words)),
        b'{"cells": [{"source": ["a\\n", "b"]}], "x": "aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ="}',
        b"\xff\xfea\0b\0",
        b"PAR1",
        b"\x28\xb5\x2f\xfd\x04\0",
        b"begin 644 a\n#86)C\n`\nend\n\\x61\\u0062 &#x61; %61 0x61 0x62 0x63 0x64",
    )


_DIFF = (
    b"diff --git a/a.py b/a.py\nindex 1..2 100644\n--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@ def f():\n-x = 1\n--- a\n+y = 2\n+z\n"
    b'diff --git "a/\\303\\244" "b/\\303\\244"\n--- /dev/null\n+++ "b/\\303\\244\\t"\t\n@@ -0,0 +1 @@\n+a\n\\ No newline at end of file\n'
)

TARGETS = (
    Target(
        name="tar",
        what="tars that packages travel in: names, links, sizes, sparse files, pax headers, packed ones",
        read=_package,
        seeds=(_GOOD, *_BAD, gzip.compress(_GOOD), lzma.compress(_GOOD)),
        most=32_768,
        words=(
            "../",
            "/etc/x",
            "path=",
            "size=",
            "linkpath=",
            "GNU.sparse.map=",
            "GNU.sparse.size=",
            "GNU.sparse.major=1",
            "00000000007",
            "\0" * 8,
            "ustar",
            "x",
            "L",
            "S",
            "g",
        ),
        reads=("lab.store.tarball",),
    ),
    Target(
        name="archive",
        what="archives of sealed runs",
        read=_archive,
        seeds=(_tar(("RUN-1/a", tarfile.REGTYPE, b"x"), ("RUN-1/l", tarfile.SYMTYPE, b"y")),),
        most=32_768,
        words=("path=", "ustar", "S"),
        reads=("lab.store.archive_file",),
    ),
    Target(
        name="patch",
        what="differences as git tells them",
        read=_patch,
        seeds=(_DIFF,),
        words=("@@ -1 +1 @@", "--- ", "+++ ", "diff --git ", "\n-", "\n+", "\\303"),
        reads=("lab.store.repository.changes",),
    ),
    Target(
        name="release",
        what="files of a release, and what is packed or encoded in them",
        read=_release,
        seeds=_packed(),
        words=("PK\x03\x04", "\x1f\x8b\x08", "BZh9", "\x00\x5d\x00\x00", "eJw", "7z", "\\x", "%", "&#", "begin 644 "),
        reads=(
            "lab.research.release.looked",
            "lab.research.release.packed",
            "lab.research.release.spelt",
            "lab.research.release.personal",
            "lab.research.release.keys",
        ),
    ),
    Target(
        name="data",
        what="data of a project: CSV, TSV, JSON lines",
        read=_table,
        head=1,
        seeds=(
            b'\x00x,y,target\n1,a,0.5\n1e308,"b ""c""",\n1e308,,nan\n',
            b"\x01x\ty\n1\t2\n",
            b'\x02{"x": 1, "y": null}\n{"x": "a", "z": [1]}\n',
        ),
        words=(",", '"', "\n", "nan", "1e308", "\t"),
        reads=("lab.research.ideas.summary",),
    ),
)
