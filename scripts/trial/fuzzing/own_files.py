# ruff: noqa: E501  # an input or a row of a table stands on one line
"""The lab's own files, which a person, a crash or a disk may have changed: the SPEC, spaces, records, the ledger, pages."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import msgspec

from lab.cli import heartbeat
from lab.cli import index as told_index
from lab.core import asi, cadence, canonical, curve, event, record, spec, time_limit
from lab.core import space as spaces
from lab.core.layout import Layout
from lab.core.run import FAILURES, Run
from lab.projections import autoresearch_log, index, status, tables
from lab.projections.picture import whole
from lab.scheduler.search import spaces as found_spaces
from lab.store import experiments, ledger, root
from lab.store.repository import noted
from lab.testing.files import a_root
from scripts.trial.fuzzing import place, samples
from scripts.trial.fuzzing.target import Target, chosen, promise

if TYPE_CHECKING:
    from lab.store.root import Root

SPEC = b"""\
id: lr-sweep
goal: find it
metric: loss
metric_direction: minimize
cadence: 30m
time_budget: 5m
executor: command
executor_command: python train.py --lr {params.lr} 'a b'
fidelity_tiers: [proxy, final]
proxy_time_budget: 30s
stop_conditions: [target: 0.99]
strategy: portfolio
search_space:
  lr: {low: 0.001, high: 0.1, log: true}
  n: {type: int, low: 1, high: 9, step: 2}
  kind: {choices: [adam, sgd], when: {n: 3}}
mutable_paths: [train.py]
env: [HOME]
llm: {provider: openai, model: gpt, base_url: "http://127.0.0.1:1/v1"}
"""
TUNED = b"""\
id: tuned
metric: loss
executor: tinker
tinker: {steps: 10, base_url: "http://127.0.0.1:8100", chunk_steps: 5}
lm_eval: {tasks: [arc], batch_size: auto}
escalate_when: [breakthrough_found, metric_regression_3_consecutive]
cadence: "*/5 9-17 * jan,feb mon-fri"
"""
SPACE = (
    b'{"parameters": {"lr": {"low": 0.001, "high": 0.1, "log": true, "type": "float"},\n'
    b' "n": {"type": "int", "low": 1, "high": 9, "step": 2}, "kind": {"choices": ["a", 1, true, null]},\n'
    b' "b": {"type": "bool", "when": {"kind": ["a"]}}, "f": {"value": 3}},\n'
    b' "constraints": ["lr * n <= 0.5", "not (n > 3 and lr < abs(-0.01)) or max(n, 2) == 5"]}'
)
PLAIN = b"lr: {low: 0.001, high: 0.1}\nk: {choices: [1, 2, 3]}\nopt: {choices: [a, b]}\nsize: {low: 1, high: 64, log: true, type: int}\n"
_KINDS = samples.kinds()
_RECORDS = tuple(bytes((at,)) + msgspec.json.encode(samples.sample(kind)) for at, kind in enumerate(_KINDS))


_FIXED = os.path.join(os.path.dirname(__file__), *[os.pardir] * 3, "tests", "formats", "v1", "root")


def _kept(name: str) -> bytes:
    """A file of the first release's lab."""
    with open(f"{_FIXED}/{name}", "rb") as file:
        return file.read()


def _picture() -> bytes:
    return msgspec.json.encode(samples.sample(whole.Picture))


DERIVED = (
    (0, b'{"run_id": "RUN-1", "outcome": "success", "value": 0.5, "params": {"lr": 0.1}, "report": [[1.0, 0.5]]}'),
    (1, _kept("LAB-INDEX.json")),
    (2, _kept("experiments/lr-sweep/STATUS.json")),
    (3, b'{"points": [[1.0, 0.5], [2.0, 0.25]], "passed_over": 1}'),
    (4, _picture()),
    (5, b'{"run": 1, "segment": 0}\n{"run": 2, "segment": 0}\n'),
    (6, b'{"place": "/x", "commit": "abc", "files": {"a": [1, 2, 3, 4, 5]}}'),
    (7, b"\x00" + _kept("LAB-INDEX.json")),
    (7, b'\x01{"event": {"type": "phase_changed", "experiment": "lr-sweep", "facts": {"to": "paused"}, "ts": "2026"}}'),
    (
        7,
        b'\x02{"by": "cron", "at": "2026-11-30T05:33:00Z", "at_s": 1790000000.0, "every_s": 300.0, "ran": 1, "exit": 0}',
    ),
)


def _spec(data: bytes) -> None:
    """What a SPEC says comes back from its one spelling, and it holds in each of its tiers."""
    found = experiments.parse_spec(data, "SPEC.yaml")
    promise(spec.decode(spec.encode(found)) == found, "decode(encode(spec)) is another SPEC")
    for tier in found.fidelity_tiers:
        promise(found.for_tier(tier).time_budget_s > 0, "a budget that is none was taken")


def _space(data: bytes) -> None:
    """A space that was taken comes back from its one spelling, and a point of it is drawn, or it says why not."""
    found = found_spaces._read.__wrapped__(data, "search_space.json").space  # noqa: SLF001  # past its cache
    written = spaces.encode(found)
    promise(spaces.alike(found, spaces.decode(written)), "decode(encode(space)) is another space")
    found_spaces._drawn.__wrapped__(written)  # noqa: SLF001  # the same


def _record(data: bytes) -> None:
    """A record comes back from its bytes; a failed run never has a value, and no value is infinite."""
    at, rest = chosen(data, len(_KINDS))
    kind = _KINDS[at]
    found = record.parse(kind, rest, "a file")
    promise(
        record.parse(kind, record.encode(found), "a file") == found, f"parse(encode(x)) is not x, of {kind.__name__}"
    )
    promise(record.parse(kind, record.page(found), "a file") == found, f"parse(page(x)) is not x, of {kind.__name__}")
    run = getattr(found, "run", None)
    if isinstance(run, Run):
        promise(run.value is None or math.isfinite(run.value), "a value that is not finite was read")
        promise(run.outcome not in FAILURES or run.value is None, "a failed run has a value")


def _chain(count: int) -> bytes:
    lines: list[bytes] = []
    for seq in range(1, count + 1):
        before = canonical.digest(lines[-1][:-1]) if lines else ""
        told = event.Event(type=event.RUN_SEALED, ts=samples.AT, experiment="lr-sweep", run_id=f"RUN-{seq}")
        lines.append(record.encode(event.Line(seq=seq, prev=before, event=told)))
    return b"".join(lines)


def _ledger(data: bytes) -> None:
    """Every line comes as a record or as its problem, in its place; and what is not the chain is told."""
    entries = list(ledger.split(data, 0, "events.jsonl"))
    promise(all(bool(entry.line) != bool(entry.problem) for entry in entries), "a line is neither read nor told")
    promise(sum(len(entry.raw) + 1 for entry in entries) <= len(data), "more bytes were read than there are")
    audit = ledger.Audit()
    told = [words for entry in entries if (words := audit.feed(entry))]
    told += [words] if (words := audit.finish()) else []
    lines = [entry.line for entry in entries if entry.line is not None]
    whole = b"".join(entry.raw + b"\n" for entry in entries)
    broken = [line.seq for line in lines] != list(range(1, len(lines) + 1)) or len(lines) != len(entries)
    promise(told or not broken or audit.torn, f"a broken chain is not told: {whole[:200]!r}")
    with_root = place.folder("ledger/registry")
    place.file("ledger/registry/events.jsonl", data)
    lab = root_of(os.path.dirname(with_root))
    ledger.torn_tail(lab)
    list(ledger.mentioning(lab, 0, "lr-sweep"))
    root.has_traces(lab.layout.root)


def root_of(path: str) -> Root:
    """A data root there, on a clock of its own, that starts nothing."""
    return a_root(path)


def _derived(data: bytes) -> None:
    """Pages that can be written again: whatever became of them, they are read, or are none."""
    at, rest = chosen(data, 8)
    match at:
        case 0:
            tables.parse_line(rest, "metrics.jsonl")
        case 1:
            index.parse(rest)
        case 2:
            status.fold_state(rest)
        case 3:
            promise(all(map(math.isfinite, (n for point in curve.told(rest) for n in point))), "a point is not finite")
        case 4:
            found = whole.parse(rest, "picture.json")
            promise(whole.parse(whole.encode(found)) == found, "parse(encode(picture)) is another picture")
        case 5:
            autoresearch_log.last_place(rest)
        case 6:
            noted.read(place.file("derived/seen", rest))
        case _:
            _beat(rest)


def _beat(data: bytes) -> None:
    """What `status` reads with the standard library alone."""
    path = place.folder("lab")
    at, rest = chosen(data, 3)
    place.folder("lab/experiments")
    place.file("lab/LAB-INDEX.json", rest if at == 0 else _kept("LAB-INDEX.json"))
    place.file("lab/registry/events.jsonl", _chain(2) + rest + b"\n" if at == 1 else b"")
    lab = Layout(path)
    for name in (lab.heartbeat, lab.schedule):
        os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(name, "wb") as file:
            file.write(rest)
    beat = heartbeat.read(path)
    if beat is not None:
        heartbeat.line(beat)
    told_index.warnings(told_index.read_index(path), path)


def _moments(data: bytes) -> None:
    """Words for a length of time or a cadence: understood, or refused; what is understood is at least nothing."""
    at, rest = chosen(data, 3)
    words = rest.decode(errors="replace")
    if at == 0:
        cadence.parse(words)
    elif at == 1:
        promise(0 <= cadence.duration_s(words, "time") < math.inf, "a length of time that is none")
    else:
        limit = time_limit.seconds(words)
        promise(limit is None or limit >= 0, "a limit below nothing")


def _notes(data: bytes) -> None:
    """What a proposer says of its change comes back as it was kept, and keeps to its size."""
    found = asi.parse(data.decode(errors="surrogateescape"), "asi.json")
    told = asi.told(found)
    again = asi.parse(canonical.page(told).decode(), own=True)
    promise(asi.told(again) == told, "notes that were kept read otherwise")


TARGETS = (
    Target(
        name="spec",
        what="SPEC.yaml",
        read=_spec,
        seeds=(SPEC, TUNED),
        most=16_384,
        words=(
            "&a ",
            "*a",
            "<<: ",
            "!!str ",
            "search_space:",
            "cadence: ",
            "proxy_command: ",
            "shell: true\n",
            "tinker:",
        ),
        reads=(
            "lab.core.spec",
            "lab.core.spec_reading",
            "lab.core.spec_text",
            "lab.core.spec_values",
            "lab.core.spec_rules",
            "lab.core.spec_fields",
            "lab.core.spec_evaluation",
            "lab.core.spec_tuning",
            "lab.core.ids",
            "lab.core.cadence",
            "lab.store.experiments",
        ),
    ),
    Target(
        name="space",
        what="search spaces, their constraints among them",
        read=_space,
        seeds=(SPACE, PLAIN),
        most=8_192,
        words=(
            "low",
            "high",
            "log",
            "step",
            "type",
            "choices",
            "when",
            "constraints",
            "lr ** 9 ** 9",
            "abs(",
            "a and ",
            "parameters",
        ),
        reads=("lab.core.space", "lab.core.constraint", "lab.scheduler.search.spaces", "lab.core.spec_text"),
    ),
    Target(
        name="records",
        what=f"every record that is written ({len(_KINDS)} kinds): claims, seals, manifests, packages, proposals ...",
        read=_record,
        seeds=_RECORDS,
        head=1,
        words=("format", "outcome", "value", "crash", "run", "files"),
        reads=("lab.core.record",),
    ),
    Target(
        name="ledger",
        what="registry/events.jsonl",
        read=_ledger,
        seeds=(_chain(4), _chain(1)[:-1] + b"\n" + _chain(2)),
        words=("seq", "prev", "torn", '"experiment":"lr-sweep"'),
        reads=("lab.store.ledger", "lab.store.root"),
    ),
    Target(
        name="pages",
        what="derived files: tables, the index, STATUS.json, curves, pictures, heartbeats",
        read=_derived,
        seeds=tuple(bytes((at,)) + seed for at, seed in DERIVED),
        head=1,
        most=8_192,
        words=("schema_version", "ledger", "end", "experiments", "format", "points", "at_s"),
        reads=(
            "lab.projections.tables",
            "lab.projections.index",
            "lab.projections.status",
            "lab.core.curve",
            "lab.projections.picture.whole",
            "lab.projections.autoresearch_log",
            "lab.store.repository.noted",
            "lab.cli.heartbeat",
            "lab.cli.index",
        ),
    ),
    Target(
        name="moments",
        what="cadences and lengths of time",
        read=_moments,
        head=1,
        most=256,
        seeds=(
            b"\x00*/5 9-17 1,15 jan mon-fri",
            b"\x00every-10-minutes",
            b"\x00@daily",
            b"\x011.5h",
            b"\x0190",
            b"\x021-12:30:00",
        ),
        words=("*", "-", "/", ",", "sun", "every-", "UNLIMITED"),
        reads=("lab.core.cadence", "lab.core.time_limit"),
    ),
    Target(
        name="notes",
        what="asi.json, the notes of a proposer",
        read=_notes,
        seeds=(
            b'{"hypothesis": "h", "change": "c", "result": "claimed", "more": {"a": [1, 2.5, null]}, "next_action_hint": "n"}',
        ),
        words=("hypothesis", "rollback_reason", "claimed_result"),
        reads=("lab.core.asi", "lab.core.json_text"),
    ),
)
