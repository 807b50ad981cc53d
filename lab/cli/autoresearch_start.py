"""`labctl autoresearch start`: eight settings, asked for at a terminal or taken as flags, and a SPEC made of them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lab.cli.terminal import Answer, harmless
from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from lab.cli.session import Session
    from lab.scheduler.loop.settings import Settings

SHARED = ("workspace", "new_id", "yes", "dry_run")
# The settings in the order in which they are asked for: field, flag, question.
QUESTIONS = (
    ("edit", "--edit", "script to edit (several: separate by commas)"),
    ("read_only", "--read-only", "read-only scripts (several: separate by commas)"),
    ("budget", "--budget", "budget of each step of a run, such as 5m"),
    ("metric", "--metric", "name of the metric"),
    ("direction", "--direction", "which is better, lower or higher"),
    ("iterations", "--iterations", "iterations at most"),
    ("scope", "--scope", "scope (architecture, hyper-parameters, optimizer or all)"),
    ("tag", "--tag", "tag of the branch, lab/<tag>"),
    ("results", "--results", "results file besides the lab's own, or none"),
    ("measure", "--measure", "command that measures"),
)
# A list of read-only scripts may be empty: what measures is read-only anyway.
_MAY_BE_EMPTY = ("read_only",)
_LISTS = ("edit", "read_only")


def arguments(parser: argparse._ArgumentGroup) -> None:
    """The settings, and what makes the change."""
    parser.add_argument("--edit", action="append", default=[], metavar="PATH", help="start: what a change may touch")
    parser.add_argument("--read-only", action="append", default=[], metavar="PATH", help="start: what none may touch")
    parser.add_argument("--budget", default="", metavar="TIME", help="start: limit of each step of a run (5m)")
    parser.add_argument("--metric", default="", metavar="NAME", help="start: the number that is to get better")
    parser.add_argument("--direction", default="", metavar="WORD", help="start: which is better, lower or higher")
    parser.add_argument("--iterations", type=int, default=None, metavar="N", help="start: runs at most (20)")
    parser.add_argument(
        "--scope", default="", metavar="WORD", help="start: architecture, hyper-parameters, optimizer or all (all)"
    )
    parser.add_argument("--tag", default="", metavar="TAG", help="start: what is kept is on the branch lab/TAG")
    parser.add_argument("--results", default="", metavar="FILE", help="start: where export puts the table (none)")
    parser.add_argument("--measure", default="", metavar="CMD", help="start: measures (else a script that is there)")
    parser.add_argument("--checks", default="", metavar="CMD", help="start: must end well before it is measured")
    parser.add_argument("--setup", default="", metavar="CMD", help="start: prepares each copy of the workspace")
    parser.add_argument("--mutate", default="", metavar="CMD", help="start: makes the change")
    parser.add_argument("--agent", default="", metavar="NAME", help="start: or the agent that makes it")
    parser.add_argument("--model", default="", metavar="NAME", help="start: the agent's model")
    parser.add_argument("--goal", default="", metavar="TEXT", help="start: what it is for, in a sentence")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """See what is there, ask for the rest, and make the experiment."""
    import msgspec

    from lab.executors import platform
    from lab.scheduler.loop import started

    root = session.root()
    said = said_in(args)
    found = started.seen(said.workspace)
    machine = platform.detected(root.world.environ)
    path = root.world.environ.get("PATH", "")
    at_terminal = bool(sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()) and not session.terminal.as_json
    for note in (f"this machine computes on {machine.words}", *found.notes):
        session.terminal.say(note)
    if at_terminal and not args.yes:
        said = _asked(said, found.defaults, path)
    else:
        _refuse_missing(said, found.defaults, takes_defaults=args.yes)
    settings = msgspec.structs.replace(started.filled(said, found.defaults), platform=machine.words)
    made, data = started.begin(root, settings, actor=session.actor, dry_run=args.dry_run)
    told = {
        "experiment": made.name,
        "path": made.path,
        "workspace": settings.workspace,
        "platform": {"kind": machine.kind, "devices": list(machine.devices), "why": machine.why},
        "seen": list(found.notes),
        "spec": data.decode(),
        "dry_run": args.dry_run,
    }
    if args.dry_run:
        return Answer(told, [f"would create experiment: {made.name}", "", *data.decode().splitlines()])
    return Answer(told, [f"created experiment: {made.name}"], warnings=made.notes, then=_then(settings))


def said_in(args: argparse.Namespace) -> Settings:
    from lab.scheduler.loop.settings import Settings

    if args.iterations is not None and args.iterations < 1:
        raise BadInput(f"--iterations {args.iterations} is not above 0", fix="--iterations 20")
    return Settings(
        workspace=args.workspace or ".",
        edit=tuple(args.edit),
        read_only=tuple(args.read_only),
        budget=args.budget,
        metric=args.metric,
        direction=args.direction,
        iterations=args.iterations or 0,
        scope=args.scope,
        tag=args.tag,
        results=args.results,
        measure=args.measure,
        checks=args.checks,
        setup=args.setup,
        mutate=args.mutate,
        agent=args.agent,
        model=args.model,
        new_id=args.new_id,
        goal=args.goal,
    )


def _refuse_missing(said: Settings, defaults: Settings, *, takes_defaults: bool) -> None:
    """Everything that is not said, in one refusal. `--yes` takes the defaults, where there are any."""
    from lab.scheduler.loop import started

    whole = started.filled(said, defaults)
    missing: list[str] = []
    for field, flag, question in QUESTIONS:
        default = getattr(whole, field)
        may_be = takes_defaults or field == "measure"
        if getattr(said, field) or field in _MAY_BE_EMPTY or (may_be and default):
            continue
        missing.append(f"  {flag}: {question}" + (f" (--yes takes {_shown(default)})" if default else ""))
    if missing:
        fix = "give these flags; --yes takes the defaults of those that have one"
        raise BadInput("\n".join(("these settings are not said, and there is nobody to ask:", *missing)), fix=fix)


def _asked(said: Settings, defaults: Settings, path: str) -> Settings:
    """Ask for what no flag says. Enter takes what is in the brackets; what cannot be meant is asked for again."""
    import msgspec

    from lab.scheduler.loop import started
    from lab.scheduler.loop.settings import problems

    flags = [field for field in said.__struct_fields__ if getattr(said, field)]
    started.judge(started.filled(said, defaults), path, only=flags)
    for field, _, question in QUESTIONS:
        if getattr(said, field):
            continue
        if field == "measure" and defaults.measure:
            continue
        whole = started.filled(said, defaults)
        default = getattr(whole, field)
        while True:
            answered = msgspec.structs.replace(said, **{field: _one(field, question, default)})
            wrong = [words for at, words in problems(started.filled(answered, defaults), path) if at == field]
            if not wrong:
                break
            _write("".join(f"{words}\n" for words in wrong))
        said = answered
    return said


def _one(field: str, question: str, default: object) -> object:
    from lab.core.run import DIRECTIONS
    from lab.scheduler.loop.settings import SCOPES

    known = {"direction": tuple(DIRECTIONS), "scope": tuple(SCOPES)}.get(field, ())
    read = _reader(field, known)
    while True:
        _write(f"{question}{f' [{_shown(default)}]' if default else ''}: ")
        line = sys.stdin.readline()
        if not line:
            _write("\n")
            raise BadInput("the input ended before everything was said; nothing was written", fix="or give flags")
        words = line.strip()
        if not words and (default or field in _MAY_BE_EMPTY):
            return default
        try:
            return read(words)
        except BadInput as problem:
            _write(f"{problem.what}\n")


def _reader(field: str, known: tuple[str, ...]) -> Callable[[str], object]:
    def read(words: str) -> object:
        if not words:
            raise BadInput("this has no default")
        if field in _LISTS:
            return tuple(word for part in words.split(",") if (word := part.strip()))
        if field == "iterations":
            if not (words.isdecimal() and int(words)):
                raise BadInput(f"{words[:40]!r} is no number above 0")
            return int(words)
        if known and words not in known:
            raise BadInput(f"{words[:40]!r} is none of {', '.join(known)}")
        return words

    return read


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _write(text: str) -> None:
    sys.stderr.write(harmless(text))
    sys.stderr.flush()


def _then(settings: Settings) -> list[str]:
    """What to type. The lab's own table lies beside the SPEC; elsewhere it is written on request."""
    from lab.scheduler.loop.settings import NO_COPY

    name = settings.new_id
    makes = bool(settings.mutate or settings.agent)
    then = [f"labctl burst {name} -n {min(settings.iterations, 5)}"] if makes else [f"labctl try {name} --begin"]
    then.append(f"labctl autoresearch report {name}")
    if settings.results != NO_COPY:
        then.append(f"labctl autoresearch export {name}")
    return then
