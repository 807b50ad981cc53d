"""Begin, follow and finish a code loop: edit, measure, keep or discard.

`start` looks at a workspace, asks for what it cannot see (or takes it as flags), and makes an experiment; it writes
nothing into the workspace. `import` does the same from the log of another harness (a results.tsv, an
autoresearch.jsonl, a .auto/log.jsonl, or the folder of one), with the flags of start where the log does not tell: its
runs become sealed runs that are marked as claims, and nothing is compared with them. `resume` opens a loop again and
says where it stands. `report` prints what a loop came to, how sure that is, and whether to merge it. `export` gives
its runs in the forms that other harnesses read. `finalize` makes branches of what was kept, which together are exactly
what the loop came to; it pushes nothing and moves no branch that is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli import (
    actions,
    autoresearch_export,
    autoresearch_finalize,
    autoresearch_import,
    autoresearch_report,
    autoresearch_resume,
    autoresearch_start,
)

if TYPE_CHECKING:
    import argparse
    from types import ModuleType

    from lab.cli.session import Session
    from lab.cli.terminal import Answer

EXAMPLE = """labctl autoresearch start --workspace ../my-repository
labctl autoresearch start --edit train.py --metric val_bpb --direction lower --measure 'python3 train.py' --yes
labctl autoresearch import ../my-repository/results.tsv --direction lower --measure 'python3 train.py'
labctl autoresearch report my-repository
labctl autoresearch export my-repository --format jsonl --output autoresearch.jsonl
labctl autoresearch finalize my-repository --dry-run"""

# What follows `labctl autoresearch`: each a module with `arguments`, `answer`, and the SHARED flags that it takes.
ACTIONS: dict[str, ModuleType] = {
    "start": autoresearch_start,
    "resume": autoresearch_resume,
    "import": autoresearch_import,
    "report": autoresearch_report,
    "export": autoresearch_export,
    "finalize": autoresearch_finalize,
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, to which loop. Flags that several take are made here, the others by whom they belong to."""
    parser.add_argument("action", choices=tuple(ACTIONS), help="what to do")
    parser.add_argument("target", nargs="?", default="", metavar="TARGET", help="the experiment; start takes none")
    parser.add_argument("--workspace", default="", metavar="DIR", help="start: the folder of the code (else this one)")
    parser.add_argument("--id", default="", dest="new_id", metavar="ID", help="start: the experiment's id (else --tag)")
    parser.add_argument(
        "--yes",
        action="store_true",
        help="start: take the defaults; export: replace FILE; resume, finalize: do not ask",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="start, import, finalize: say what would be done, and do nothing"
    )
    for name, module in ACTIONS.items():
        module.arguments(parser.add_argument_group(name))


def narrow(parser: argparse.ArgumentParser, action: str) -> None:
    """`labctl autoresearch ACTION --help`."""
    actions.narrow(parser, "autoresearch", ACTIONS, action)


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """One of them."""
    actions.refuse_strangers("autoresearch", ACTIONS, arguments, args)
    told: Answer = ACTIONS[args.action].answer(args, session)
    return told
