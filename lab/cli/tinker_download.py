"""`labctl tinker download`: the weights of a training as files, or as a whole model."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.cli import tinker_words as words
from lab.cli.terminal import Answer
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse
    from contextlib import AbstractContextManager

    from lab.cli.session import Session
    from lab.scheduler.results.saved import Files
    from lab.store.root import Root

SHARED = ("tier", "base_url", "limit", "yes")
TARGET = "an experiment, a run or a tinker:// path"
_RUN, _SCHEME = "RUN-", "tinker:"
_MERGED = "-merged"


def arguments(parser: argparse._ArgumentGroup) -> None:
    """Where to, and as what."""
    parser.add_argument(
        "-o",
        "--output",
        default="",
        metavar="DIR",
        help="download: a folder that is not there yet (else called after the experiment, the run or the path)",
    )
    parser.add_argument(
        "--merge",
        default="",
        metavar="BASE",
        help="download: the folder of the base model; makes DIR-merged too, a whole model with the weights in it",
    )


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Find the path, look whether there is room, fetch, and publish the folder whole."""
    from lab.tinker import folders

    root = session.root(existing=not args.target.startswith(_SCHEME))
    wanted = _wanted(root, args)
    place = os.path.abspath(os.path.expanduser(args.output or _called(args.target, wanted.path)))
    merged = f"{place}{_MERGED}" if args.merge else ""
    if merged:
        _look_at_merge(args.merge, merged)
    with folders.whole(place) as draft:  # refuses before anything is asked
        if wanted.is_state:
            _agree(session, wanted, yes=args.yes)
        with _files(root, wanted, args.limit, session) as path:
            sizes = _fetched(session, root, path, wanted.url, draft, args.limit)
        if merged:
            from lab.tinker import merging

            session.terminal.narrate(f"merging it into {args.merge}")
            merging.merge(args.merge, draft, merged)
    return _told(wanted, place, merged, sizes)


def _agree(session: Session, wanted: Files, *, yes: bool) -> None:
    """A session is begun for it. It uses no token; what it costs is not known here."""
    from lab.core.tuning import is_loopback

    question = f"{wanted.path} is a state. Begin a session at {wanted.url} that makes files of it?"
    if not session.terminal.agrees(question, yes=yes or is_loopback(wanted.url)):
        fix = "say y, or give --yes: a session uses no token, and may cost something all the same"
        raise BadInput("nothing was downloaded: nobody agreed", fix=fix)


def _files(root: Root, wanted: Files, limit_s: float, session: Session) -> AbstractContextManager[str]:
    """The path of files: its own, or of those that are made of it for as long as they are fetched."""
    from contextlib import nullcontext

    from lab.tinker import exporting

    if not wanted.is_state:
        return nullcontext(wanted.path)
    session.terminal.narrate(f"making files of {wanted.path}")
    return exporting.exported(wanted.path, wanted.url, root.world.environ, limit_s=limit_s)


def _wanted(root: Root, args: argparse.Namespace) -> Files:
    from lab.scheduler.results import saved
    from lab.tinker import paths

    if args.target.startswith(_SCHEME):
        found = paths.parse(args.target)
        if found.kind == paths.SAMPLER:
            fix = f"name {paths.EXTERNAL} or {paths.WEIGHTS} of the same run: labctl tinker checkpoints ID"
            raise BadInput(f"{found.path} can be sampled from, and holds no files", fix=fix)
        return saved.Files(path=found.path, url=words.url(args.base_url, root.world.environ))
    if args.base_url:
        raise BadInput("--base-url is for a path; an experiment knows its own service", fix="leave it out")
    if args.target.startswith(_RUN):
        return saved.of_run(root, args.target)
    return saved.files(root, args.target, args.tier)


def _called(target: str, path: str) -> str:
    from lab.tinker import paths

    if not target.startswith(_SCHEME):
        return f"{target}-adapter"
    found = paths.parse(path)
    return f"{found.run}-{found.name}".replace(":", "-")


def _look_at_merge(base: str, merged: str) -> None:
    """Whatever can be known before hundreds of megabytes are fetched."""
    words.require_extra("tinker-local", "torch", "safetensors", what="merging")
    if not os.path.isfile(f"{base}/config.json"):
        raise BadInput("this is no folder of a model: it has no config.json", where=base, fix="--merge FOLDER")
    if os.path.lexists(merged):
        raise BadInput("something is already there", where=merged, fix="name another folder: -o DIR")


def _fetched(session: Session, root: Root, path: str, url: str, draft: str, limit_s: float) -> dict[str, int]:
    """Every file, a piece at a time; how many bytes each has."""
    from lab.tinker import stored

    session.terminal.narrate(f"asking {url} for {path}")
    found = stored.addresses(path, url, root.world.environ, limit_s=limit_s)
    for name, address in found.items():
        place = f"{draft}/{name}"
        root.files.folder(os.path.dirname(place))
        told = session.terminal.progress(os.path.basename(place))
        root.files.create(place, stored.pieces(address, limit_s=limit_s, told=told), durable=False)
    return {name: os.path.getsize(f"{draft}/{name}") for name in found}


def _told(wanted: Files, place: str, merged: str, sizes: dict[str, int]) -> Answer:
    data: dict[str, object] = {
        "path": wanted.path,
        "url": wanted.url,
        "experiment": wanted.experiment,
        "run": wanted.run_id,
        "base_model": wanted.base_model,
        "next_step": wanted.next_step,
        "folder": place,
        "merged": merged,
        "files": sizes,
    }
    steps = f" ({wanted.next_step} steps)" if wanted.next_step else ""
    said = [f"downloaded: {wanted.path}{steps} into {place}"]
    said += [f"  {name}  {words.size(count)}" for name, count in sizes.items()]
    then = []
    if merged:
        said.append(f"merged: {merged}")
        then.append(f"labctl create lm-eval, and name {merged} as its model: it is evaluated then")
    return Answer(data, said, then=then)
