"""`labctl tinker checkpoints`: what an experiment saved at its service, and what the service has beside that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli import tinker_words as words
from lab.cli.columns import columns
from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from lab.cli.session import Session
    from lab.scheduler.results.saved import Saved
    from lab.tinker.stored import Stored

SHARED = ("tier", "limit")
TARGET = "an experiment"
_DASH = "-"


def arguments(parser: argparse._ArgumentGroup) -> None:
    """Whose word is asked for."""
    parser.add_argument(
        "--server",
        action="store_true",
        help="checkpoints: ask the service too: what is gone there, and what it has that nobody here knows of",
    )


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """List what the seals tell of; with --server beside what the service lists."""
    from msgspec import to_builtins

    from lab.scheduler.results import chained, saved

    root = session.root()
    known, missing = saved.of(root, args.target, args.tier)
    spec = chained.require(root, args.target)
    data: dict[str, object] = {"experiment": args.target, "saved": to_builtins(known)}
    if not args.server:
        return Answer(data, _ours(known, None), warnings=missing)

    from lab.core.tuning import Tuning
    from lab.tinker import stored

    tuning = spec.tinker or Tuning()
    session.terminal.narrate(f"asking {tuning.url}")
    there = {each.path: each for each in stored.listed(tuning.url, root.world.environ, limit_s=args.limit)}
    others = saved.in_lab(root)
    orphans = [each for path, each in there.items() if path not in others]
    gone = [each.path for each in known if each.path not in there]
    data |= {"url": tuning.url, "gone": gone, "orphans": to_builtins(orphans)}
    said = [*_ours(known, there), *_orphans(orphans)]
    return Answer(data, said, warnings=missing)


def _ours(known: Sequence[Saved], there: dict[str, Stored] | None) -> Iterator[str]:
    if not known:
        yield "nothing was saved yet"
        return
    head = ["steps", "use", "tier", "run", "path", *(["size", "kept until"] if there is not None else []), ""]
    rows = [
        [
            str(each.next_step),
            each.use,
            each.tier,
            each.run_id,
            each.path,
            *(_there(there.get(each.path)) if there is not None else ()),
            _note(each, there),
        ]
        for each in known
    ]
    yield from columns(head, rows, left=set(range(1, len(head))))


def _note(each: Saved, there: dict[str, Stored] | None) -> str:
    if there is not None and each.path not in there:
        return "not there any more"
    return "the end" if each.final else "" if each.in_chain else "not in the chain"


def _there(found: Stored | None) -> tuple[str, str]:
    if found is None:
        return _DASH, _DASH
    return _size(found.bytes), found.expires_at or "no end"


def _size(count: int | None) -> str:
    return _DASH if count is None else words.size(count)


def _orphans(orphans: Sequence[Stored]) -> Iterator[str]:
    if not orphans:
        return
    yield ""
    yield "there, and of no training of this lab (another lab's, a person's, or of a run that was lost):"
    head = ("made", "kind", "size", "kept until", "path")
    rows = [(each.at, each.kind, _size(each.bytes), each.expires_at or "no end", each.path) for each in orphans]
    yield from columns(head, rows, left={0, 1, 3, 4})
