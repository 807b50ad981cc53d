"""The table of which class runs where: what is understood, what is refused, and what follows for one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import engines, engines_text
from lab.core.errors import BadInput
from lab.core.job import Wants

if TYPE_CHECKING:
    from collections.abc import Mapping

KNOWN = ("local", "ray", "slurm")
ROW = "gpu:\n  engine: slurm\n"


def unfit(name: str) -> str:
    return "" if name in KNOWN else f"there is no engine {name!r}"


def read(text: str) -> Mapping[str, Wants]:
    return engines_text.parse(text.encode(), "engines.yaml", unfit)


def refusal(text: str | bytes) -> BadInput:
    with pytest.raises(BadInput) as caught:
        engines_text.parse(text if isinstance(text, bytes) else text.encode(), "engines.yaml", unfit)
    assert caught.value.what
    assert caught.value.fix
    assert caught.value.where.startswith("engines.yaml")
    return caught.value


def test_a_row_says_what_the_jobs_of_its_class_ask_for() -> None:
    text = """\
default: {engine: here}
gpu:
  engine: slurm
  partition: gpu,big
  gres: gpu:a100:2
  memory: 32 GB
  time: 2h
  setup: |
    module load cuda
    export A="b c"
  options: [--constraint=a100, --exclude, n1]
  max_in_flight: 64
"""
    assert read(text)["gpu"] == Wants(
        engine="slurm", partition="gpu,big", gres="gpu:a100:2", memory="32G", time="120",
        setup=("module load cuda", 'export A="b c"'), options=("--constraint=a100", "--exclude", "n1"),
        max_in_flight=64,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("key", "written", "meant"),
    [
        ("memory", "16G", "16G"), ("memory", "500m", "500M"), ("memory", "1.5G", "1536M"), ("memory", "2TiB", "2T"),
        ("time", "90", "90"), ("time", "90m", "90"), ("time", "30s", "1"), ("time", "2:30:00", "2:30:00"),
        ("time", "1-12:00:00", "1-12:00:00"), ("gres", "gpu:1g.5gb:2,license", "gpu:1g.5gb:2,license"),
        ("account", "007", "007"), ("setup", "cd /x", ("cd /x",)), ("cpus", "8", 8), ("partition", "", ""),
    ],
)  # fmt: skip
def test_a_value_becomes_what_engines_take(key: str, written: str, meant: object) -> None:
    assert getattr(read(f"{ROW}  {key}: {written}\n")["gpu"], key) == meant


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("partitoin: x", "did you mean partition?"), ("gpus: 1", "unknown key"), ("engine: slrm", "no engine 'slrm'"),
        ("cpus: -1", "between 0"), ("cpus: two", "must be a number"), ("cpus: 1.5", "whole number"),
        ("nodes: .inf", "finite"), ("memory: 16", "with its unit"), ("memory: 0G", "memory"),
        ("memory: lots", "memory"),
        ("time: soon", "no time limit"), ("time: 0s", "no time limit"), ("gres: gpu=1", "generic resource"),
        ("gres: {gpu: 1}", "must be text"), ("partition: a b", "one word"), ("partition: -x", "one word"),
        ("python: python3", "not absolute"), ("options: --constraint a100", "one flag"), ("setup: ['']", "is blank"),
        ("setup: {a: b}", "must be a list"), ("partition: yes", "is a yes or no"), ("address: [a]", "must be text"),
    ],
)  # fmt: skip
def test_what_is_not_understood_refuses_the_table_with_its_line(line: str, said: str) -> None:
    row = f"# what runs where\ngpu:\n  {'' if line.startswith('engine') else 'engine: slurm'}\n  {line}\n"
    told = refusal(row)
    assert told.where == "engines.yaml line 4"
    assert "line 4: " in told.what
    assert said in str(told)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    told = refusal("gpu:\n  engine: x\n  cpus: y\nbig:\n  memory: 1\n")
    for line in ("line 2", "line 3", "line 4", "line 5"):
        assert f"{line}: " in told.what
    assert told.where == "engines.yaml line 2"


@pytest.mark.parametrize(
    "text",
    [
        "", " \n\n", "gpu:\n", "gpu: slurm\n", "gpu: {}\n", "gpu:\n  partition: x\n", "engine: slurm\n", "- gpu\n",
        "gpu\n", f"{ROW}{ROW}", f"{ROW}  engine: ray\n", "1: {engine: slurm}\n", "a b: {engine: slurm}\n",
        "../x: {engine: slurm}\n", f"{ROW}---\n{ROW}", "gpu: [\n", "gpu: &a\n  engine: *a\n",
        b"gpu:\n  engine: \xff\n", b"\0", b"\x80abc",
        b"# " + b"x" * engines.MAX_BYTES, f"{ROW}\tcpus: 1\n",
    ],
)  # fmt: skip
def test_a_file_that_is_no_table_is_refused(text: str | bytes) -> None:
    refusal(text)


@pytest.mark.parametrize("text", ["# nothing\n", "---\n# nothing\n\n", "\ufeff# nothing", "{}\n"])
def test_comments_alone_are_a_table_without_rows(text: str) -> None:
    assert read(text) == {}


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_rows_or_refused(data: bytes) -> None:
    try:
        rows = engines_text.parse(data, "engines.yaml", unfit)
    except BadInput:
        return
    assert all(row.engine for row in rows.values())


COUNTS = st.integers(0, 99)
ROWS = st.builds(
    Wants, engine=st.sampled_from((*KNOWN, engines.HERE)), partition=st.sampled_from(("", "p")), cpus=COUNTS,
    nodes=COUNTS, gres=st.sampled_from(("", "gpu:1")), memory=st.sampled_from(("", "3G")),
    setup=st.sampled_from(((), ("a", "b"))), max_in_flight=COUNTS, address=st.sampled_from(("", "http://h:1")),
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(("default", "gpu", "x")), ROWS, min_size=1))
def test_a_table_that_is_written_is_read_back(rows: dict[str, Wants]) -> None:
    assert read(msgspec.yaml.encode(rows).decode()) == rows


@given(ROWS, st.sampled_from(("", engines.HERE, *KNOWN)))
def test_what_a_person_says_goes_before_the_table(row: Wants, engine: str) -> None:
    found = engines.choose({"gpu": row}, "gpu", engine)
    meant = engine or row.engine
    assert (found is None) == (meant == engines.HERE)
    if found is not None:
        assert found.engine == meant
        assert (found == row) or (found.cpus, found.gres, found.setup, found.address) == (row.cpus, row.gres, (), "")


def test_a_row_on_the_line_where_a_document_begins_counts() -> None:
    assert read("--- {gpu: {engine: slurm}}\n") == {"gpu": Wants(engine="slurm")}


def test_a_class_without_a_row_runs_here_unless_somebody_says_otherwise() -> None:
    rows = {"gpu": Wants(engine="slurm")}
    assert engines.choose(rows, "default") is None
    assert engines.choose(rows, "default", "slurm") == Wants(engine="slurm")
    assert engines.choose({}, "gpu") is None
