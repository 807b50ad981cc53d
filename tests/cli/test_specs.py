"""SPECs that nobody should have to debug: refused whole, with the line, and nobody else is troubled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.labs import a_busy_lab, a_lab, whole_tree
from tests.cli.searches import a_searched_lab, some_runs

if TYPE_CHECKING:
    from tests.cli.labs import Labctl

ALIASES = "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}]\n"
    for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
BAD = {
    "empty": b"",
    "a list": b"- a\n- b\n",
    "a word": b"hello\n",
    "binary": bytes(range(256)) * 4,
    "an image": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "huge": b"id: alpha\ngoal: " + b"x" * (2 << 20) + b"\n",
    "deep": b"id: gamma\ntags: " + b"[" * 5000 + b"]" * 5000 + b"\n",
    "deep maps": b"id: gamma\ntags: " + b"{a: " * 3000 + b"1" + b"}" * 3000 + b"\n",
    "aliases without end": b"id: gamma\na: &a [x, x, x, x, x, x, x, x, x]\n" + ALIASES.encode() + b"tags: *i\n",
    "an alias of itself": b"id: gamma\ntags: &t [*t]\n",
    "an object": b"id: gamma\ngoal: !!python/object/apply:os.system [touch pwned]\n",
    "not closed": b"id: gamma\ntags: [a, b\n",
    "tabs": b"id: gamma\ntags:\n\t- a\n",
    "twice": b"id: gamma\nid: delta\nmetric: loss\n",
    "two documents": b"id: gamma\n---\nid: delta\n",
    "latin-1": "id: gamma\ngoal: café\n".encode("latin-1"),
    "utf-16": "id: gamma\n".encode("utf-16"),
    "misspelt": b"id: gamma\nmetric: loss\nmetric_directon: minimize\n",
    "no id": b"metric: loss\n",
    "a wrong direction": b"id: gamma\nmetric: loss\nmetric_direction: sideways\n",
    "NaN": b"id: gamma\nmetric: loss\ntime_budget: .nan\n",
    "infinite": b"id: gamma\nmetric: loss\ntime_budget_minutes: .inf\n",
    "negative": b"id: gamma\nmetric: loss\ntime_budget_minutes: -1\n",
    "a number with 5000 digits": b"id: gamma\nmetric: loss\nmax_iterations_total: " + b"9" * 5000 + b"\n",
    "lots": b"id: gamma\nmetric: loss\nmax_iterations_total: lots\n",
    "a wrong cadence": b"id: gamma\nmetric: loss\ncadence: every-5-moons\n",
    "a path for an id": b"id: ../../../escape\nmetric: loss\n",
    "a role that is a path": b"id: gamma\nmetric: loss\nworker_roles: [../../x]\n",
}  # fmt: skip
NAMES_A_LINE = {"misspelt": 3, "a wrong direction": 3, "lots": 3, "a wrong cadence": 3, "a path for an id": 1, "NaN": 3}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_spec_is_refused_whole(bad: str, labctl: Labctl, place: Path, tmp_path: Path) -> None:
    a_lab(place, "alpha")
    spec = tmp_path / "bad.yaml"
    spec.write_bytes(BAD[bad])
    before = whole_tree(tmp_path)
    for verb in ("create", "validate"):
        said = labctl(verb, str(spec))
        assert said.code == 2, said
        assert "error[bad-input]" in said.err
        assert "bad.yaml" in said.err
        assert len(said.err) < 4000  # the file is not quoted back whole
        if bad in NAMES_A_LINE:
            assert f"line {NAMES_A_LINE[bad]}" in said.err
    assert whole_tree(tmp_path) == before


def test_a_misspelt_field_gets_the_nearest(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_bytes(BAD["misspelt"])
    assert "metric_direction" in labctl("validate", "bad.yaml").err.replace("metric_directon", "")


def test_all_problems_of_a_spec_are_named_at_once(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(
        "id: ../x\nmetric_direction: sideways\ncadence: soon\nmax_iterations_total: lots\n"
    )
    told = labctl("validate", "bad.yaml").err
    assert [f"line {number}" in told for number in (1, 2, 3, 4)] == [True] * 4


@pytest.mark.parametrize("given", ["folder", ".", "nowhere.yaml", "/dev/null"])
def test_what_is_no_spec_file_is_refused(given: str, labctl: Labctl, place: Path, tmp_path: Path) -> None:
    a_lab(place, "alpha")
    (tmp_path / "folder").mkdir()
    before = whole_tree(tmp_path)
    said = labctl("create", given)
    assert said.code == 2
    assert whole_tree(tmp_path) == before


def test_a_folder_with_a_spec_in_it_is_as_good_as_the_file(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    a_lab(place)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/SPEC.yaml").write_text("id: mine\nmetric: loss\nexecutor_command: 'true'\n")
    assert labctl.done("create", "mine").out == "created experiment: mine\n"


def test_who_makes_an_experiment_from_a_folder_hears_where_its_spec_is_now_and_with_whom_it_shares_its_files(
    labctl: Labctl, place: Path, tmp_path: Path
) -> None:
    root = a_lab(place)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/SPEC.yaml").write_text("id: mine\nmetric: loss\nexecutor_command: 'true'\n")
    first = labctl.done("create", "mine").err
    assert f"its SPEC from now on: {root.layout.spec('mine')}; the one in that folder is not read any more" in first
    assert "shared" not in first
    second = labctl.done("create", "mine", "--id", "other").err
    assert f"made from: {tmp_path}/mine, as it lies there; its files are shared with mine" in second
    assert root.layout.spec("other") in second


def test_a_change_of_the_spec_that_an_experiment_was_made_from_is_told_to_be_in_vain(
    labctl: Labctl, place: Path, tmp_path: Path
) -> None:
    root = a_lab(place)
    written = tmp_path / "mine/SPEC.yaml"
    written.parent.mkdir()
    written.write_text("id: mine\nmetric: loss\nexecutor_command: 'true'\n")
    labctl.done("create", "mine", "--id", "other")
    own = Path(root.layout.spec("other"))
    own.write_text(own.read_text() + "cadence: 0\n")  # the right one
    for words in (("validate", "other"), ("resume", "other")):
        assert "is not read" not in labctl.done(*words).err
    written.write_text(written.read_text() + "max_iterations_total: 5\n")
    for words in (("validate", "other"), ("resume", "other")):
        assert f"warning: {written} was changed, and is not read: what counts is {own}" in labctl.done(*words).err
    own.write_bytes(written.read_bytes())
    assert "is not read" not in labctl("validate", "other").err


@pytest.mark.parametrize(
    "words", [("burst", "mine", "-n", "1"), ("swarm", "mine", "-n", "1"), ("guided", "mine", "-n", "1", "--wait", "0")]
)
def test_who_starts_runs_hears_that_the_spec_that_was_edited_is_not_read(
    words: tuple[str, ...], labctl: Labctl, place: Path, tmp_path: Path
) -> None:
    """And hears it first: two hours of runs with the old depth are what the edit was to prevent."""
    a_lab(place)
    written = tmp_path / "mine/SPEC.yaml"
    written.parent.mkdir()
    written.write_text(
        "id: mine\nmetric: accuracy\nexecutor_command: 'echo METRIC accuracy={params.x}'\n"
        "search_space: {x: {low: 0.0, high: 9.0}}\n"
    )
    labctl.done("create", "mine")
    assert "is not read" not in labctl(*words).err
    written.write_text(written.read_text().replace("9.0", "3.0"))
    said = labctl(*words)
    assert said.err.startswith(f"warning: {written} was changed, and is not read: ")
    assert said.all.count("is not read") == 1
    if words[0] != "guided":
        assert "is not read" in " ".join(labctl.done(*words, "--json").envelope["warnings"])


def test_a_turn_that_names_the_experiment_tells_it_too(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    a_lab(place)
    written = tmp_path / "mine/SPEC.yaml"
    written.parent.mkdir()
    written.write_text("id: mine\nmetric: accuracy\ncadence: 1h\nexecutor_command: 'echo METRIC accuracy=1'\n")
    labctl.done("create", "mine")
    written.write_text(written.read_text().replace("1h", "0"))
    assert "mine/SPEC.yaml was changed" in labctl.done("run-once", "--experiment", "mine").err
    assert labctl.done("run-once").err == ""  # nothing is due, and cron sends no mail


def test_the_same_id_twice_is_refused_and_another_is_offered(labctl: Labctl, place: Path) -> None:
    a_lab(place)
    labctl.done("create", "research-sprint", "--id", "mine")
    before = whole_tree(place / "experiments")
    for more in ((), ("--dry-run",)):
        said = labctl("create", "research-sprint", "--id", "mine", *more)
        assert said.code == 2
        assert "there is an experiment mine already" in said.err
        assert "--id mine-2" in said.err
    assert whole_tree(place / "experiments") == before


@pytest.mark.parametrize("bad", [name for name in BAD if name != "huge"])
def test_a_spec_edited_into_nonsense_stops_nobody_else(bad: str, labctl: Labctl, place: Path) -> None:
    a_busy_lab(place)
    (place / "experiments/alpha/SPEC.yaml").write_bytes(BAD[bad])
    refused = labctl("validate", "alpha")
    assert refused.code == 2
    assert "experiments/alpha/SPEC.yaml" in refused.err
    assert "experiments/alpha/SPEC.yaml" in labctl("watchdog").out
    assert "experiments/alpha/SPEC.yaml" in labctl.done("refresh").err
    status = labctl.done("status").out
    assert status.startswith("what wants you")
    assert "  alpha: " in status
    assert "runs: 6\n" in status
    rows = dict(line.split("\t", 1) for line in labctl.done("list").out.splitlines())
    assert "runs=3\tbest=0.25" in rows["alpha"]
    assert "runs=3\tbest=0.25" in rows["beta"]
    assert labctl.done("pause", "beta").out == "paused: beta\n"
    assert labctl.done("pause", "alpha").out == "paused: alpha\n"
    assert labctl.done("verify").out.startswith("all as it was sealed: 6 runs")
    labctl("recover")
    assert labctl.done("show", "alpha").err


def test_a_mended_spec_is_as_if_nothing_had_been(labctl: Labctl, place: Path) -> None:
    a_busy_lab(place)
    spec = place / "experiments/alpha/SPEC.yaml"
    good, before = spec.read_bytes(), labctl.done("list").out
    spec.write_bytes(b"nonsense: [\n")
    labctl.done("refresh")
    spec.write_bytes(good)
    labctl.done("refresh")
    assert labctl.done("list").out == before
    assert labctl.done("status", "--json").data["wants_you"] == []


READERS = {
    "validate": ("sweep",), "burst": ("sweep", "-n", "1"), "run-once": ("--experiment", "sweep", "--now"),
    "dispatch-ready": (), "show": ("sweep",), "context": ("sweep",), "best": ("sweep",), "top": ("sweep",),
    "export": ("sweep", "--format", "csv"), "plot": ("sweep", "-o", "sweep.svg"), "cost": ("sweep",),
    "set-fidelity": ("sweep", "final"), "steer": ("sweep", "wider"), "refresh": (), "watchdog": (), "status": (),
}  # fmt: skip


@pytest.mark.parametrize("verb", READERS)
def test_every_verb_tells_of_a_broken_spec_its_path_line_field_and_fix(verb: str, labctl: Labctl, place: Path) -> None:
    some_runs(a_searched_lab(place))
    spec = place / "experiments/sweep/SPEC.yaml"
    spec.write_text(spec.read_text() + "max_parallel: many\n")
    line = len(spec.read_text().splitlines())
    labctl("refresh")  # `status` reads what the pages say
    told = " ".join(labctl(verb, *READERS[verb]).all.split())
    fix = "mend these and try again" if verb == "validate" else "labctl validate sweep"  # it is only being read
    for part in (f"line {line}: max_parallel: must be", "experiments/sweep/SPEC.yaml", fix):
        assert part in told
    assert verb == "validate" or "nothing was written" not in told
