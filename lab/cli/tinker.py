"""Train a model through the Tinker API: look before it costs anything, follow the chain, take the weights home.

`check` says whether everything is there that a training needs; of an experiment, whether its own service, model,
tokenizer, data and budget are. With --trial it also trains one step and throws it away. `runs` shows the chain of an
experiment, chunk by chunk, with what each cost and what was decided last; without an ID a line for each experiment.
`checkpoints` lists what was saved, and with --server what the service still has and nobody here knows of. `download`
fetches the adapter, of an experiment or of a path. `estimate` tells tokens and money before they are spent.

`serve-local` is a service of your own on this machine, for a model that fits: the same API, real gradients, no bill.
`make-tiny` makes a model that is small enough to try everything with.

`labctl tinker ACTION --help` tells of one action; that of serve-local says what it does not cover.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli import (
    actions,
    tinker_check,
    tinker_checkpoints,
    tinker_download,
    tinker_estimate,
    tinker_make_tiny,
    tinker_runs,
    tinker_serve_local,
)
from lab.cli.parser import seconds

if TYPE_CHECKING:
    import argparse
    from types import ModuleType

    from lab.cli.session import Session
    from lab.cli.terminal import Answer

EXAMPLE = """labctl tinker make-tiny tiny-model
labctl tinker serve-local --base lab/tiny=tiny-model
labctl tinker check my-sft
labctl tinker estimate my-sft
labctl tinker runs my-sft --steps
labctl tinker checkpoints my-sft --server
labctl tinker download my-sft -o my-adapter --merge tiny-model"""

_LIMIT_S = 30.0

# What follows `labctl tinker`.
ACTIONS: dict[str, ModuleType] = {
    "check": tinker_check,
    "runs": tinker_runs,
    "checkpoints": tinker_checkpoints,
    "download": tinker_download,
    "estimate": tinker_estimate,
    "serve-local": tinker_serve_local,
    "make-tiny": tinker_make_tiny,
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, with what. Flags that several take are made here, the others by whom they belong to."""
    parser.add_argument("action", choices=tuple(ACTIONS), help="what to do")
    parser.add_argument(
        "target",
        nargs="?",
        default="",
        metavar="TARGET",
        help="the experiment; download: or a tinker:// path; make-tiny: the folder; serve-local takes none",
    )
    parser.add_argument("--tier", default="", metavar="T", help="of an experiment: of this tier")
    parser.add_argument(
        "--base-url", default="", metavar="URL", help="check, download of a path: the service (else $TINKER_BASE_URL)"
    )
    parser.add_argument(
        "--limit",
        type=seconds,
        default=_LIMIT_S,
        metavar="S",
        help=f"check, checkpoints, download: seconds for one answer of the service ({_LIMIT_S:g})",
    )
    parser.add_argument(
        "--yes", action="store_true", help="check --trial, download: do not ask, also where it is paid for"
    )
    for name, module in ACTIONS.items():
        module.arguments(parser.add_argument_group(name))


def narrow(parser: argparse.ArgumentParser, action: str) -> None:
    """`labctl tinker ACTION --help`."""
    actions.narrow(parser, "tinker", ACTIONS, action)


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """One of them."""
    actions.refuse_strangers("tinker", ACTIONS, arguments, args)
    told: Answer = ACTIONS[args.action].answer(args, session)
    return told
