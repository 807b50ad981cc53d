"""Records own their bytes: what was written comes back, and anything else is refused by name, never guessed."""

from __future__ import annotations

import json
import math
import string
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core.claim import Claim, Owner
from lab.core.errors import BadInput, Corrupt
from lab.core.event import Event, Line, mention
from lab.core.manifest import Manifest, Usage
from lab.core.origin import Origin
from lab.core.record import FORMAT, Record, encode, page, parse
from lab.core.run import CANCELLED, CRASH, FAILED, OUTCOMES, SUCCESS, TIMEOUT, VERDICTS, Run, better
from lab.core.seal import Anchor, Seal, SealedFile

text = st.text(max_size=20)
name = st.text(string.ascii_letters + string.digits + "-._", min_size=1, max_size=20)
number = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(0, 1e300)
count = st.integers(0, 2**53)
owners = st.builds(Owner, name=text, host=text, boot_id=text, pid_namespace=count, pid=count, start_ticks=count)


@st.composite
def some_runs(draw: st.DrawFn) -> Run:
    outcome = draw(st.sampled_from(OUTCOMES))
    return Run(
        run_id=draw(name),
        experiment=draw(name),
        outcome=outcome,
        value=draw(st.none() | number) if outcome == SUCCESS else None,
        direction=draw(st.sampled_from(["minimize", "maximize"])),
        iteration=draw(count),
        tier=draw(name),
        verdict=draw(st.sampled_from(VERDICTS)),
        wall_s=draw(positive),
        cost=draw(positive),
        signals=tuple(draw(st.lists(text, max_size=3))),
        reason=draw(text),
        note=draw(text),
    )


claims = st.builds(
    Claim, experiment=name, generation=count, lease_id=text, owner=owners, claimed_at=text, ttl_s=positive, run_id=text
)
seals = st.builds(
    Seal,
    run=some_runs(),
    generation=count,
    anchor=st.builds(Anchor, seq=count, sha256=text),
    sealed_at=text,
    sealed_by=text,
    files=st.dictionaries(text, st.builds(SealedFile, sha256=text, size=count, link=st.booleans()), max_size=4),
)
manifests = st.builds(
    Manifest,
    run_id=name,
    experiment=name,
    status=st.sampled_from(["running", *OUTCOMES]),
    owner=owners,
    value=st.none() | number,
    wall_s=positive,
    signals=st.lists(text, max_size=3).map(tuple),
    usage=st.builds(Usage, cpu_s=st.none() | positive, exit_code=st.none() | st.integers(-128, 255)),
)
events = st.builds(
    Event,
    type=name,
    ts=text,
    experiment=text,
    reason=text,
    facts=st.dictionaries(text, text | number | count | st.booleans() | st.none(), max_size=3),
)
lines = st.builds(Line, seq=count, prev=text, event=events, torn=text)
KINDS: tuple[type[Record], ...] = (Claim, Seal, Manifest, Line)


@given(claims | seals | manifests | lines)
def test_what_was_written_comes_back(record: Record) -> None:
    for data in (encode(record), page(record)):
        assert parse(type(record), data, "f") == record
    assert encode(record).count(b"\n") == 1


@given(claims | seals | manifests | lines)
def test_equal_records_have_equal_bytes(record: Record) -> None:
    again = parse(type(record), encode(record), "f")
    assert encode(again) == encode(record)
    assert page(again) == page(record)


@pytest.mark.parametrize(
    "record",
    [
        Manifest(run_id="r", experiment="e", origin=Origin(seed=True)),
        Manifest(run_id="r", experiment="e", origin=Origin(note=5)),  # type: ignore[arg-type]  # as a plug-in may say
        Manifest(run_id="r", experiment="e", origin=Origin(note="\ud800")),
        Manifest(run_id="r", experiment="e", iteration=1.5),  # type: ignore[arg-type]
        Manifest(run_id="r", experiment="e", lease_id=object()),  # type: ignore[arg-type]
        Line(seq=True, prev="", event=Event(type="t", ts="")),
    ],
)
def test_what_would_not_come_back_is_never_written(record: Record) -> None:
    for written in (encode, page):
        with pytest.raises(BadInput, match="can say so"):
            written(record)


@given(st.binary(max_size=200), st.sampled_from(KINDS))
def test_any_garbage_is_refused_as_corrupt_and_with_nothing_else(data: bytes, kind: type[Record]) -> None:
    with pytest.raises(Corrupt) as refused:
        parse(kind, data, "the/file")
    assert refused.value.where == "the/file"
    assert refused.value.fix


json_values = st.recursive(
    st.none() | st.booleans() | number | st.integers() | text,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(text | st.sampled_from(["format", "run", "event"]), inner)
    ),
    max_leaves=8,
)


@given(json_values, st.sampled_from(KINDS))
def test_any_other_json_is_refused_as_corrupt_too(value: object, kind: type[Record]) -> None:
    with pytest.raises(Corrupt):
        parse(kind, json.dumps(value).encode(), "f")


@given(claims | seals | manifests | lines, st.data())
def test_a_record_cut_or_changed_anywhere_is_refused_or_is_a_record(record: Record, data: st.DataObject) -> None:
    whole = encode(record)
    at = data.draw(st.integers(0, len(whole) - 2))
    with pytest.raises(Corrupt):
        parse(type(record), whole[:at], "f")
    changed = whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]
    with suppress(Corrupt):
        parse(type(record), changed, "f")


@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"run":' * 50_000, b"\0" * 4096, b"1e999", b'{"a":1}{"a":2}'])
@pytest.mark.parametrize("kind", KINDS)
def test_hostile_bytes_are_refused_as_corrupt(kind: type[Record], data: bytes) -> None:
    with pytest.raises(Corrupt):
        parse(kind, data, "f")


@given(claims | seals | manifests | lines)
def test_a_field_that_a_newer_labctl_added_is_ignored(record: Record) -> None:
    newer = json.loads(encode(record))
    newer["invented_later"] = {"deep": [1, None]}
    assert parse(type(record), json.dumps(newer).encode(), "f") == record


@pytest.mark.parametrize("kind", KINDS)
def test_a_newer_format_is_refused_with_the_way_out(kind: type[Record]) -> None:
    with pytest.raises(Corrupt, match=f"this {kind.__name__.lower()} has format 2") as refused:
        parse(kind, json.dumps({"format": FORMAT + 1, "all": "new"}).encode(), "f")
    assert "upgrade" in refused.value.fix


@pytest.mark.parametrize("written", [0, -1, 2])
def test_a_format_that_was_never_written_is_refused_even_if_all_else_fits(written: int) -> None:
    whole = Manifest(run_id="r", experiment="a")
    data = encode(whole).replace(b'"format":1', b'"format":%d' % written)
    with pytest.raises(Corrupt):
        parse(Manifest, data, "f")


@pytest.mark.parametrize(("data", "why"), [(b"", "is empty"), (b"\0\0\n", "only blanks"), (b" ", "only blanks")])
def test_an_empty_file_is_called_empty(data: bytes, why: str) -> None:
    with pytest.raises(Corrupt, match=why):
        parse(Manifest, data, "f")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["value", "wall_s", "cost"])
def test_a_number_that_is_none_is_no_part_of_history(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=r"cannot"):
        msgspec.structs.replace(Run(run_id="r", experiment="a", outcome=SUCCESS), **{field: value})


@pytest.mark.parametrize("outcome", [FAILED, TIMEOUT, CRASH, CANCELLED])
@pytest.mark.parametrize("value", [0, 0.0, 1.5])
def test_a_run_that_did_not_succeed_has_no_value_not_even_zero(outcome: str, value: float) -> None:
    with pytest.raises(ValueError, match="cannot have the value"):
        Run(run_id="r", experiment="a", outcome=outcome, value=value)


@pytest.mark.parametrize(
    ("field", "value"), [("outcome", "ok"), ("verdict", "great"), ("direction", "up"), ("wall_s", -1.0), ("cost", -0.1)]
)
def test_a_seal_with_a_run_that_cannot_be_is_corrupt(field: str, value: object) -> None:
    run = Run(run_id="r", experiment="a", outcome=SUCCESS, value=1.0)
    whole = Seal(run=run, generation=1, anchor=Anchor(), sealed_at="", sealed_by="", files={})
    edited = json.loads(encode(whole))
    edited["run"][field] = value
    with pytest.raises(Corrupt):
        parse(Seal, json.dumps(edited).encode(), "f")


@pytest.mark.parametrize(
    ("worker", "host", "where"),
    [("gpu-3", "alder/0a1b2c3d", "gpu-3"), ("", "alder/0a1b2c3d", "alder"), ("", "alder", "alder"), ("", "", "")],
)
def test_a_run_names_the_machine_it_ran_on(worker: str, host: str, where: str) -> None:
    made = Manifest(run_id="r", experiment="a", worker=worker, owner=Owner(name="engine:slurm", host=host))
    assert made.run().worker == where


def test_a_manifest_with_a_status_that_nobody_wrote_is_corrupt() -> None:
    data = encode(Manifest(run_id="r", experiment="a")).replace(b'"running"', b'"great"')
    with pytest.raises(Corrupt, match="great"):
        parse(Manifest, data, "f")


@given(events.filter(lambda each: bool(each.experiment)))
def test_a_line_always_mentions_its_experiment(event: Event) -> None:
    told = msgspec.structs.replace(event, experiment="lr-sweep")
    assert mention("lr-sweep") in encode(Line(seq=1, prev="", event=told))


@given(number, number)
def test_better_is_strict_and_the_directions_mirror_each_other(a: float, b: float) -> None:
    for direction in ("minimize", "maximize"):
        assert not (better(a, b, direction) and better(b, a, direction))
        assert not better(a, a, direction)
        assert better(a, None, direction)
    assert better(a, b, "minimize") == better(-a, -b, "maximize")
