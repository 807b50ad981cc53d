"""Check a SPEC without creating anything.

TARGET is a SPEC file, a template's name, or the id of an experiment whose SPEC.yaml was edited; or `engines.yaml`, the
lab's table of which class runs where, or a file of that name. All problems are named at once, each with its line; what
is allowed and hardly meant is a warning. A warning that `it would not run` names what is missing here: a strategy, a
parameter of the command, a program, the workspace. It is told beside other problems too, unless they are of the keys
that it goes by. `--schema` prints the JSON Schema of a SPEC for editors and agents.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.cli.terminal import Answer
from lab.core.errors import BadInput, NotFound
from lab.core.layout import ENGINES, SPEC

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session
    from lab.core.spec import Spec
    from lab.scheduler.doubts import Lying

EXAMPLE = "labctl validate my-spec.yaml\nlabctl validate engines.yaml\nlabctl validate --schema > spec.schema.json"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to check."""
    parser.add_argument("target", nargs="?", default="", metavar="TARGET", help="a file, a template or an experiment")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of a SPEC")


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """The SPEC as labctl understands it."""
    from lab.core import canonical, spec_page
    from lab.scheduler import create, subjects, unread
    from lab.scheduler.doubts import NOT_RUN, undirected

    if args.schema:
        schema = spec_page.json_schema()
        return Answer(schema, canonical.page(schema).decode().splitlines())
    if not args.target:
        raise BadInput("nothing to validate", fix="labctl validate SPEC.yaml (or --schema)")
    if os.path.basename(args.target) == ENGINES:
        return _table(args.target, session)
    try:
        spec, origin, text = create.checked(args.target, session.path)
    except BadInput as unfit:
        raise _with_the_rest(unfit, args.target, session) from None
    own = origin == f"{session.path}/experiments/{spec.id}/{SPEC}"
    warnings = [*undirected(spec, text), *_doubts(spec, _lying(spec, origin, session, own=own), session)]
    if own:
        refused = subjects.known(session.root(), spec.id).problem
        if refused is not None:
            raise refused
        warnings += filter(None, [unread.changed(session.root(), spec.id)])
    can_run = not any(each.startswith(NOT_RUN) for each in warnings)
    told = "valid" if can_run else "valid as a SPEC, but no run can be made of it as it is"
    told = f"{told}: {spec.id} ({origin})"
    data = {
        "id": spec.id,
        "source": origin,
        "tiers": list(spec.fidelity_tiers),
        "time_budget_s": spec.time_budget_s,
        "can_run": can_run,
    }
    return Answer(data, [told], warnings=warnings)


def _with_the_rest(refused: BadInput, target: str, session: Session) -> BadInput:
    """The refusal, with what would stand in the way of a run beside what it names."""
    from lab.core.errors import LabError
    from lab.scheduler import doubts, sources

    def files(spec: Spec) -> Lying:
        own = origin == f"{session.path}/experiments/{target}/{SPEC}"
        return _lying(spec, origin, session, own=own)

    try:
        data, origin = sources.named(target, session.path)
        rest = doubts.of_the_rest(data, origin, files, os.environ)
    except LabError:
        return refused
    if not rest:
        return refused
    told = "\n".join((refused.what, "and it would not run:", *(f"  {each}" for each in rest)))
    return BadInput(told, where=refused.where, fix=refused.fix)


def _table(target: str, session: Session) -> Answer:
    """The table of which class runs where: a file that is named, else the lab's own."""
    from lab.scheduler import engines

    root = session.root(existing=False)
    path = os.path.abspath(target) if os.path.lexists(target) or target != ENGINES else root.layout.engines
    if not os.path.lexists(path):
        raise NotFound("there is no engines.yaml", where=path, fix="labctl init writes one, all of it comments")
    rows = engines.rows_of(path)
    text = [f"valid: {path}", *(f"  {name}: {row.engine}" for name, row in sorted(rows.items()))]
    if not rows:
        text.append("  it has no row: every run happens where it is asked for")
    return Answer({"source": path, "classes": {name: row.engine for name, row in rows.items()}}, text)


def _lying(spec: Spec, origin: str, session: Session, *, own: bool) -> Lying:
    """Where its files lie. Of an experiment of this lab: where they lay when it was made."""
    from lab.scheduler import doubts, unread

    if not own:
        return doubts.lying(spec, os.path.dirname(origin))
    root = session.root()
    return doubts.lying_for(root, spec, unread.made_from(root, spec.id))


def _doubts(spec: Spec, files: Lying, session: Session) -> list[str]:
    """What is allowed, and hardly meant."""
    from lab.scheduler import engines
    from lab.scheduler.doubts import doubts
    from lab.scheduler.search.asking import advice
    from lab.store import shipped

    found = []
    if spec.goal in shipped.goals():
        found.append("the goal is still the template's: say what should become better")
    asked = advice.problems_of(spec, os.environ)
    found += engines.doubts(session.root(existing=False), spec)
    return found + doubts(spec, files, os.environ) + [f"the model cannot be asked: {each}" for each in asked]
