"""Check this machine and this lab: what works, what is missing, and what to do about it.

Nothing is mended, and a lab need not be there yet. `--agents` looks for the programs that are agents: where each lies
and which version it is; name some to look at those alone. `--live` asks each of them one short question, which may cost
a few cents and needs its key or its login. The exit code is 1 when something fails that the lab needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import DONE, FAILED, BadInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.scheduler.agents.found import Agent
    from lab.scheduler.checkup import Check
    from lab.store.root import Root

EXAMPLE = "labctl doctor\nlabctl doctor --agents\nlabctl doctor --agents codex claude --live"
_FAILED = "failed"
_MARKS = {"ok": "ok", "warning": "warning", "failed": "FAILED", "none": "-"}
_SHOWN_CHARS = 300


def arguments(parser: argparse.ArgumentParser) -> None:
    """How far to look."""
    parser.add_argument("--agents", nargs="*", default=None, metavar="NAME", help="look for agents (of no name: all)")
    parser.add_argument("--live", action="store_true", help="with --agents: ask each something; this may cost money")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Look at everything."""
    from msgspec import to_builtins

    from lab.cli.signals import Signals
    from lab.scheduler import checkup
    from lab.scheduler.agents import found as agents_found

    if args.live and args.agents is None:
        raise BadInput("--live asks agents", fix="labctl doctor --agents --live")
    root = session.root(existing=False)
    signals, agents = Signals(), []
    with signals:
        found = list(checkup.checks(root))
        found += _engines(root, found)
        found += _schedule(root, found)
        if args.agents is not None:
            if args.live and not _in_lab(found):
                raise BadInput("--live wants a lab to work in", where=session.path, fix="labctl init")
            agents = list(agents_found.look(root, args.agents, live=args.live, stop=lambda: bool(signals.came())))
    # An agent that was asked for by its name, or asked something, is wanted; of the others none is needed.
    wanted = [each for each in agents if each.state == _FAILED or (args.agents and each.state != "ok")]
    failed = [each for each in found if each.state == _FAILED]
    data = {"checks": to_builtins(found), "agents": to_builtins(agents), "failed": len(failed) + len(wanted)}
    then = list(dict.fromkeys(f"{each.name}: {each.fix}" for each in (*failed, *_warned(found)) if each.fix))
    return Answer(data, _text(found, agents), then=then, exit_code=FAILED if failed or wanted else DONE)


def _warned(found: list[Check]) -> list[Check]:
    return [each for each in found if each.state == "warning"]


def _engines(root: Root, found: list[Check]) -> list[Check]:
    """How the engines are that this lab names."""
    from lab.scheduler import engines_found

    return list(engines_found.checks(root)) if _in_lab(found) else []


def _in_lab(found: list[Check]) -> bool:
    return any(each.name == "lab" and each.state == "ok" for each in found)


def _schedule(root: Root, found: list[Check]) -> list[Check]:
    """Whether what turns the crank is there, and does."""
    from lab.cli import heartbeat
    from lab.cli import schedule as words
    from lab.scheduler import heartbeat as remembered
    from lab.scheduler import schedule
    from lab.scheduler.checkup import NONE, OK, WARNING, Check

    if not _in_lab(found):
        return []
    standing, beat, told = schedule.standing(root), heartbeat.read(root.layout.root), remembered.load(root)
    stale = [  # those of other labs are no trouble of this one
        Check(
            name="schedule", state=WARNING if told and each.name == told.name else NONE, what=words.stale(each),
            fix=words.STALE_FIX,
        )
        for each in standing.stale
        if not each.is_there
    ]  # fmt: skip
    if not standing.name:
        fix = "labctl schedule install --every 15m, or turn it yourself: labctl run-once"
        return [Check(name="schedule", state=NONE, what="nothing is scheduled", fix=fix), *stale]
    is_late = beat is not None and beat["late"]
    what = standing.problem or (heartbeat.line(beat) if beat else f"{standing.backend} has not run yet")
    is_well = not standing.problem and not is_late
    fix = "" if is_well else "labctl schedule status"
    return [Check(name="schedule", state=OK if is_well else WARNING, what=what, fix=fix), *stale]


def _text(found: list[Check], agents: list[Agent]) -> Iterator[str]:
    from lab.projections import text

    width = max(len(name) for name in (*(each.name for each in found), *(each.name for each in agents)))
    for check in found:
        yield f"{_MARKS[check.state]:<8} {check.name:<{width}}  {text.line(check.what, _SHOWN_CHARS)}"
    for agent in agents:
        said = [agent.version, agent.path, agent.what]
        if agent.answer:
            said.append(f"answered {agent.answer!r} in {agent.took_s:.1f} s")
        if agent.usd is not None:
            said.append(f"{agent.usd:.4f} USD")
        told = text.line("  ".join(filter(None, said)), _SHOWN_CHARS)
        yield f"{_MARKS[agent.state]:<8} {agent.name:<{width}}  {told}"
