"""Carry a research project from its question to its paper: phase after phase, each a sealed run.

`new` makes a project of what you bring: a folder that is yours, and an experiment. `check` says whether everything is
there that it needs, with the command that installs what is not. `run` goes on, up to the end, to a gate, or to where a
phase fails; `status` tells where it stands, `resume` goes on after a kill. `steer` tells it something. `approve` lets
it pass a gate, or approves a release by its hash. `paper` takes the paper with its evidence; `publish` shows what would
be sent. cron (`labctl run-once`) and `labctl burst` make the same runs.

`labctl research ACTION --help` tells of one action.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli import (
    actions,
    research_approve,
    research_check,
    research_new,
    research_paper,
    research_publish,
    research_resume,
    research_run,
    research_status,
    research_steer,
    research_work,
)
from lab.cli.parser import count

if TYPE_CHECKING:
    import argparse
    from types import ModuleType

    from lab.cli.session import Session
    from lab.cli.terminal import Answer

EXAMPLE = """labctl research check --mode A
labctl research new lines --mode A --topic 'When is a straight line enough?' --own library.bib --offline
labctl research new mine --mode D --hypothesis hypothesis.yaml --data rows.csv --study my-study --gate training
labctl research run lines
labctl research run lines --until evaluation
labctl research run lines --phase writing
labctl research status lines
labctl research steer lines 'small tables only'
labctl research steer lines --decide stop --why 'good enough'
labctl research approve lines
labctl research approve lines --release HASH
labctl research resume lines
labctl research paper lines -o lines-paper
labctl research publish lines
labctl research publish lines --send"""

WORK = "work"
# What follows `labctl research`. The last is for the lab: its runs start it.
ACTIONS: dict[str, ModuleType] = {
    "new": research_new,
    "check": research_check,
    "run": research_run,
    "status": research_status,
    "approve": research_approve,
    "steer": research_steer,
    "resume": research_resume,
    "paper": research_paper,
    "publish": research_publish,
    WORK: research_work,
}


class _Offered(tuple[str, ...]):
    """What people are offered. What runs start is taken, and not shown."""

    __slots__ = ()

    def __contains__(self, word: object) -> bool:
        return word in ACTIONS


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, with what. Flags that several take are made here, the others by whom they belong to."""
    offered = _Offered(each for each in ACTIONS if each != WORK)
    parser.add_argument("action", choices=offered, help="what to do")
    parser.add_argument(
        "target", nargs="?", default="", metavar="TARGET", help="the project: its name, which is its experiment's id"
    )
    parser.add_argument("text", nargs="?", default="", metavar="TEXT", help="steer: what it is told")
    parser.add_argument(
        "--mode", default="", metavar="M", help="new, check: A full, B hypothesis, C data, D given, E continue"
    )
    parser.add_argument("--dry-run", action="store_true", help="new: say what would be made, and make nothing")
    parser.add_argument("--until", default="", metavar="PHASE", help="run, resume: stop once this phase is done")
    parser.add_argument(
        "-n", "--runs-at-most", type=count, default=0, metavar="N", help="run, resume: at most so many phases"
    )
    parser.add_argument("--why", default="", metavar="TEXT", help="approve, steer --decide: why; it is written down")
    for name, module in ACTIONS.items():
        module.arguments(parser.add_argument_group(name))


def narrow(parser: argparse.ArgumentParser, action: str) -> None:
    """`labctl research ACTION --help`."""
    actions.narrow(parser, "research", ACTIONS, action)


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """One of them."""
    from lab.core.errors import BadInput, LabError

    actions.refuse_strangers("research", ACTIONS, arguments, args)
    if args.text and args.action != "steer":
        fix = f"labctl research {args.action} --help; only `steer` takes words"
        raise BadInput(f"{args.action} takes no {args.text[:60]!r}", fix=fix)
    try:
        told: Answer = ACTIONS[args.action].answer(args, session)
    except LabError as wrong:
        from lab.research.projects import opened

        wrong.fix = opened.addressed(wrong.fix, args.target)
        raise
    return told
