"""Builders: a subject, a row or a run in a line, with what a test does not care for filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from hypothesis import strategies as st

from lab.core import event, history
from lab.core.run import CANCELLED, OUTCOMES, SUCCESS, Run
from lab.core.spec import Spec, parse
from lab.core.subject import Place, Subject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.core.view import View

CREATED = "2026-01-02T03:00:00.000000Z"
# Everything that a page must survive, in one text: markup, escapes, marks of direction, ends of lines, broken letters.
HOSTILE = (
    "\x1b[31mred\x1b[0m \x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\ <script>alert(1)</script> | a | b |\n"
    "# heading\n\n- item\r\n```\nfence\n````\n\u202etxet\u202c \u2066x\u2069 \x00\x9b2J \u2028 zero\u200bwidth "
    "![img](http://evil.example/x.png) \ud800 <!-- hidden --> \\| end\t\x7f"
)


def spec(**changes: object) -> Spec:
    made = Spec(id="lr-sweep", goal="find the learning rate", metric="val_loss", metric_direction="minimize")
    return msgspec.structs.replace(made, **changes)


def parsed(mapping: Mapping[str, object]) -> Spec:
    return parse(mapping)


def run(number: int = 1, outcome: str = SUCCESS, value: float | None = None, **changes: object) -> Run:
    made = Run(
        run_id=f"RUN-20260102-03{number // 60 % 60:02d}{number % 60:02d}-000000-scout",
        experiment="lr-sweep",
        outcome=outcome,
        value=value,
        metric="val_loss",
        direction="minimize",
        iteration=number,
        role="scout",
        started_at=f"2026-01-02T03:{number // 60 % 60:02d}:{number % 60:02d}.000000Z",
        ended_at=f"2026-01-02T04:{number // 60 % 60:02d}:{number % 60:02d}.000000Z",
        wall_s=12.5,
    )
    return msgspec.structs.replace(made, **changes)


def moved(phase: str, reason: str = "", actor: str = "ann") -> event.Event:
    ts = "2026-01-03T00:00:00.000000Z"
    return event.Event(type=event.PHASE_CHANGED, ts=ts, experiment="lr-sweep", phase=phase, reason=reason, actor=actor)


def promoted(tier: str, reason: str = "") -> event.Event:
    ts = "2026-01-03T00:00:00.000000Z"
    return event.Event(type=event.TIER_CHANGED, ts=ts, experiment="lr-sweep", tier=tier, reason=reason, actor="policy")


def view(happened: Sequence[object] = (), *, direction: str = "minimize", tier: str = "default") -> View:
    """The view after these runs and events, in this order."""
    created = event.Event(
        type=event.EXPERIMENT_CREATED, ts=CREATED, experiment="lr-sweep", actor="ann", phase="queued", tier=tier
    )
    items = [history.Item(key=(1, 0, ""), ts=CREATED, event=created)]
    for seq, each in enumerate(happened, 2):
        if isinstance(each, Run):
            items.append(history.Item(key=(seq, 1, each.run_id), ts=each.ended_at, run=each, generation=seq))
        elif isinstance(each, event.Event):
            items.append(history.Item(key=(seq, 0, ""), ts=each.ts, event=each))
    begun = history.begin("lr-sweep", direction=direction, tier=tier, spec="0" * 64)
    return history.fold(begun, items)


def subject(
    happened: Sequence[object] = (), *, tier: str = "default", given: Spec | None = None, **changes: object
) -> Subject:
    place = Place(seq=len(happened) + 1, sha256="ab" * 32, end=4096)
    made = Subject(view=view(happened, tier=tier), spec=given or spec(), place=place, table_bytes=(1024, 512))
    return msgspec.structs.replace(made, **changes)


def hostile() -> Subject:
    """A subject in which every text from outside is hostile."""
    note = HOSTILE + "x" * 10_000_000
    runs = [
        run(1, SUCCESS, 0.5, note=HOSTILE, role="scout"),
        run(2, "crash", reason=note, note=HOSTILE),
        run(3, SUCCESS, 0.25, note=note, metric=HOSTILE),
    ]
    best = runs[2].run_id
    return subject(
        [*runs, moved("awaiting-human", HOSTILE, HOSTILE)],
        given=spec(goal=HOSTILE, metric=HOSTILE, tags=(HOSTILE,), constraints=(HOSTILE,), executor_command=HOSTILE),
        best_params={"lr": 0.1, "text": HOSTILE.encode(errors="replace").decode(), "broken": "\ud800"},
        results={best: note, runs[1].run_id: HOSTILE},
        baton=HOSTILE + "\n## Not a heading of ours\n" + note,
    )


texts = st.text(max_size=20)
values = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def runs(draw: st.DrawFn) -> Run:
    outcome = draw(st.sampled_from(OUTCOMES))
    return run(
        draw(st.integers(0, 3599)),
        outcome,
        draw(st.none() | values) if outcome == SUCCESS else None,
        tier=draw(st.sampled_from(("default", "final"))),
        reason=draw(texts) if outcome not in (SUCCESS, CANCELLED) else "",
        note=draw(texts),
        wall_s=draw(st.floats(0, 1e6)),
    )


events = st.builds(
    moved, st.sampled_from(("queued", "active", "awaiting-human", "paused", "completed", "archived")), texts, texts
) | st.builds(promoted, st.sampled_from(("default", "final")), texts)

subjects = st.builds(
    subject,
    st.lists(runs() | events, max_size=12),
    given=st.just(spec(fidelity_tiers=("default", "final"))),
    best_params=st.none() | st.dictionaries(texts, values | texts | st.booleans(), max_size=4),
    baton=texts,
    place=st.builds(
        Place, seq=st.integers(0, 2**40), sha256=st.text("0123456789abcdef", max_size=64), end=st.integers(0, 2**50)
    ),
    table_bytes=st.tuples(st.integers(-1, 2**50), st.integers(-1, 2**50)),
)
