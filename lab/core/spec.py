"""A SPEC as the lab has it: from a mapping, and to and from its record. The fields are in `core.spec_fields`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import Corrupt
from lab.core.spec_fields import Override, Spec, StopConditions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.spec_text import Lines

__all__ = ["TRY_AGAIN", "Override", "Spec", "StopConditions", "decode", "encode", "parse"]
TRY_AGAIN = "nothing was written; mend these and try again"


def parse(
    mapping: Mapping[str, object], lines: Lines | None = None, where: str = "SPEC.yaml", *, fix: str = TRY_AGAIN
) -> Spec:
    """Return the SPEC that `mapping` writes, or refuse it with everything that is wrong, each with its line.

    `fix` says what to do once these are mended: who reads the SPEC of an experiment was about to write nothing.
    """
    from lab.core import spec_reading  # noqa: PLC0415  # 2 ms of rules: a SPEC that was read before has its record

    return spec_reading.parse(mapping, lines, where, fix)


def encode(spec: Spec) -> bytes:
    """Return the canonical JSON of a SPEC: one spelling, whatever the file looked like."""
    return msgspec.json.encode(spec, order="sorted")


def decode(data: bytes) -> Spec:
    """Return the SPEC that `encode` wrote. Bytes of another version of labctl are `Corrupt`: parse the file again."""
    try:
        return msgspec.json.decode(data, type=Spec)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Corrupt(f"not an encoded SPEC: {error}", fix="parse SPEC.yaml again") from error
