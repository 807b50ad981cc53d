"""Prove a paper: compute every number of it again, from the sealed runs that it names.

`labctl paper verify` takes a project, whose newest paper it looks at, the run that wrote one, or a folder (or its
paper.md) that `labctl research paper` wrote out. It prints each claim with the run, the file and the digest that it
rests on, and what is not as it was proved: a number edited by hand, a row of claims.jsonl, a bundle, a run that is
gone, a number that no run stands for, a reference that is none of the sources. Of every run behind a claim its
params.json, metrics.json, RESULT.md and manifest.json are held against its seal too, and so is what lies in evidence/
beside the paper; `labctl verify` looks at all files of all runs. Nothing is written, and no network is asked. Without a
lab (`--data-root`) the files in evidence/ are used, and what only a lab could tell is said.

Exit code 9 when anything drifted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import DONE, DRIFT, UNAVAILABLE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.research.paper.found import Paper
    from lab.research.paper.verifying import Verified
    from lab.store.root import Root

EXAMPLE = """labctl paper verify lines
labctl paper verify lines --json
labctl paper verify ./exported/paper.md --drift"""
_DIGEST, _TEXT, _LINE = 12, 60, 400


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which one."""
    parser.add_argument("action", choices=("verify",), help="what to do")
    parser.add_argument("target", metavar="TARGET", help="a project, a run that wrote a paper, or an exported folder")
    parser.add_argument("--drift", action="store_true", help="print only what is not as it was proved")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Find it, compute it, tell."""
    from msgspec import to_builtins

    from lab.research.paper import verifying

    root, paper = _found(args.target, session)
    told = verifying.verify(root, paper)
    code = DRIFT if told.drifts else UNAVAILABLE if told.is_blind else DONE
    data = {**to_builtins(told), "holds": code == DONE}
    warnings = [f"not looked at: {each}" for each in told.unchecked]
    return Answer(data, _lines(told, drift_only=args.drift), warnings=[*warnings, *told.remarks], exit_code=code)


def _found(target: str, session: Session) -> tuple[Root | None, Paper]:
    """The paper, and the lab that it is held against; None where there is none here and the paper lies apart."""
    from lab.research.paper import found
    from lab.store import root as store

    if found.is_folder(target):
        return (session.root() if store.has_traces(session.path) else None), found.in_folder(target)
    root = session.root()
    return root, found.of_run(root, target) if target.startswith("RUN-") else found.newest(root, target)


def _lines(told: Verified, *, drift_only: bool) -> Iterator[str]:
    from lab.projections import text

    drifted = {each.claim for each in told.drifts}
    for each in () if drift_only else told.claims:
        rests = ", ".join(f"{p.run or 'the paper'} {p.file}{p.pointer} {p.sha256[:_DIGEST]}" for p in each.of)
        state = "DRIFT" if each.n in drifted else "computed" if not told.is_blind else "unseen"
        said = text.line(each.text, _TEXT)
        where, from_ = f"{each.line}:{each.column}", text.line(each.expression, _TEXT)
        yield f"{each.n}\t{where}\t{said}\t{from_}\t{text.line(rests, _LINE)}\t{state}"
    for drift in told.drifts:
        yield f"drift\t{text.line(drift.where, _LINE)}\t{text.line(drift.what, _LINE)}"
        if drift.there or drift.should:
            yield f"\tthere: {text.line(drift.there, _LINE) or '-'}\tshould be: {text.line(drift.should, _LINE) or '-'}"
    if not told.is_blind:
        yield f"looked at: {text.count(told.files, 'file')} of {text.count(told.runs, 'run')}, against their seals"
    count = text.count(len(told.claims), "claim")
    if told.drifts:
        yield f"{text.count(len(told.drifts), 'drift')} in {count}: the paper does not say what was measured"
    elif told.is_blind:
        yield f"{count} fit their text; the runs could not be looked at"
    else:
        yield f"all {count} hold"
