"""What is packed in a file: the members of archives, and streams wherever one begins.

What begins as something packed and cannot be unpacked here is `Shut`. What has no sign at its beginning (a deflated
stream in the middle of other bytes that nothing announces) is not seen.
"""

from __future__ import annotations

import bz2
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING

from lab.research.release.pieces import Shut, Text, Unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_UNPACKED = 256 << 20
_MOST_MEMBERS = 5_000
_PARTS_OF_ZIP = (b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06")  # one of them alone comes about by chance
_MOST_OF_STREAM = 64 << 20
_FED = 4_096
_TOO_MUCH = "it unpacks to more than can be looked at"
# Only at the beginning of a file: too short, or too much a word, to mean anything elsewhere.
_SHUT = {
    b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4", b"\x02\x21\x4c\x18": "lz4", b"LZIP": "lzip",
    b"\x1f\x9d": "compress", b"\x1f\xa0": "compress", b"MSCF": "cab", b"!<arch>\n": "ar", b"070701": "cpio",
    b"age-encryption.org": "age", b"Salted__": "an encrypted file", b"PAR1": "parquet", b"PARE": "parquet",
    b"ARROW1": "arrow", b"FEA1": "feather", b"ORC": "orc", b"Obj\x01": "avro", b"\xff\x06\x00\x00sNaPpY": "snappy",
}  # fmt: skip
# Long enough to be no chance, wherever they stand. Of zstd and lz4 also what the next bytes can be.
_SHUT_ANYWHERE = re.compile(
    rb"(?P<sevenzip>7z\xbc\xaf\x27\x1c)|(?P<rar>Rar!\x1a\x07[\x00\x01])|(?P<lzo>\x89LZO\x00\r\n\x1a\n)"
    rb"|(?P<pgp>-----BEGIN PGP MESSAGE-----\r?\n)|(?P<age>-----BEGIN AGE ENCRYPTED FILE-----\r?\n)"
    rb"|(?P<lz4>\x04\x22\x4d\x18[\x40-\x7f][\x40\x50\x60\x70][\s\S])"
    rb"|(?P<zstd>\x28\xb5\x2f\xfd[\x00\x04\x20\x24\x40\x44\x60\x64\x80\x84\xa0\xa4\xc0\xc4\xe0\xe4])"
)
_STREAM = re.compile(rb"x[\x01\x5e\x9c\xda]|\x1f\x8b\x08")
_OTHER_STREAM = re.compile(
    rb"(?P<bzip2>BZh[1-9]1AY&SY)|(?P<xz>\xfd7zXZ\x00\x00[\x00\x01\x04\x0a])"
    rb"|(?P<lzma>\x5d\x00\x00[\x00-\xff][\x00-\x08](?:\xff{8}|[\x00-\xff]{4}\x00{4})\x00)"
)
_LOCAL = re.compile(rb"PK\x03\x04[\x00-\x3f]\x00[\x00-\xff]{2}(?:[\x00\x08\x09\x0c\x0e\x14\x5d-\x63]\x00)")
_SIGN = re.compile(
    b"|".join((_STREAM.pattern, rb"BZh", rb"\xfd7z", rb"\x5d\x00\x00", rb"PK\x03", _SHUT_ANYWHERE.pattern))
)
_NAME_AT, _EXTRA_AT, _HEADER = 26, 28, 30
_STORED, _DEFLATED = 0, 8
_SURE = 4  # bytes of a sign
_SHORTEST = 8  # of a stream that was written on purpose


def may_be(data: bytes) -> bool:
    """Whether anything packed may be in it, asked quickly of the thousands of things that were decoded."""
    if _SIGN.search(data) or data[257:262] == b"ustar" or data.startswith(tuple(_SHUT)):
        return True
    try:
        return len(zlib.decompressobj(wbits=-zlib.MAX_WBITS).decompress(data, _FED)) >= _SHORTEST
    except zlib.error:
        return False


def shut(data: bytes, *, is_decoded: bool = False) -> Iterator[Shut]:
    """What cannot be looked into, by how it begins. In what was decoded a short sign is chance."""
    shortest = _SURE if is_decoded else 0
    word = next((word for magic, word in _SHUT.items() if data.startswith(magic) and len(magic) >= shortest), "")
    if word:
        fix = "; give it as CSV" if word in ("parquet", "arrow", "feather", "orc", "avro") else ""
        yield Shut(what=f"{word}: cannot be looked into{fix}")
    for match in _SHUT_ANYWHERE.finditer(data):
        kind = str(match.lastgroup).replace("sevenzip", "7z")
        if match.start() == 0 and kind == word:
            continue
        if kind != "zstd" or _is_zstd(data, match.start()):
            yield Shut(what=f"{kind}: cannot be looked into", within=f"at byte {match.start():,}")
            return


def _is_zstd(data: bytes, start: int) -> bool:
    """Whether the header of a first block follows: four bytes alone come about in a gigabyte of weights."""
    about = data[start + 4]
    is_single = bool(about & 0x20)
    at = start + 5 + (0 if is_single else 1) + (0, 1, 2, 4)[about & 3] + (int(is_single), 2, 4, 8)[about >> 6]
    header = int.from_bytes(data[at : at + 3], "little")
    return len(data) >= at + 3 and (header >> 1) & 3 != 3 and 0 < header >> 3 <= 1 << 17  # noqa: PLR2004  # reserved


def streams(data: bytes, most: int = MOST_UNPACKED) -> Iterator[Unpacked | Shut]:
    """Streams wherever one begins: pages of a PDF, remarks of a PNG, something packed behind a picture."""
    left, whole = most, memoryview(data)
    for start, how in _begins(data):
        unpacked, is_whole = _inflated(whole[start:], how, min(left, _MOST_OF_STREAM))
        left -= len(unpacked)
        if left <= 0 or len(unpacked) >= _MOST_OF_STREAM:
            yield Shut(what=_TOO_MUCH)
            return
        if how == "xz" and not is_whole:
            yield Shut(what="xz cannot be looked into", within=f"at byte {start:,}")
        if len(unpacked) >= _SHORTEST:
            yield Unpacked(data=unpacked, within=f"a stream at byte {start:,}")


def _begins(data: bytes) -> Iterator[tuple[int, str]]:
    """Where a stream may begin, and how it is packed. An archive as a whole has members, and is not here."""
    for match in _STREAM.finditer(data):
        if match.start() or not match[0].startswith(b"\x1f"):
            yield match.start(), "deflate"
    for match in _OTHER_STREAM.finditer(data):
        if match.start():
            yield match.start(), str(match.lastgroup)
    listed = _listed(data)
    for match in _LOCAL.finditer(data):
        if data[match.start() + 8] == _DEFLATED and match.start() not in listed:
            named, more = (_number(data, match.start() + at) for at in (_NAME_AT, _EXTRA_AT))
            yield match.start() + _HEADER + named + more, "raw"
    if not kind(data):
        yield 0, "raw"  # nothing announces it, and it may be the whole file


def _listed(data: bytes) -> set[int]:
    """Where the members of a zip file begin that its directory names: those are looked into as members."""
    if kind(data) != "zip":
        return set()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            return {each.header_offset for each in opened.infolist()}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return set()


def unlisted(data: bytes) -> Iterator[Shut]:
    """Members of a zip file that cannot be unpacked at the place where they begin, whatever its directory says."""
    for match in _LOCAL.finditer(data):
        method, flags = data[match.start() + 8], data[match.start() + 6]
        if flags & 1:
            yield Shut(what="a member of a zip file has a password", within=f"at byte {match.start():,}")
        elif method not in (_STORED, _DEFLATED):
            yield Shut(what="a member of a zip file cannot be looked into", within=f"at byte {match.start():,}")


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")


def _inflated(packed: memoryview, how: str, most: int) -> tuple[bytes, bool]:
    """What is packed there, as far as it goes, and whether it came to its end."""
    if how in ("deflate", "raw"):
        return _deflated(packed, -zlib.MAX_WBITS if how == "raw" else zlib.MAX_WBITS | 32, most)
    unpacking = bz2.BZ2Decompressor() if how == "bzip2" else lzma.LZMADecompressor()
    found: list[bytes] = []
    size = 0
    for start in range(0, len(packed), _FED):
        try:
            piece = unpacking.decompress(packed[start : start + _FED], most - size)
            while piece or not unpacking.needs_input:
                found.append(piece)
                size += len(piece)
                if size >= most or unpacking.eof:
                    break
                piece = unpacking.decompress(b"", most - size)
        except (lzma.LZMAError, OSError, ValueError, EOFError):
            break
        if unpacking.eof or size >= most:
            break
    return b"".join(found), unpacking.eof


def _deflated(packed: memoryview, bits: int, most: int) -> tuple[bytes, bool]:
    """A little at a time: zlib copies whatever it did not use."""
    unpacking = zlib.decompressobj(wbits=bits)
    found: list[bytes] = []
    size = 0
    for start in range(0, len(packed), _FED):
        given: bytes | memoryview = packed[start : start + _FED]
        while given and size < most:
            try:
                piece = unpacking.decompress(given, most - size)
            except zlib.error:
                return b"".join(found), False
            found.append(piece)
            size += len(piece)
            given = unpacking.unconsumed_tail
        if unpacking.eof or size >= most:
            break
    return b"".join(found), unpacking.eof


def kind(data: bytes) -> str:
    """Of an archive; empty where it is none."""
    if all(part in data for part in _PARTS_OF_ZIP) or data.startswith(_PARTS_OF_ZIP[0]):
        return "zip"
    starts = {b"\x1f\x8b\x08": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x5d\x00\x00": "lzma"}
    found = next((word for magic, word in starts.items() if data.startswith(magic)), "")
    return found or ("tar" if data[257:262] == b"ustar" else "")


def members(data: bytes, *, is_member: bool) -> Iterator[Text | Shut | Unpacked]:
    """The files in an archive. An archive in an archive is shut: nobody needs one in a release."""
    word = kind(data)
    if not word:
        return
    if is_member:
        yield Shut(what=f"{word} within an archive: only one level is looked into")
        return
    try:
        yield from _members(data, word)
    except (zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, OSError, EOFError, ValueError) as error:
        yield Shut(what=f"{word} cannot be looked into: {type(error).__name__}")
    except (RuntimeError, NotImplementedError):  # a password, or a method that Python does not know
        yield Shut(what=f"{word} cannot be looked into")


def _members(data: bytes, word: str) -> Iterator[Text | Shut | Unpacked]:
    if word in ("zip", "tar"):
        yield from _zip(data) if word == "zip" else _tar(data)
        return
    inner = _expanded(data, word)
    if inner is None:
        yield Shut(what=_TOO_MUCH)
    elif inner[257:262] == b"ustar":
        yield from _tar(inner)
    else:
        yield Unpacked(data=inner, within=f"within the {word}", is_member=True)


def _expanded(data: bytes, word: str) -> bytes | None:
    """What was packed; None when it is too much, so that a small file cannot fill the memory."""
    if word == "gzip":
        import gzip  # noqa: PLC0415  # the rarest of all

        with gzip.open(io.BytesIO(data)) as opened:
            found = opened.read(MOST_UNPACKED + 1)
    else:
        unpacking = bz2.BZ2Decompressor() if word == "bzip2" else lzma.LZMADecompressor()
        found = unpacking.decompress(data, MOST_UNPACKED + 1)
        if unpacking.unused_data:
            message = "something follows"
            raise ValueError(message)
        if not unpacking.eof and len(found) <= MOST_UNPACKED:
            message = "it ends in its middle"
            raise ValueError(message)
    return None if len(found) > MOST_UNPACKED else found


def _zip(data: bytes) -> Iterator[Text | Shut | Unpacked]:
    left = MOST_UNPACKED
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        yield Text(text=opened.comment.decode("latin-1"), within="the remark of the archive")
        for number, member in enumerate(opened.infolist(), 1):
            yield Text(
                text=f"{member.filename}\n{member.comment.decode('latin-1')}", within=f"the name of member {number}"
            )
            left -= member.file_size
            if number > _MOST_MEMBERS or left < 0:
                yield Shut(what=_TOO_MUCH)
                return
            with opened.open(member) as file:
                yield Unpacked(data=file.read(member.file_size + 1), within=f"member {number}", is_member=True)


def _tar(data: bytes) -> Iterator[Text | Shut | Unpacked]:
    left = MOST_UNPACKED
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as opened:
        for number, member in enumerate(opened, 1):
            yield Text(text=f"{member.name}\n{member.linkname}\n{member.uname}", within=f"the name of member {number}")
            left -= member.size
            if number > _MOST_MEMBERS or left < 0:
                yield Shut(what=_TOO_MUCH)
                return
            file = opened.extractfile(member) if member.isfile() else None
            if file is not None:
                yield Unpacked(data=file.read(), within=f"member {number}", is_member=True)
