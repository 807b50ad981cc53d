"""Let an agent change a workspace: it works on a copy, is judged, and what it may change comes over.

Everything is taken from the environment of a run (LAB_AGENT_PROVIDER and the like, LAB_MUTABLE_PATHS,
LAB_READ_ONLY_PATHS, LAB_DEADLINE), so that `mutation_command: labctl mutate` needs no more; a flag goes before it. What
the agent may not touch stays as it was, and is told. Of an agent that failed, took too long or cost too much nothing is
taken over, and the exit code is 1. Where the disk refuses a part of the change the exit code is 5, and it is said which
files are new and where the rest is kept. A record is left in artifacts/local-agent of the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import DONE, FAILED

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.scheduler.mutation import Mutation

EXAMPLE = "labctl mutate --provider codex --workspace . --mutable train.py --instruction 'lower the loss'"
_SHOWN = 20


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which agent, told what, to change which files."""
    parser.add_argument("--provider", default="", metavar="NAME", help="the agent (else $LAB_AGENT_PROVIDER)")
    parser.add_argument("--command", default="", metavar="TEXT", help="with --provider command: the program")
    parser.add_argument("--model", default="", help="as the agent names it (else $LAB_AGENT_MODEL)")
    parser.add_argument("--effort", default="", help="as the agent names it (else $LAB_AGENT_EFFORT, else medium)")
    parser.add_argument("--instruction", default="", metavar="TEXT", help="what is to be done")
    parser.add_argument("--instruction-file", default="", metavar="PATH", help="(else $LAB_AGENT_INSTRUCTION_FILE)")
    parser.add_argument("--base-url", default="", metavar="URL", help="of its model (else $LAB_AGENT_BASE_URL)")
    parser.add_argument("--background", action="store_true", help="let its provider work in the background")
    parser.add_argument("--extra-path", action="append", default=[], metavar="PATH", help="what else it may read")
    parser.add_argument("--workspace", default="", metavar="DIR", help="(else the run's, else the current folder)")
    parser.add_argument("--mutable", action="append", default=[], metavar="PATH", help="what it may change")
    parser.add_argument("--read-only", action="append", default=[], metavar="PATH", help="what it may not change")
    parser.add_argument("--timeout-s", type=float, default=None, metavar="S", help="(else what is left, or 900)")
    parser.add_argument("--max-usd", type=float, default=None, metavar="USD", help="the most that it may cost")
    parser.add_argument("--run-dir", default="", metavar="DIR", help="where the record is left (else $LAB_RUN_DIR)")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Make the change."""
    import os

    from lab.cli.signals import Signals
    from lab.core.layout import Layout
    from lab.scheduler import mutating

    root = session.root(existing=os.path.isdir(Layout(session.path).place("registry")))
    given = mutating.Given(
        provider=args.provider, command=args.command, model=args.model, effort=args.effort,
        instruction=args.instruction, instruction_file=args.instruction_file, base_url=args.base_url,
        background=args.background, extra_paths=tuple(args.extra_path), workspace=args.workspace,
        mutable=tuple(args.mutable), read_only=tuple(args.read_only), timeout_s=args.timeout_s,
        max_usd=args.max_usd, run_dir=args.run_dir,
    )  # fmt: skip
    signals = Signals()
    with signals:
        done = mutating.carry_out(root, given, os.getcwd(), interrupted=signals.came)
    found = done.mutation
    data = {
        "provider": done.provider,
        "model": found.model,
        "changed": [{"path": each.path, "kind": each.kind} for each in found.changed],
        "refused": [{"path": each.path, "kind": each.kind, "why": each.why} for each in found.refused],
        "behind": list(found.behind),
        "text": found.text,
        "tokens_sent": found.used.sent,
        "tokens_answered": found.used.answered,
        "usd": found.used.usd,
        "wall_s": found.wall_s,
        "problem": found.problem,
        "what": found.what,
        "record": done.record,
    }
    failed = bool(found.problem) and not done.is_stub
    warnings = [f"not taken over: {each.path}: {each.why}" for each in found.refused][:_SHOWN]
    warnings += [*found.behind, *filter(None, [found.unheld])]
    if found.kept:
        warnings.append(f"the agent's copy is kept in {found.kept}")
    return Answer(data, _text(found), warnings=warnings, exit_code=FAILED if failed else DONE)


def _text(found: Mutation) -> Iterator[str]:
    from lab.projections import text

    for each in found.changed:
        yield f"{each.kind} {text.line(each.path, 200)}"
    if not found.changed:
        yield f"nothing was changed: {text.line(found.what, 400)}" if found.what else "nothing was changed"
    spent = [f"{found.wall_s:.1f} s"]
    if found.used.answered is not None:
        spent.append(f"{found.used.sent or 0:,} tokens sent, {found.used.answered:,} answered")
    if found.used.usd is not None:
        spent.append(f"{found.used.usd:.4f} USD")
    yield f"it took {', '.join(spent)}"
    if found.text:
        yield from ("", *(text.line(line, 200) for line in found.text.splitlines()[:_SHOWN]))
