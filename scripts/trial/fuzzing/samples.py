"""A record of every kind that the lab writes, made from nothing but what its fields say they are."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import msgspec
from msgspec import inspect as shapes

from lab.core.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

AT = "2026-11-30T05:33:00.000000Z"
_WORDS = {
    "experiment": "lr-sweep", "run_id": "RUN-20261130-053300-000000-a", "outcome": "success", "kind": "run", "ts": AT,
    "proposal_id": "PROPOSAL-lr-sweep-1", "dispatch_id": "DISPATCH-20261130-053300-000000-lr-sweep", "id": "lr-sweep",
    "verdict": "keep", "status": "success", "metric_direction": "minimize", "direction": "minimize",
}  # fmt: skip
# Where records are declared. A test holds that there is no other.
MODULES = (
    "lab.core.chunk", "lab.core.claim", "lab.core.decided", "lab.core.event", "lab.core.job", "lab.core.launch",
    "lab.core.manifest", "lab.core.notice", "lab.core.order", "lab.core.package", "lab.core.proposal", "lab.core.seal",
    "lab.engines.kept", "lab.research.built", "lab.research.decision", "lab.research.evaluated",
    "lab.research.ideas.summary", "lab.research.literature.caching", "lab.research.paper.claim",
    "lab.research.paper.told", "lab.research.release.manifest", "lab.research.release.scanning", "lab.research.source",
    "lab.research.studies.attempts", "lab.research.studies.outside", "lab.research.trained",
    "lab.research.work.digests", "lab.research.work.worked", "lab.scheduler.control.asking",
    "lab.scheduler.heartbeat", "lab.scheduler.loop.trying",
    "lab.scheduler.search.asking.asks", "lab.store.archives", "lab.store.silences", "lab.store.strays",
    "lab.tinker.local.checkpoints", "lab.tinker.local.runs", "lab.tinker.local.sessions",
)  # fmt: skip


def kinds() -> tuple[type[Record], ...]:
    """Every record, in the order of their names."""
    for each in MODULES:
        import_module(each)
    return tuple(sorted(_below(Record), key=lambda kind: (kind.__module__, kind.__name__)))


def sample(kind: type[msgspec.Struct]) -> object:
    """The plain values of one, every field of it filled."""
    return _of(shapes.type_info(kind), "", 0)


def _below(kind: type[Record]) -> Iterator[type[Record]]:
    for each in kind.__subclasses__():
        if each.__module__.startswith("lab."):
            yield each
            yield from _below(each)


def _of(shape: shapes.Type, name: str, depth: int) -> object:  # noqa: C901, PLR0911, PLR0912  # a case for each kind
    match shape:
        case shapes.StructType():
            return {
                field.encode_name: _of(field.type, field.name, depth + 1)
                for field in shape.fields
                if field.required or depth < 3  # noqa: PLR2004  # records in records in records are enough
            }
        case shapes.Metadata():
            return _of(shape.type, name, depth)
        case shapes.BytesType():
            return "YQ=="
        case shapes.UnionType():
            return _of(next(each for each in shape.types if not isinstance(each, shapes.NoneType)), name, depth)
        case shapes.LiteralType():
            return shape.values[0]
        case shapes.BoolType():
            return True
        case shapes.IntType():
            return 1 if shape.ge is None else int(shape.ge)
        case shapes.FloatType():
            return 0.5 if shape.gt is None else shape.gt + 1
        case shapes.StrType():
            return _WORDS.get(name, AT if name.endswith("_at") else "lr-sweep")
        case shapes.DictType():
            return {} if depth > 4 else {"a": _of(shape.value_type, "", depth + 1)}  # noqa: PLR2004  # as above
        case shapes.VarTupleType() | shapes.ListType():
            return [] if depth > 4 else [_of(shape.item_type, "", depth + 1)]  # noqa: PLR2004  # as above
        case shapes.TupleType():
            return [_of(each, "", depth + 1) for each in shape.item_types]
        case _:
            return None
