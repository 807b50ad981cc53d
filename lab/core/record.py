"""How a record becomes bytes and comes back.

`parse(kind, encode(record)) == record`, and any other bytes raise `Corrupt` with the file's name. A record that would
not come back, such as one with True for a whole number, becomes no bytes: it is refused. A field that a newer
labctl added is ignored (records are never rewritten, so it is also kept); a newer *format* is refused.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from lab.core.errors import BadInput, Corrupt

FORMAT = 1


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What every file of ours starts with.

    Records that come by the hundred thousand say `gc=False`: they hold no cycles, and the collector's walks over them
    were a sixth of a rebuild.
    """

    format: int = FORMAT


class _Peek(msgspec.Struct):
    format: int = 0


R = TypeVar("R", bound=Record)
_decoders: dict[type[Record], msgspec.json.Decoder[Record]] = {}


def encode(record: Record) -> bytes:
    """One line, keys sorted."""
    return _readable(record) + b"\n"


def page(record: Record) -> bytes:
    """The same record laid out for people."""
    return msgspec.json.format(_readable(record), indent=1) + b"\n"


def _readable(record: Record) -> bytes:
    """Its bytes, or `BadInput` where nobody could read them: 10 to 20 us against a run that is sealed and lost."""
    kind = type(record)
    try:
        data = msgspec.json.encode(record, order="sorted")
        _decoder(kind).decode(data)
    except (TypeError, ValueError, OverflowError, RecursionError) as unfit:  # of those are msgspec's and UTF-8's
        name = kind.__name__.lower()
        raise BadInput(f"no {name} can say so: {unfit}", fix="it is a fault of whoever gave it; report it") from unfit
    return data


def _decoder(kind: type[Record]) -> msgspec.json.Decoder[Record]:
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    return decoder


def parse(kind: type[R], data: bytes, where: str) -> R:
    """The record in these bytes, or `Corrupt` naming the file."""
    try:
        record = _decoder(kind).decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _refusal(kind, data, where, error) from error
    if record.format != FORMAT:
        raise _refusal(kind, data, where, None)
    return record  # type: ignore[return-value]


def _refusal(kind: type[Record], data: bytes, where: str, error: Exception | None) -> Corrupt:
    """Newer than us, or broken: the reader is told which."""
    name = kind.__name__.lower()
    try:
        found = msgspec.json.decode(data, type=_Peek).format
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        found = 0
    if found > FORMAT:
        refusal = Corrupt(
            f"this {name} has format {found}; this labctl knows format {FORMAT}",
            where=where,
            fix="upgrade labctl: pip install --upgrade labctl",
        )
        refusal.newer = True
        return refusal
    if not data.strip(b"\0 \n"):
        why = "the file is empty" if not data else "the file holds only blanks"
    else:
        why = str(error) if error else f"format {found} was never written"
    return Corrupt(
        f"not {'an' if name[0] in 'aeiou' else 'a'} {name}: {why}",
        where=where,
        fix="labctl verify names all damage; labctl recover sets it aside",
    )
