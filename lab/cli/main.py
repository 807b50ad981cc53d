"""The way in: find the verb, load it, run it, and turn every failure into words and an exit code."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress

from lab import __version__
from lab.cli import commands
from lab.cli.terminal import Answer, NoOutput, Terminal, abandon_output, take_first_descriptors, use_plain_encoding
from lab.core.errors import DONE, FAILED, UNAVAILABLE, BadInput, Interrupted, LabError, nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_GC_THRESHOLD = 20_000
_EARLY = ("--json", "-q", "--quiet", "--debug")
_HELP = ("help", "-h", "--help")
_TALK = ("", "-V", "--version")


def entry() -> NoReturn:
    """The console script. Ends at once: taking an interpreter down by the book costs as much as `python -c pass`."""
    take_first_descriptors()
    gc.set_threshold(_GC_THRESHOLD)  # loading modules makes nothing that could be collected
    code = main(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # no reader, or none any more: it was told of already
            stream.flush()
    os._exit(code)


def main(argv: list[str]) -> int:
    """Run one command. Returns its exit code; never raises under normal use."""
    use_plain_encoding()
    terminal = Terminal(
        as_json="--json" in argv or os.environ.get("LABCTL_OUTPUT") == "json",
        quiet="-q" in argv or "--quiet" in argv,
    )
    try:
        return _guarded(argv, terminal)
    except BrokenPipeError:
        abandon_output()
        return FAILED
    except NoOutput as error:
        terminal.no_output(str(error))
        return UNAVAILABLE


def _guarded(argv: list[str], terminal: Terminal) -> int:
    """The one handler: whatever goes wrong becomes an error with words and a code."""
    verb = "labctl"
    try:
        early, word, rest = _split(argv)
        if word in _TALK or (word in _HELP and not set(rest) - set(_EARLY)):
            terminal.answer(verb, _talk(word))
            return DONE
        command = _found(rest[0] if word in _HELP else word)
        verb = command.name
        return _run(command, ["--help"] if word in _HELP else [*early, *rest], terminal)
    except LabError as error:
        refusal = error
    except KeyboardInterrupt:
        refusal = _interrupted(verb)
    except (BrokenPipeError, NoOutput):
        raise
    except OSError as error:
        from lab.store.files import refused  # only when the machine refused something

        if "--debug" in argv:
            raise
        refusal = refused(error)
    except Exception as error:
        if "--debug" in argv:
            raise
        what = f"labctl itself failed: {type(error).__name__}: {error}"
        refusal = LabError(what, fix="run it again with --debug and report what it prints")
    terminal.refuse(verb, refusal)
    return refusal.exit_code


def _interrupted(verb: str) -> Interrupted:
    """After a verb that only looks there is nothing to settle, and to say so would send somebody looking for it."""
    command = commands.find(verb)
    if command is not None and command.only_reads:
        return Interrupted("interrupted; no run was touched")
    return Interrupted("interrupted; what was sealed is safe", fix="labctl watchdog --repair settles the rest")


def _run(command: commands.Command, argv: list[str], terminal: Terminal) -> int:
    from lab.cli import parser, session  # `--help` needs neither

    try:
        args = parser.build(command).read(argv)
    except SystemExit as done:  # argparse has printed the help
        return int(done.code or 0)
    given = parser.load(command).answer(args, session.Session(terminal, session.locate(args.data_root, os.environ)))
    terminal.answer(command.name, given)
    return int(given.exit_code)


def _split(argv: list[str]) -> tuple[list[str], str, list[str]]:
    """Flags that may stand before the verb, the verb, and what follows it."""
    _refuse_undecodable(argv)
    early: list[str] = []
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word in _EARLY or word.startswith("--data-root="):
            early.append(word)
        elif word == "--data-root" and rest:
            early += [word, rest.pop(0)]
        else:
            return early, word, rest
    return early, "", []


def _refuse_undecodable(argv: list[str]) -> None:
    for word in argv:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise BadInput(f"the argument {word!a} is not UTF-8", fix="labctl writes UTF-8 into its files") from None


def _found(word: str) -> commands.Command:
    command = commands.find(word)
    if command is not None:
        return command
    if word == "--data-root":
        raise BadInput("--data-root wants a folder", fix="labctl --data-root DIR VERB")
    if word.startswith("-"):
        raise BadInput(f"labctl has no option {word} before the verb", fix="labctl --help")
    close = nearest(word, commands.words())
    raise BadInput(
        f"labctl has no verb {word}", fix=f"did you mean: labctl {close}" if close else "labctl --help lists the verbs"
    )


def _talk(word: str) -> Answer:
    """What needs no verb: the version, or the overview of the verbs."""
    if word not in ("", *_HELP):
        return Answer({"version": __version__}, [f"labctl {__version__}"])
    told = overview()
    verbs = [{"name": each.name, "group": each.group, "summary": each.summary} for each in commands.COMMANDS]
    return Answer({"help": told, "commands": verbs}, told.splitlines())


def overview() -> str:
    """`labctl --help`."""
    lines = ["usage: labctl [--data-root DIR] [--json] [-q] VERB ...", ""]
    lines.append("A file-first research lab: experiments, sealed runs, pages rebuilt from them.")
    group = ""
    for command in commands.COMMANDS:
        if command.group != group:
            group = command.group
            lines += ["", f"{group}:"]
        lines.append(f"  {command.name:<15} {command.summary}")
    lines += [
        "",
        "example:",
        "  export LAB_DATA_ROOT=~/lab && labctl init && labctl create autoresearch-generic && labctl status",
        "",
        "labctl VERB --help tells more, with an example. The lab is $LAB_DATA_ROOT, else ./lab-data.",
        "exit codes: 0 done, 1 failed, 2 bad input, 3 busy, 4 corrupt, 5 surroundings, 130 interrupted",
        "",
    ]
    return "\n".join(lines)
