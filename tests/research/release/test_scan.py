"""Where a secret may hide, and that it is found there, named by its place, and never shown."""

from __future__ import annotations

import base64
import binascii
import bz2
import gzip
import io
import json
import lzma
import os
import quopri
import struct
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path
from urllib.parse import quote

import pytest

from lab.core.errors import LabError, NotFound, Unavailable
from lab.core.record import parse
from lab.research.release import bytes_of, names
from lab.research.release.manifest import SCAN
from lab.research.release.scanning import Scan, Scanner
from tests.research.release.releases import KEY, TINKER, a_project, a_remote, received

LINE = f"token = {KEY}\n"
CHECKOUT = Path(__file__).parents[3]
OWN = "letmein-letmein"


def _zip(name: str = "notes.txt", data: bytes = LINE.encode(), remark: bytes = b"") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(name, data)
        opened.comment = remark
    return made.getvalue()


def _tar(mode: str) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as opened:  # type: ignore[call-overload]
        about = tarfile.TarInfo("notes.txt")
        about.size = len(LINE)
        opened.addfile(about, io.BytesIO(LINE.encode()))
    return made.getvalue()


def _notebook() -> bytes:
    cell = {"cell_type": "code", "source": ["import x\n", f"x.login('{KEY[:9]}", f"{KEY[9:]}')\n"], "outputs": []}
    return json.dumps({"cells": [cell], "nbformat": 4}).encode()


def _unlisted(flags: int = 0, method: int = 8) -> bytes:
    """A zip file with one member more than its directory names."""
    data, extra = _zip(data=b"nothing"), zlib.compress(LINE.encode(), wbits=-15)
    head = struct.pack("<4s5H3I2H", b"PK\3\4", 20, flags, method, 0, 0, 0, len(extra), len(LINE), 1, 0)
    return head + b"b" + extra + data


HEX = "8f3a91c07be24d65a0f1c2b3d4e5f60718293a4b"
WORD = "q7Rk2Zp9Lw4Xv8Nc1Tb6Ym3Hd5Gs0Jf"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4
HIDDEN = {
    "plain.txt": LINE.encode(),
    "renamed.png": LINE.encode(),
    "behind.py": f"KEY = '{KEY}'  # pragma: allowlist secret\n".encode(),
    "next.py": f"# pragma: allowlist nextline secret\nKEY = '{KEY}'\n".encode(),
    "package-lock.json": f'{{"a": "{KEY}"}}'.encode(),
    "swagger.yaml": f"a: {KEY}\n".encode(),
    "notebook.ipynb": _notebook(),
    "utf-16.txt": LINE.encode("utf-16"),
    "utf-16-be.txt": LINE.encode("utf-16-be"),
    "utf-32.txt": LINE.encode("utf-32-le"),
    "latin.txt": b"caf\xe9\n" + LINE.encode(),
    "long.txt": b"x" * 90_000 + b" " + KEY.encode() + b" " + b"y" * 90_000,
    "edge.txt": b" " * 1_010 + KEY.encode() + b" " * 500,
    "in-a-picture.png": PICTURE + LINE.encode() + PICTURE,
    "remark.png": PICTURE + zlib.compress(LINE.encode()),
    "page.pdf": b"%PDF-1.4\nstream\n" + zlib.compress(LINE.encode() * 3) + b"\nendstream\n",
    "base64.txt": b"data: " + base64.b64encode(b"some words before it: " + LINE.encode()),
    "mime.txt": base64.encodebytes(b"words " * 30 + LINE.encode() + b" words" * 30),
    "hex.txt": LINE.encode().hex().encode(),
    "numbers.js": "".join(f"\\u{ord(each):04x}" for each in KEY).encode(),
    "address.txt": ("https://x.example/?t=" + quote("a b " + KEY).replace("_", "%5F")).encode(),
    "page.html": KEY.replace("_", "&#95;").encode(),
    "unseen.md": f"{KEY[:10]}\u200b{KEY[10:]}".encode(),
    "wide.md": "".join(chr(ord(each) + 0xFEE0) for each in KEY).encode(),
    "a.zip": _zip(),
    "zip.png": PICTURE + _zip(),
    "remark.zip": _zip(data=b"nothing", remark=KEY.encode()),
    "name.zip": _zip(name=f"{KEY}.txt", data=b"nothing"),
    "a.tar": _tar("w"),
    "a.tar.gz": _tar("w:gz"),
    "a.gz": gzip.compress(LINE.encode()),
    "gz.bin": PICTURE + gzip.compress(LINE.encode()),
    "a.bz2": bz2.compress(LINE.encode()),
    "a.xz": lzma.compress(LINE.encode()),
    "tinker.yaml": f"key: {TINKER}\n".encode(),
    "claude.sh": b"export A=sk-ant-api03-" + KEY[3:].encode() + b"\n",
    "private.txt": b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n",
    "aws.ini": b"aws_access_key_id = AKIA" + b"Q7RK2ZP9LW4XV8NC" + b"\n",
    "git.txt": b"git clone https://ann:" + b"s3cr3tpass" + b"@host.example/a.git\n",
    "password.py": b'password = "correct-horse-battery"\n',
    "random.py": b'value = "q7Rk2Zp9Lw4Xv8Nc1Tb6Ym3Hd5Gs0JfUeAoIx"\n',
    "wandb.txt": b"export WANDB_API_KEY=" + HEX.encode() + b"\n",
    "netrc.txt": b"machine api.example.com\n  login ann\n  password " + b"hunter2hunter\n",
    "env.txt": b"A=1\nPOSTGRES_PASSWORD=" + b"correcthorsebattery\n",
    "mistral.sh": b"MISTRAL_API_KEY=" + WORD.encode() + b"\n",
    "azure.cfg": b"DefaultEndpointsProtocol=https;AccountKey=" + base64.b64encode(bytes.fromhex(HEX * 3)) + b"\n",
    "curl.md": b"Run `curl -u ann:" + b"s3cr3tpass https://host.example/x`\n",
    "clone.md": b"git clone https://" + WORD.encode() + b"@host.example/a.git\n",
    "typed.py": f"token: str = '{WORD}'\n".encode(),
    "camel.js": f"const apiKey = `{WORD}`\n".encode(),
    "option.md": f"run --api-key {WORD} now\n".encode(),
    "query.md": f"https://host.example/x?private_token={WORD}\n".encode(),
    "body.txt": b"MIIEpAIBAAKCAQEA" + b"7Rk2Zp9Lw4Xv8Nc1Tb6Ym3Hd5Gs0Jf" * 2 + b"\n",
    "body-ec.txt": b"MIG2AgEAMBAGByqGSM49" + b"AgEGBSuBBAAiBIGe\n",
    "body-locked.txt": b"MIIFLTBXBgkqhkiG9w0BBQ0" + b"wSjApBgkqhkiG9w0\n",
    "password.txt": b"password: " + b"correct-horse-42\n",
    "own.txt": f"so: {OWN}\n".encode(),
    "behind.bin": PICTURE + bz2.compress(LINE.encode()) + PICTURE,
    "behind-xz.bin": PICTURE + lzma.compress(LINE.encode()) + PICTURE,
    "raw.bin": zlib.compress(LINE.encode() * 3, wbits=-15),
    "a.tar.lzma": lzma.compress(_tar("w"), format=lzma.FORMAT_ALONE),
    "unlisted.zip": _unlisted(),
    "twice.txt": base64.b64encode(base64.b64encode(b"words before it: " + LINE.encode())),
    "thrice.txt": base64.b64encode(base64.b64encode(base64.b64encode(LINE.encode() * 2))),
    "gz64.txt": b"data = " + base64.b64encode(gzip.compress(LINE.encode())),
    "zip64.txt": b"data = " + base64.b64encode(_zip()),
    "gz64-wrapped.txt": base64.encodebytes(gzip.compress(LINE.encode() + os.urandom(200))),
    "base32.txt": base64.b32encode(b"words: " + LINE.encode()),
    "base85.txt": base64.b85encode(b"words: " + LINE.encode() * 2),
    "ascii85.txt": base64.a85encode(b"words: " + LINE.encode() * 2, adobe=True),
    "uu.txt": b"begin 644 a\n" + binascii.b2a_uu(LINE.encode()[:45]) + b"`\nend\n",
    "mail.txt": quopri.encodestring((KEY[:8] + "\u00e9").encode())[:8]
    + b"=\n"
    + KEY[8:].encode()
    + b" =C3=A9 =C3=A9\n",
    "bytes.c": ", ".join(f"0x{each:02x}" for each in LINE.encode()).encode(),
    "joiner.md": "\u034f".join(KEY).encode(),
    "variant.md": "\ufe0f".join(KEY).encode(),
    "goes-on.sh": f"export A={KEY[:12]}\\\n{KEY[12:]}\n".encode(),
    "apart.py": f"a = '{KEY[:12]}' + '{KEY[12:]}'\n".encode(),
    "stream-in-stream.bin": PICTURE + zlib.compress(b"some words here" + zlib.compress(LINE.encode())),
    "own-base64.txt": base64.b64encode(OWN.encode()),
    "own.bin": PICTURE + OWN.encode("utf-16-le"),
}
PLAIN = """\
The key: a token is what the model reads. Password protected files are left out; secret sharing is another matter.
key = value_of(x)
token = tokens[index]
api_key = os.environ["API_KEY"]
password = get_password(user)
self.password = password
max_tokens: 16384
MAX_TOKENS=16384000
TOKENIZERS_PARALLELISM=false
export API_KEY=$(cat key_file)
SSH_KEY=/home/ann/keys/first
{"key": "vaswani2017attention", "tokens": 1234567}
primary_key: experiment_name_of_row_2
sort(key=lambda each: each.name_of_it)
def read(token: str, key: Callable[[int], str]) -> None:
run --token-file path/to/the_file --key NAME_OF_IT
https://host.example/a/b?page=2 and ann@host.example, git@host.example:a/b.git
a machine learning model with a password manager
dict_keys = {"first_key": first_value, "second_key": second_value}
"""
SHUT = {
    "a.7z": b"7z\xbc\xaf\x27\x1c" + bytes(50),
    "a.rar": b"Rar!\x1a\x07" + bytes(50),
    "a.zst": b"\x28\xb5\x2f\xfd" + bytes(50),
    "zst.png": PICTURE + b"\x28\xb5\x2f\xfd\x24\x05\x29\x00\x00hello",
    "7z.png": PICTURE + b"7z\xbc\xaf\x27\x1c" + bytes(50),
    "a.parquet": b"PAR1" + bytes(50) + b"PAR1",
    "a.arrow": b"ARROW1\0\0" + bytes(50),
    "cut.xz": PICTURE + lzma.compress(os.urandom(500))[:300],
    "cut.lzma": lzma.compress(os.urandom(500), format=lzma.FORMAT_ALONE)[:300],
    "locked.zip": _unlisted(flags=1),
    "other.zip": _unlisted(method=12),
    "nested.zip": _zip(name="inner.zip", data=_zip(data=b"nothing")),
    "nested.tar.gz": gzip.compress(gzip.compress(b"nothing")),
    "broken.zip": _zip(data=b"nothing" * 50)[:40] + _zip(data=b"nothing" * 50)[60:],
    "bomb.gz": gzip.compress(bytes(300 << 20), 1),
    "keys.zip": _zip(name="home/.ssh/id_rsa", data=b"nothing"),
}


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    pytest.importorskip("detect_secrets", reason="not installed: detect-secrets (pip install 'labctl[publish]')")
    return Scanner([OWN])


@pytest.mark.parametrize("name", HIDDEN)
def test_a_secret_is_found_wherever_it_hides_and_is_not_repeated(scanner: Scanner, name: str) -> None:
    found = scanner.files({name: HIDDEN[name]})
    assert found, name
    told = " ".join(each.told() for each in found)
    assert name in told
    for value in (KEY, TINKER, OWN, HEX, WORD, "correct", "s3cr3tpass", "hunter2"):
        assert value not in told


@pytest.mark.parametrize("name", SHUT)
def test_what_cannot_be_looked_into_is_not_passed_over(scanner: Scanner, name: str) -> None:
    assert scanner.files({name: SHUT[name]})


def test_a_finding_names_the_line(scanner: Scanner) -> None:
    (found,) = scanner.files({"a/b.txt": b"one\ntwo\n" + LINE.encode()})
    assert (found.file, found.line, found.kind) == ("a/b.txt", 3, "Hugging Face token")


def test_a_name_that_is_a_secret_is_found_and_not_repeated(scanner: Scanner) -> None:
    found = scanner.files({f"notes/{KEY}.txt": b"nothing here\n"})
    assert [each.kind for each in found] == ["a secret in its name"]
    assert KEY not in found[0].told()


def test_what_people_write_and_what_chance_makes_is_let_through(scanner: Scanner) -> None:
    pages = {f"{each.parent.name}/{each.name}": each.read_bytes() for each in (CHECKOUT / "examples").rglob("*.*")
             if each.is_file() and each.suffix in (".md", ".py", ".yaml", ".csv", ".bib")}  # fmt: skip
    assert len(pages) > 10
    given = {**pages, "weights.safetensors": os.urandom(2 << 20), "clean.zip": _zip(data=b"nothing\n" * 100)}
    assert scanner.files(given) == ()


def test_prose_about_keys_and_programs_that_pass_them_on_are_let_through(scanner: Scanner) -> None:
    assert scanner.files({"words.md": PLAIN.encode(), "words.py": PLAIN.encode()}) == ()


def test_a_digest_is_let_through_only_where_the_lab_made_it(scanner: Scanner) -> None:
    digest = "3a7bd3e2360a3d29eea436fcfb7e44c735d117c42d1c1835420b6b9942dd4f1b"
    rows = f'{{"sha256": "{digest}"}}\n'.encode()
    assert Scanner([], [digest]).files({"a.json": rows}) == ()
    assert scanner.files({"a.json": rows})


def test_without_the_scanner_the_phase_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "detect_secrets.__version__", None)
    with pytest.raises(Unavailable) as told:
        Scanner([])
    assert told.value.fix == "pip install 'labctl[publish]'"


@pytest.mark.parametrize("name", ["plain.txt", "renamed.png", "behind.py", "notebook.ipynb", "utf-16.txt", "a.zip"])
def test_a_planted_secret_never_leaves(tmp_path: Path, name: str) -> None:
    remote = a_remote(tmp_path)
    project = a_project(tmp_path, {"good.txt": b"good\n", name: HIDDEN[name]}, f"  to: git\n  remote: {remote}\n")
    with pytest.raises(LabError, match=name) as told:
        project.lists()
    assert KEY not in str(told.value)
    assert set(received(remote)) == {"main"}
    (run,) = (Path(project.root.layout.root) / "experiments/proj/runs").glob("RUN-*")
    scan = parse(Scan, (run / "artifacts" / SCAN).read_bytes(), SCAN)
    assert {each.file for each in scan.findings} == {name}
    assert not (run / "artifacts/release.json").exists()
    everything = b"".join(each.read_bytes() for each in run.rglob("*") if each.is_file())
    assert KEY.encode() not in everything


def test_a_secret_in_a_title_never_leaves(tmp_path: Path) -> None:
    remote = a_remote(tmp_path)
    project = a_project(
        tmp_path, {"good.txt": b"good\n"}, f"  to: git\n  remote: {remote}\n", title=f"What {KEY} opens"
    )
    with pytest.raises(LabError, match=r"README.md:\d+") as told:
        project.lists()
    assert KEY not in str(told.value)


@pytest.mark.parametrize(
    "path",
    ["../a", "/a", "a//b", "a/./b", "a\\b", "a\nb", "a\u202eb", "C:a", ".git/config", "x/.GIT/config", ".env",
     ".env.local", "prod.env", "a.pem", "a.KEY", "id_rsa", "credentials.json", ".netrc", ".npmrc", ".tinker/a", "con",
     "a.", "a ", "e\u0301", ".gitattributes", ".gitmodules", "a" * 300, "secrets.yaml", "x/.ssh/config", ""],
)  # fmt: skip
def test_a_name_that_leads_out_or_keeps_keys_is_in_no_release(path: str) -> None:
    assert names.refused(path)


@pytest.mark.parametrize("pair", [("a", "A"), ("a", "a/b"), ("Ä", "ä"), ("a", "a")])
def test_two_names_that_are_one_file_somewhere_are_refused(pair: tuple[str, str]) -> None:
    assert list(names.problems(pair))


@pytest.mark.parametrize("path", ["a", "README.md", "src/key_value.py", "tokenizer.json", ".gitignore", "a b.txt"])
def test_an_ordinary_name_is_let_through(path: str) -> None:
    assert not names.refused(path)


def test_no_link_is_followed_anywhere_below_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/file").write_bytes(b"x")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "a/link").symlink_to("file")
    os.link(tmp_path / "a/file", tmp_path / "second")
    os.mkfifo(tmp_path / "pipe")
    for name in ("b/file", "a/link", "a/file", "pipe", "a", "a/../a/file", "nothing"):
        with pytest.raises((LabError, NotFound)):
            bytes_of.plain(str(tmp_path), name)
    (tmp_path / "second").unlink()
    assert bytes_of.plain(str(tmp_path), "a/file") == b"x"
    with pytest.raises(LabError, match="larger"):
        bytes_of.plain(str(tmp_path), "a/file", 0)


def test_a_line_that_comes_again_is_told_wherever_it_stands() -> None:
    loose = "password = letmeinplease"  # a secret in a file of settings; in others it would stand in quotes
    found = Scanner([]).files({"a.txt": f"{LINE}x\n{LINE}".encode(), "b.txt": LINE.encode(), "c.txt": loose.encode(),
                               "c.ini": loose.encode()})  # fmt: skip
    assert {(each.file, each.line) for each in found} == {("a.txt", 1), ("a.txt", 3), ("b.txt", 1), ("c.ini", 1)}
