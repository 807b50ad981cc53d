"""A paper with everything that it rests on, as a folder that can be sent around and verified where there is no lab."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import layout
from lab.core.errors import BadInput, Corrupt, LabError
from lab.core.record import parse
from lab.research.paper import claim, evidence, proving, rendering, summed, told
from lab.scheduler.results import export

if TYPE_CHECKING:
    from lab.research.paper.found import Paper
    from lab.store.root import Root

MOST_BYTES = 256 << 20


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """`runs` are those whose files lie in evidence/."""

    path: str
    run_id: str
    files: int
    bytes: int
    runs: int
    claims: int


def write(root: Root, paper: Paper, output: str, *, with_latex: bool = True) -> Exported:
    """Make the folder, whole or not at all. `BadInput` where something is there already."""
    place = os.path.realpath(os.path.abspath(os.path.expanduser(output)))
    export.require_outside(place)
    contents, claims, runs = contents_of(root, paper, with_latex=with_latex)
    size = sum(map(len, contents.values()))
    if size > MOST_BYTES:
        raise BadInput(f"the paper and its evidence are {size >> 20} MB; at most {MOST_BYTES >> 20} are written out")
    try:
        root.files.create_folder(place, contents)
    except FileExistsError:
        raise BadInput("something is already there", where=place, fix="name a folder that does not exist") from None
    return Exported(path=place, run_id=paper.run_id, files=len(contents), bytes=size, runs=runs, claims=claims)


def contents_of(root: Root, paper: Paper, *, with_latex: bool) -> tuple[dict[str, bytes], int, int]:
    """The files of the paper as they were sealed; of each run what it was given and gave, and what the paper quotes."""
    bundles = evidence.InLab(root)
    own: dict[str, bytes] = {}
    for name in sorted(paper.seal.files if paper.seal is not None else {}):
        inside = name.removeprefix(f"{layout.ARTIFACTS}/")
        if inside != name and (with_latex or inside != claim.LATEX):
            own[inside] = bundles.read(paper.run_id, name)
    if any(name.startswith(f"{evidence.FOLDER}/") for name in own):
        raise Corrupt(f"the paper of {paper.run_id} has an {evidence.FOLDER}/ of its own", where=paper.folder)
    sources = evidence.Evidence(bundles, {told.FILE: own.get(told.FILE, b"")})
    words = parse(told.Told, own.get(told.FILE, b""), told.FILE)
    made = rendering.render(own.get(claim.SOURCE, b"").decode(errors="replace"), words, sources)
    wanted = {pair for pair in sources.used if pair[0]}
    named = {run for each in words.rounds for run in (each.training, each.evaluation, each.iteration) if run}
    wanted |= {(run, layout.PARAMS) for run in (*words.phases.values(), *named)}
    for run, file in tuple(wanted):
        document, _ = sources.document(run, file)
        wanted |= {(made.run_id, layout.SEAL) for made in summed.made_of(document)}
    runs = {run for run, _ in wanted} | {paper.run_id}
    wanted |= {(run, file) for run in runs for file in _measured(bundles, run)}
    contents = dict(own)
    for run, file in sorted(wanted):
        contents[f"{evidence.FOLDER}/{run}/{file}"] = bundles.read(run, file)
    return contents, len(made.claims), len(runs)


def _measured(bundles: evidence.Bundles, run_id: str) -> list[str]:
    """Of each run its seal, and what it was given and gave, where they are at hand."""
    files = bundles.seal(run_id)[0].files
    small = [name for name in proving.MEASURED if name in files and files[name].size <= evidence.MOST_BYTES]
    if not bundles.path(run_id):  # an archive quotes a few
        small = [name for name in small if _is_quoted(bundles, run_id, name)]
    return [layout.SEAL, *small]


def _is_quoted(bundles: evidence.Bundles, run_id: str, name: str) -> bool:
    try:
        return bool(bundles.read(run_id, name))
    except LabError:
        return False
