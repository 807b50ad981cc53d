"""What a look into a file comes upon: words, something that is to be looked into further, or something shut."""

from __future__ import annotations

import msgspec


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """Words to look at. `within` says where in the file they are; `is_plain` where its lines are the file's own."""

    text: str
    within: str = ""
    is_plain: bool = False
    is_prose: bool = True  # written by somebody: else what happens to look like words in other bytes


class Shut(msgspec.Struct, frozen=True, kw_only=True):
    """Something that could not be looked into."""

    what: str
    within: str = ""


class Unpacked(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that were packed in others. `is_member` where they were a file in an archive."""

    data: bytes
    within: str
    is_member: bool = False


def joined(within: str, more: str) -> str:
    return f"{within}, {more}" if within else more
