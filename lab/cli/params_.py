"""Show the parameters that a run was given.

They are read from the sealed bundle, or from the companion of its archive. --env prints them as the variables that the
run saw (LAB_PARAM_...), --args as command-line flags; both are quoted for a shell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer, escaped

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from lab.cli.session import Session

EXAMPLE = """labctl params RUN-20261121-093000-000000-scout
python3 train.py $(labctl params RUN-20261121-093000-000000-scout --args)"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of which run, and in which form."""
    parser.add_argument("run", metavar="RUN", help="the run")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--env", action="store_true", help="as NAME=value lines: LAB_PARAM_LR=0.1")
    form.add_argument("--args", action="store_true", help="as flags in one line: --lr 0.1")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """The sealed parameters."""
    from lab.core import canonical
    from lab.core.errors import LabError
    from lab.scheduler.results import located

    found, _ = located.sealed(session.root(), args.run)
    params = found.params()
    if params is None:
        raise LabError(f"{args.run} was given no parameters", fix=f"labctl show {args.run}")
    data = {"run": args.run, "experiment": found.experiment, "params": params}
    if args.env:
        return Answer(data, _variables(params), exact=True)
    if args.args:
        return Answer(data, [" ".join(_flags(params))], exact=True)
    return Answer(data, escaped(canonical.page(params).decode()).split("\n")[:-1], exact=True)


def _variables(params: Mapping[str, object]) -> Iterator[str]:
    from shlex import quote

    from lab.executors.environment import variables

    for name, value in variables(params).items():
        yield f"{name}={quote(value)}"


def _flags(params: Mapping[str, object]) -> Iterator[str]:
    from shlex import quote

    from lab.executors.placeholders import plain

    for name, value in params.items():
        yield quote(f"--{name}")
        yield quote(plain(value, name))
