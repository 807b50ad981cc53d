"""Print a shell's completion script.

Made from the same parsers as the help, so it knows every verb and flag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

EXAMPLE = "labctl completion bash > ~/.local/share/bash-completion/completions/labctl"
SHELLS = ("bash", "zsh", "fish", "tcsh")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which shell."""
    parser.add_argument("shell", choices=SHELLS, help="the shell")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """The script."""
    del session
    import shtab  # needed here alone

    from lab.cli import reference

    script = shtab.complete(reference.whole_parser(), args.shell)
    return Answer({"shell": args.shell, "script": script}, script.splitlines())
