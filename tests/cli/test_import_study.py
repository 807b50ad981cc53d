"""`labctl import`: trials of an Optuna study as sealed runs, once each, however often it is killed or repeated."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from lab.core.run import CLAIMED, STOPPED_EARLY
from lab.scheduler import cycle
from lab.scheduler.results import import_study
from lab.store import bundles
from lab.testing.files import Crash, CrashingFiles, a_root
from tests.cli.labs import CHECKOUT, dead, me, process, runs_of, whole_tree
from tests.cli.searches import a_searched_lab, some_runs
from tests.scheduler.labs import a_copy, a_lab, reopened, tree

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

    from lab.core.seal import Seal
    from lab.store.root import Root
    from tests.cli.labs import Labctl

    Direction = Literal["minimize", "maximize"]

pytestmark = pytest.mark.skipif(find_spec("optuna") is None, reason="optuna is not installed")

KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from lab.scheduler.results import import_study
from lab.store.files import Files
from lab.testing.files import a_root

class Killed(Files):
    steps = 0
    def step(self, name, path):
        self.steps += 1
        if name == "open" and "SEAL.json" in path:
            print(self.steps)
        if self.steps == int(sys.argv[4]):
            os.kill(os.getpid(), signal.SIGKILL)

files = Killed(durable=False)
import_study.import_study(a_root(sys.argv[2], files), "sweep", sys.argv[3])
"""


def a_study(path: Path, name: str = "tuned", *, direction: Direction = "minimize", trials: int = 4) -> Path:
    """A journal with complete, failed, pruned and unfinished trials, made by Optuna itself."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        study_name=name, storage=JournalStorage(JournalFileBackend(str(path))), direction=direction
    )
    fill(study, trials)
    return path


def fill(study: object, trials: int) -> None:
    import optuna

    assert isinstance(study, optuna.Study)

    def objective(trial: optuna.Trial) -> float:
        lr = trial.suggest_float("lr", 0.0001, 1.0, log=True)
        depth = trial.suggest_int("depth", 1, 8)
        trial.suggest_categorical("kind", ["adam", "sgd"])
        if trial.params["kind"] == "sgd":
            trial.suggest_float("momentum", 0.0, 1.0)
        trial.set_user_attr("seconds", 3)
        trial.set_user_attr("who", "bob")
        if trial.number % 4 == 2:
            trial.report(0.9, 1)
            trial.report(0.8, 2)
            raise optuna.TrialPruned
        if trial.number % 4 == 3:
            raise ValueError
        return lr * depth

    sampler = optuna.samplers.RandomSampler(seed=1)
    study.sampler = sampler
    study.optimize(objective, n_trials=trials, catch=(ValueError,))
    study.ask()


def seals(root: Root, experiment: str = "sweep") -> list[Seal]:
    found = [bundles.load_seal(root.layout.run(experiment, run_id)) for run_id in bundles.names(root, experiment)]
    return [seal[0] for seal in found if seal is not None]


def test_every_finished_trial_becomes_a_sealed_run(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    root = a_searched_lab(place)
    journal = a_study(tmp_path / "journal.log")
    before = journal.read_bytes()
    said = labctl.done("import", "sweep", str(journal))
    assert said.out.splitlines() == [
        "imported: 4 runs (2 with a value) of the study tuned into tier proxy",
        "not finished, left out: 1",
    ]
    assert journal.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal.log", "lab"]  # no lock was made beside it
    runs = sorted((made.run for made in seals(root)), key=lambda run: run.iteration)
    assert [run.outcome for run in runs] == ["success", "success", "cancelled", "failed"]
    assert all(made.imported_from == f"study tuned in {journal}" for made in seals(root))
    assert [run.origin.number for run in runs if run.origin] == [0, 1, 2, 3]
    assert {run.origin.strategy for run in runs if run.origin} == {"optuna"}
    assert runs[2].reason.startswith(STOPPED_EARLY)
    assert all(run.started_at.endswith("Z") and run.wall_s >= 0 for run in runs)
    params = labctl.done("params", runs[0].run_id, "--json").data["params"]
    assert isinstance(params, dict)
    assert runs[0].value == params["lr"] * params["depth"]
    assert labctl.done("verify").out.startswith("all as it was sealed: 4 runs")
    line = json.loads((place / "experiments/sweep/metrics.jsonl").read_text().splitlines()[0])
    assert line["seconds"] == 3
    curve = json.loads((place / "experiments/sweep/metrics.jsonl").read_text().splitlines()[2])["report"]
    assert curve == [[1.0, 0.9], [2.0, 0.8]]


def test_what_a_study_claims_is_no_success_of_ours(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    some_runs(a_searched_lab(place))
    labctl.done("import", "sweep", str(a_study(tmp_path / "journal.log")))
    summary = (place / "experiments/sweep/SUMMARY.md").read_text()
    assert f": 3 success, 1 failed, 4 {CLAIMED}\n" in summary
    assert f"| proxy | 8 | 3 and 2 {CLAIMED} |" in summary
    assert f"- Runs: 8 (3 success, 1 failed, 4 {CLAIMED})" in labctl.done("context", "sweep").out


def test_attributes_of_any_name_leave_the_table_readable(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    import optuna

    a_searched_lab(place)
    study = optuna.create_study(study_name="odd", storage=f"sqlite:///{tmp_path}/odd.db")
    hostile = {"stopped_early": 12, "params": 5, "cut_off": True, "report": 1, "ts": 3, "left_out": 1}
    study.add_trial(optuna.create_trial(value=0.5, user_attrs=hostile))
    labctl.done("import", "sweep", "odd.db")
    table = place / "experiments/sweep/metrics.jsonl"
    written = table.read_bytes()
    assert json.loads(written)["run.stopped_early"] == 12
    assert labctl.done("best", "sweep", "--json").data["value"] == 0.5
    labctl.done("export", "sweep", "--format", "optuna", "--output", "again.log")
    table.unlink()
    labctl.done("refresh")
    assert table.read_bytes() == written


def test_a_second_import_adds_nothing_wherever_the_file_lies_by_then(
    labctl: Labctl, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_searched_lab(place)
    journal = a_study(tmp_path / "journal.log")
    labctl.done("import", "sweep", str(journal))
    before = tree(str(place))
    moved = journal.rename(tmp_path / "moved.log")
    monkeypatch.setenv("TZ", "America/New_York")
    data = labctl.done("import", "sweep", str(moved), "--json").data
    assert (data["runs"], data["known"]) == (0, 4)
    assert tree(str(place)) == before


def test_trials_that_the_study_got_since_come_over_alone(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    root = a_searched_lab(place)
    journal = a_study(tmp_path / "journal.log")
    labctl.done("import", "sweep", str(journal))
    fill(optuna.load_study(study_name="tuned", storage=JournalStorage(JournalFileBackend(str(journal)))), 2)
    data = labctl.done("import", "sweep", str(journal), "--json").data
    assert (data["runs"], data["known"]) == (2, 4)
    numbers = sorted(made.run.origin.number for made in seals(root) if made.run.origin)
    assert numbers == list(range(6))


def test_what_was_exported_is_not_imported_again_but_into_another_experiment_it_is(
    labctl: Labctl, place: Path, tmp_path: Path
) -> None:
    root = a_lab(place, "other")
    from tests.cli.searches import SPACE
    from tests.scheduler.labs import an_experiment

    an_experiment(root, "sweep", SPACE)
    some_runs(root)
    labctl.done("export", "sweep", "--format", "optuna", "--output", "j.log")
    data = labctl.done("import", "sweep", "j.log", "--study", "sweep.proxy", "--json").data
    assert (data["runs"], data["known"]) == (0, 4)
    assert labctl.done("import", "other", "j.log", "--json").data["runs"] == 4
    mine = [row["params"] for row in labctl.done("top", "sweep", "--json").data["runs"]]
    theirs = [row["params"] for row in labctl.done("top", "other", "--json").data["runs"]]
    assert mine == theirs
    assert not set(runs_of(root, "sweep")) & set(runs_of(root, "other"))  # a run is found by its id alone


def test_a_dry_run_writes_nothing_at_all(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    a_searched_lab(place)
    journal = a_study(tmp_path / "journal.log")
    before = tree(str(place))
    said = labctl.done("import", "sweep", str(journal), "--dry-run")
    assert said.out.startswith("would import: 4 runs (2 with a value)")
    assert tree(str(place)) == before


def test_a_study_that_goes_the_other_way_is_refused(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    root = a_searched_lab(place)
    said = labctl("import", "sweep", str(a_study(tmp_path / "j.log", direction="maximize")))
    assert said.code == 2
    assert "the study tuned maximizes; tier proxy of sweep wants to minimize" in said.err
    assert seals(root) == []


def test_of_several_studies_one_has_to_be_named(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    a_searched_lab(place)
    a_study(tmp_path / "j.log")
    a_study(tmp_path / "j.log", "tuner")
    assert "--study NAME, one of" in labctl("import", "sweep", "j.log").err
    wrong = labctl("import", "sweep", "j.log", "--study", "tunes")
    assert wrong.code == 2
    assert "did you mean tune" in wrong.err
    assert labctl.done("import", "sweep", "j.log", "--study", "tuner").code == 0


def test_a_sqlite_study_is_read_by_path_and_by_url_and_not_written_to(
    labctl: Labctl, place: Path, tmp_path: Path
) -> None:
    import optuna

    root = a_searched_lab(place)
    path = tmp_path / "a study.db"
    study = optuna.create_study(study_name="db", storage=f"sqlite:///{path}", direction="minimize")
    fill(study, 4)
    before = path.read_bytes()
    path.chmod(0o444)
    assert labctl.done("import", "sweep", f"sqlite:///{path}", "--json").data["runs"] == 4
    assert labctl.done("import", "sweep", str(path), "--json").data["known"] == 4
    assert path.read_bytes() == before
    assert {made.imported_from for made in seals(root)} == {f"study db in {path}"}


def test_a_name_from_outside_cannot_speak_to_the_terminal(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    a_searched_lab(place)
    evil = "a\nb\x1b[31mc\u202ed"
    journal = str(a_study(tmp_path / "j.log", evil))
    for words in ((), ("--dry-run",), ("--study", "other"), ("--study", "a b")):
        said = labctl("import", "sweep", journal, *words).all
        assert "\x1b" not in said
        assert "\u202e" not in said
        assert "a\nb" not in said
    assert labctl.done("import", "sweep", journal, "--study", evil, "--json").data["study"] == evil
    assert {made.imported_from for made in seals(a_root(place))} == {f"study a bcd in {journal}"}


def test_a_study_without_trials_is_said_to_have_none(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    a_searched_lab(place)
    journal = a_study(tmp_path / "j.log")
    journal.write_bytes(journal.read_bytes().splitlines(keepends=True)[0])
    said = labctl.done("import", "sweep", str(journal))
    assert "warning: the study tuned in" in said.err
    assert "has no trials: nothing to import" in said.err


def test_trials_outside_the_space_are_imported_and_told(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    root = a_lab(place, "sweep", more="search_space:\n  lr: {type: float, low: 0.5, high: 0.6}\n")
    said = labctl.done("import", "sweep", str(a_study(tmp_path / "j.log")))
    assert "outside the search space as it is now, so that no strategy sees them: 4" in said.out
    assert len(seals(root)) == 4


def test_a_tier_can_be_named(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    root = a_searched_lab(place)
    labctl.done("import", "sweep", str(a_study(tmp_path / "j.log")), "--tier", "final")
    assert {made.run.tier for made in seals(root)} == {"final"}
    assert labctl("import", "sweep", "j.log", "--tier", "finale").code == 2


def test_a_limit_that_these_runs_use_up_is_told(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    a_searched_lab(place)
    with (place / "experiments/sweep/SPEC.yaml").open("r+") as spec:
        text = spec.read().replace("max_iterations_total: 1000", "max_iterations_total: 4")
        spec.seek(0)
        spec.write(text)
        spec.truncate()
    said = labctl.done("import", "sweep", str(a_study(tmp_path / "j.log")))
    assert "max_iterations_total is 4 and counts these runs too: 4 with them" in said.err


def test_a_last_line_that_a_crash_tore_is_passed_over(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    a_searched_lab(place)
    journal = a_study(tmp_path / "j.log")
    with journal.open("ab") as file:
        file.write(b'{"op_code":4,"worker_id":"x","stu')
    assert labctl.done("import", "sweep", str(journal), "--json").data["runs"] == 4


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "there is no study in it"),
        (b"hello\n", "this is no Optuna journal"),
        (b'{"op_code":4}\n', "this journal is damaged"),
        (b"[1]\n" * 3, "this is no Optuna journal"),
        (b"SQLite format 3\0" + b"\0" * 4096, "cannot be read as an Optuna storage"),
    ],
)
def test_what_is_no_study_is_refused_by_name(
    data: bytes, words: str, labctl: Labctl, place: Path, tmp_path: Path
) -> None:
    a_searched_lab(place)
    (tmp_path / "odd").write_bytes(data)
    said = labctl("import", "sweep", "odd")
    assert said.code == 2, said
    assert words in said.err
    assert (tmp_path / "odd").read_bytes() == data


@pytest.mark.parametrize("given", ["gone.log", "sqlite:///gone.db", "lab"])
def test_what_is_not_there_is_not_made(given: str, labctl: Labctl, place: Path, tmp_path: Path) -> None:
    a_searched_lab(place)
    assert labctl("import", "sweep", given).code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lab"]


def test_an_sqlite_file_of_somebody_else_is_refused(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    import sqlite3

    a_searched_lab(place)
    with sqlite3.connect(tmp_path / "other.db") as base:
        base.execute("create table mine (a)")
    base.close()
    before = (tmp_path / "other.db").read_bytes()
    said = labctl("import", "sweep", "other.db")
    assert said.code == 2
    assert "cannot be read as an Optuna storage" in said.err
    assert (tmp_path / "other.db").read_bytes() == before


def test_several_objectives_are_refused(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    import optuna

    a_searched_lab(place)
    optuna.create_study(study_name="two", storage=f"sqlite:///{tmp_path}/two.db", directions=["minimize", "maximize"])
    assert "has 2 objectives" in labctl("import", "sweep", "two.db").err


def test_a_password_in_a_url_is_written_nowhere(labctl: Labctl, place: Path) -> None:
    a_searched_lab(place)
    said = labctl("import", "sweep", "postgresql://ann:hunter2@127.0.0.1:1/base")
    assert said.code in (2, 5)
    assert "hunter2" not in said.all


def test_without_optuna_the_extra_is_named(place: Path, tmp_path: Path) -> None:
    a_searched_lab(place)
    (tmp_path / "without/optuna").mkdir(parents=True)
    (tmp_path / "without/optuna/__init__.py").write_text("raise ImportError\n")
    said = process("import", "sweep", "j.log", root=place, env={"PYTHONPATH": str(tmp_path / "without")})
    assert said.code == 5
    assert "pip install 'labctl[search]'" in said.err


def test_a_run_under_way_and_its_generation_are_left_alone(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    from tests.scheduler.labs import ended

    root = a_searched_lab(place)
    running = cycle.begin(root, "sweep", owner=me(), params={"lr": 0.1, "depth": 1, "kind": "adam"})
    labctl.done("import", "sweep", str(a_study(tmp_path / "j.log")))
    cycle.finish(root, running, ended(0.5))
    assert len(seals(root)) == 5
    assert cycle.begin(root, "sweep", owner=me()).manifest.generation == 2
    assert labctl.done("verify").code == 0


@pytest.mark.heavy
def test_an_import_that_stops_before_any_of_its_writes_is_made_whole_by_the_next_one(
    place: Path, tmp_path: Path
) -> None:
    from lab.store import verify

    journal = str(a_study(tmp_path / "j.log", trials=1))
    beginning = a_searched_lab(place).layout.root
    counted = CrashingFiles()
    import_study.import_study(a_copy(beginning, "whole", counted), "sweep", journal)
    assert counted.steps > 20
    for at in range(1, counted.steps + 1):
        root = a_copy(beginning, str(at), CrashingFiles(at=at))
        with pytest.raises(Crash):
            import_study.import_study(root, "sweep", journal)
        after = reopened(root)
        import_study.import_study(after, "sweep", journal)
        assert [seal.run.outcome for seal in seals(after)] == ["success"], at
        assert verify.verify(after).damage == (), at
        assert import_study.import_study(after, "sweep", journal).runs == 0


@pytest.mark.heavy
def test_what_a_killed_import_left_may_be_settled_by_recover_first(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    a_searched_lab(place)
    journal = a_study(tmp_path / "j.log", trials=2)
    shutil.copytree(place, tmp_path / "whole")
    steps = _killed(tmp_path / "whole", journal, 1 << 40).stdout.split()
    before_seal = int(steps[0])
    assert _killed(place, journal, before_seal).returncode == -signal.SIGKILL
    labctl.done("recover")
    assert [made.run.outcome for made in seals(a_root(place))] == ["success"]
    labctl.done("import", "sweep", str(journal))
    assert [made.run.outcome for made in seals(a_root(place))] == ["success", "success"]
    assert labctl.done("verify").code == 0


def _killed(place: Path, journal: Path, at: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", KILLED, str(CHECKOUT), str(place), str(journal), str(at)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=15)


@pytest.mark.heavy
@pytest.mark.timeout(60)  # three processes that load optuna
def test_two_imports_at_once_bring_each_trial_once(place: Path, tmp_path: Path) -> None:
    root = a_searched_lab(place)
    journal = a_study(tmp_path / "j.log", trials=40)
    command = [sys.executable, str(CHECKOUT / "scripts/labctl.py"), "--data-root", str(place), "import", "sweep"]
    both = [subprocess.Popen([*command, str(journal)], stdout=subprocess.PIPE) for _ in range(2)]
    for child in both:
        child.communicate(timeout=18)
        assert child.returncode == 0
    assert len(seals(root)) == 40
    assert len({made.run.origin.note for made in seals(root) if made.run.origin}) == 40


def test_a_search_goes_on_from_what_was_imported(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    from lab.scheduler.search.book import Book

    root = a_searched_lab(place)
    labctl.done("import", "sweep", str(a_study(tmp_path / "j.log")))
    book = Book(root, "sweep")
    book.catch_up()
    assert len(book.ended) == 4
    assert (book.highest, book.seed) == (3, None)


def test_the_seed_of_a_search_stays_what_it_was(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    from lab.scheduler.search.book import Book

    root = a_searched_lab(place)
    some_runs(root)
    labctl.done("import", "sweep", str(a_study(tmp_path / "j.log")))
    book = Book(root, "sweep")
    book.catch_up()
    assert (book.seed, book.searched) == (7, 4)
    assert {made.run.origin.kind for made in seals(root) if made.run.origin} == {"", "imported"}
    last = next(run_id for run_id in runs_of(root, "sweep") if run_id.endswith("optuna"))
    assert "parameters by: optuna, imported, trial 4\n" in labctl.done("show", last).out


def test_the_files_of_the_study_and_of_the_dead_are_not_touched(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    root = a_searched_lab(place)
    cycle.begin(root, "sweep", owner=dead())
    (tmp_path / "study").mkdir()
    journal = a_study(tmp_path / "study/j.log")
    before = whole_tree(tmp_path / "study")
    labctl.done("import", "sweep", str(journal))
    assert whole_tree(tmp_path / "study") == before
