"""The way in: find the verb, load it, run it, and turn every failure into words and an exit code."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress

from lab.cli import commands
from lab.cli.terminal import Answer, NoOutput, Terminal, abandon_output, take_first_descriptors, use_plain_encoding
from lab.core.errors import DONE, FAILED, UNAVAILABLE, BadInput, Interrupted, LabError, Unavailable, nearest
from lab.core.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_GC_THRESHOLD = 100_000  # a turn of cron makes some 30,000 objects while it loads
_EARLY = ("--json", "-q", "--quiet", "--debug")
_HELP = ("help", "-h", "--help")
_TALK = ("", "-V", "--version")
_LOCALE = "export LC_ALL=C.UTF-8 (or: PYTHONUTF8=1)"

_ARCHIVE = "nothing is ever deleted; to take an experiment out of the lists: labctl archive ID"
# What people look for and there is not: the word that comes nearest would mislead them.
_INSTEAD = {
    **dict.fromkeys(("delete", "remove", "rm", "del"), _ARCHIVE),
    "edit": "edit SPEC.yaml in the experiment's folder, then: labctl validate ID",
    "runs": "labctl list ID",
}


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
        from lab.store.refusals import refused  # only when the machine refused something

        if "--debug" in argv:
            raise
        refusal = refused(error)
    except Exception as error:
        if "--debug" in argv:
            raise
        refusal = _own_failure(error)
    terminal.refuse(verb, refusal)
    return refusal.exit_code


def _own_failure(error: Exception) -> LabError:
    """What nobody foresaw, or a name that this locale has no bytes for: in its SPEC, not among its arguments."""
    if isinstance(error, UnicodeEncodeError) and not _is_utf8():
        return Unavailable(f"this locale takes names of files as {error.encoding}: {error.object!a}", fix=_LOCALE)
    what = f"labctl itself failed: {type(error).__name__}: {error}"
    return LabError(what, fix="run it again with --debug and report what it prints")


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


def _is_utf8() -> bool:
    """Whether names of files are what labctl takes them for."""
    return sys.getfilesystemencoding().lower().replace("-", "") == "utf8"


def _refuse_undecodable(argv: list[str]) -> None:
    for word in argv:
        try:
            word.encode()
        except UnicodeEncodeError:
            fix = "labctl writes UTF-8 into its files" if _is_utf8() else _LOCALE
            raise BadInput(f"the argument {word!a} is not UTF-8", fix=fix) from None


def _found(word: str) -> commands.Command:
    command = commands.find(word)
    if command is not None:
        return command
    if word == "--data-root":
        raise BadInput("--data-root wants a folder", fix="labctl --data-root DIR VERB")
    if word.startswith("-"):
        raise BadInput(f"labctl has no option {word} before the verb", fix="labctl --help")
    close = nearest(word, commands.words())
    other = f"did you mean: labctl {close}" if close else "labctl --help lists the verbs"
    raise BadInput(f"labctl has no verb {word}", fix=_INSTEAD.get(word, other))


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
        "  export LAB_DATA_ROOT=~/lab && labctl init && labctl create sweep && labctl burst sweep -n 30",
        "",
        "labctl VERB --help tells more, with an example. The lab is $LAB_DATA_ROOT, else ./lab-data.",
        "exit codes: 0 done, 1 failed, 2 bad input, 3 busy, 4 corrupt, 5 surroundings, 9 drift, 130 interrupted",
        "",
    ]
    return "\n".join(lines)
