"""From an idea to a study that runs: laid out once, frozen, and shown to work by a run that was really made."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.errors import BadInput, LabError
from lab.core.record import page, parse
from lab.core.run import FAILED
from lab.research.built import Built
from lab.research.declared import Phase
from lab.research.order import Order
from lab.research.phases import implementation
from lab.research.phases.implementation import Study
from lab.research.release import gathered
from lab.research.studies import frozen, laid, outside, study
from lab.research.work.contract import problems
from lab.research.worker import Place
from lab.scheduler import create
from lab.store import bundles
from tests.research import tasks
from tests.scheduler.labs import a_lab

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.research.worker import Task
    from lab.store.root import Root

MEASURE = """\
import os, sys
x = float(os.environ["LAB_PARAM_X"])
print((x - 0.5) ** 2 + (1 if sys.argv[1] == "report" else 0))
"""
SPEC = f"""\
id: bowl            # the user's own name of it
metric: loss
metric_direction: minimize
workspace_root: .
durability: fast
max_iterations_total: 100
executor_command: {sys.executable} -I -S measure.py selection
report_executor_command: {sys.executable} -I -S measure.py report
fidelity_tiers: [selection, report]
search_space:
  x: {{low: -2.0, high: 2.0, default: -1.5}}
  y: {{low: 0, high: 4, type: int, default: 2}}
strategy: random
seed: 1
"""
IDEA = """\
name: nearer
hypothesis: nearer to the middle it is better
metric: loss
direction: minimize
predicted_gain: 0.1
kill: {gain_below: 0.0, after_runs: 4}
space:
  x: {low: -1.75, high: 1.0}
"""
PHASE = {"name": "implementation", "about": "", "executor": "study", "outputs": ["study/", "built.json"]}


def given(**files: str) -> dict[str, bytes]:
    """What the phase is given; a file of a name without its folder is one of the study's."""
    told = {"folder:study/SPEC.yaml": SPEC, "folder:study/measure.py": MEASURE, "ideation/ideas/01-nearer.yaml": IDEA}
    told |= {f"folder:study/{name.replace('__', '.')}": text for name, text in files.items()}
    return {name: text.encode() for name, text in told.items()}


def a_task(root: Root, folder: Path, files: dict[str, bytes], **order: str) -> Task:
    """The task of one run of the project, which lies in this folder. Its run is left open: nobody looks at it."""
    made = Order(phase="implementation", worker="study", **order)  # type: ignore[arg-type]
    running = tasks.begun(root, made)
    task = tasks.a_task(root, running, "implementation", files=files)
    tasks.ended(root, running)
    out = type(task.out)(f"{folder}/out-{running.manifest.run_id}", root.files)
    return msgspec.structs.replace(task, folder=str(folder), phase=msgspec.convert(PHASE, Phase), out=out)


def a_root(place: Path) -> Root:
    root = a_lab(place / "lab")
    tiers = "fidelity_tiers: [literature, ideation, implementation, writing]\nmax_iterations_total: 1000\n"
    tasks.an_experiment(root, place, f"id: {tasks.PROJECT}\nexecutor: stub\ndurability: fast\n{tiers}")
    return root


def built(task: Task) -> Built:
    return parse(Built, task.out.read("built.json") or b"", "built.json")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    return a_root(tmp_path_factory.mktemp("implementation"))


@pytest.fixture(scope="module")
def done(root: Root, tmp_path_factory: pytest.TempPathFactory) -> Task:
    task = a_task(root, tmp_path_factory.mktemp("project"), given())
    Study().work(task)
    return task


def test_the_study_is_narrowed_to_the_idea_and_run_once_at_the_baseline(root: Root, done: Task) -> None:
    told = built(done)
    spec = study.on_disk(told.folder).spec
    assert (told.experiment, told.idea, told.folder) == ("proj-nearer", "nearer", f"{done.folder}/studies/nearer")
    assert spec.id == told.experiment
    assert told.smoke_value == pytest.approx(4.0)
    assert bundles.names(root, told.experiment) == [told.smoke_run]
    assert "SPEC.yaml" in told.frozen
    assert b'+  "x": {' in (done.out.read("change.diff") or b"")
    assert problems(done.phase, done.order, done.out, done) == ()
    assert problems(done.phase, done.order, done.out) == ()


def test_done_again_it_takes_up_what_is_there_and_runs_nothing_twice(root: Root, done: Task) -> None:
    again, before = a_task(root, Path(done.folder), given()), os.listdir(f"{done.folder}/studies")
    Study().work(again)
    assert built(again) == built(done)
    assert bundles.names(root, built(done).experiment) == [built(done).smoke_run]
    assert os.listdir(f"{done.folder}/studies") == before


def test_another_study_of_the_same_idea_is_laid_out_beside_the_first(root: Root, done: Task) -> None:
    other = a_task(root, Path(done.folder), given(measure__py=MEASURE + "# faster\n"))
    Study().work(other)
    assert built(other).folder.startswith(f"{done.folder}/studies/nearer-")
    assert built(other).experiment != built(done).experiment
    assert frozen.changed(built(done), root) == []


def test_the_data_of_the_project_are_the_study_s(root: Root, tmp_path: Path) -> None:
    files = given(data__csv="a,b\n1,2\n") | {"folder:data/mine.csv": b"a,b\n3,4\n", "folder:data/more.jsonl": b"{}\n"}
    found = implementation.given_study(a_task(root, tmp_path, files))
    assert found.files["data.csv"] == b"a,b\n3,4\n"
    assert found.files["more.jsonl"] == b"{}\n"


def test_whatever_measures_is_named_when_it_is_changed_taken_away_or_overtaken(done: Task, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    for name in ("SPEC.yaml", "measure.py"):
        (folder / name).write_bytes((Path(built(done).folder) / name).read_bytes())
    told = msgspec.structs.replace(built(done), folder=str(folder))
    assert frozen.changed(told) == []
    (folder / "notes.txt").write_text("a run may leave this")
    (folder / "random.py").write_text("seed = print")
    (folder / "measure.py").write_text("print(0)")
    (folder / "SPEC.yaml").unlink()
    assert frozen.changed(told) == ["SPEC.yaml is gone", "measure.py was changed", "random.py was not there"]


def test_a_program_that_lies_outside_of_the_study_is_frozen_and_with_another_one_it_is_another_study(
    root: Root, tmp_path: Path
) -> None:
    program, log = tmp_path / "outside.py", tmp_path / "log.txt"
    program.write_text(MEASURE)
    log.touch()
    spec = SPEC.replace("measure.py", str(program)).replace(" selection\n", f" selection --to={log}\n", 1)
    spec = spec.replace(f" --to={log}", f" 2>{log}")
    idea = IDEA.replace("nearer", "outside", 1)
    files = given(SPEC__yaml=spec) | {"ideation/ideas/01-nearer.yaml": idea.encode()}
    task = a_task(root, tmp_path, files)
    Study().work(task)
    told = built(task)
    assert list(told.outside) == [str(program)]  # neither the interpreter nor what is written to
    assert problems(task.phase, task.order, task.out, task) == ()
    assert frozen.changed(told, root) == []
    listed = {"evidence/RUN-1/artifacts/built.json": page(told)}
    assert {told.outside[str(program)], told.folder} <= gathered.digests(root, tasks.PROJECT, listed)  # no secrets
    program.write_text(MEASURE + "# edited\n")
    assert told.outside[str(program)] not in gathered.digests(root, tasks.PROJECT, listed)
    assert frozen.changed(told, root) == [f"{program} was changed"]
    again = a_task(root, tmp_path, files)
    Study().work(again)
    assert (built(again).experiment != told.experiment, frozen.changed(built(again), root)) == (True, [])
    task.out.write("built.json", page(msgspec.structs.replace(told, outside={})))
    assert any("not those that its commands name" in each for each in problems(task.phase, task.order, task.out, task))
    program.unlink()
    assert frozen.changed(told, root) == [f"{program} is gone"]


def outside_files(folder: Path, name: str, program: str, words: str) -> dict[str, bytes]:
    """Of a study whose program lies elsewhere and is told of files there."""
    place = folder / "elsewhere.py"
    place.write_text(program)
    spec = SPEC.replace("measure.py selection", f"{place} selection {words}")
    spec = spec.replace("measure.py report", f"{place} report {words}")
    idea = IDEA.replace("nearer", name, 1)
    return given(SPEC__yaml=spec) | {"ideation/ideas/01-nearer.yaml": idea.encode()}


LOG = "with open(sys.argv[2], 'a') as log: print(os.urandom(8), file=log)\n"


def test_a_file_outside_that_the_first_run_writes_is_named_and_held_by_nobody(root: Root, tmp_path: Path) -> None:
    new, old, data = (tmp_path / name for name in ("new.log", "old.log", "rows.csv"))
    for each in (old, data):
        each.write_text("1\n")
    words = f"{new} --also={old} --data {data}"
    program = MEASURE + LOG + LOG.replace("sys.argv[2]", "sys.argv[3].partition('=')[2]")
    task = a_task(root, tmp_path, outside_files(tmp_path, "logged", program, words))
    Study().work(task)
    told = built(task)
    assert told.written == (str(new), str(old))
    assert sorted(told.outside) == [str(tmp_path / "elsewhere.py"), str(data)]
    assert problems(task.phase, task.order, task.out, task) == ()
    old.write_text("of a later run\n")
    new.unlink()
    assert (frozen.changed(told, root), problems(task.phase, task.order, task.out, task)) == ([], ())
    data.write_text("2\n")
    assert frozen.changed(told, root) == [f"{data} was changed"]
    task.out.write("built.json", page(msgspec.structs.replace(told, written=())))
    assert any("not those that its commands name" in each for each in problems(task.phase, task.order, task.out, task))


def test_a_study_that_does_not_work_is_laid_out_once_though_it_writes_a_log_elsewhere(tmp_path: Path) -> None:
    root = a_root(tmp_path)
    program = "import os, sys\n" + LOG + "sys.exit(3)\n"
    files = outside_files(tmp_path, "failing", program, str(tmp_path / "failing.log"))
    for _ in range(3):
        running = tasks.begun(root, Order(phase="implementation", worker="study"))
        task = tasks.a_task(root, running, "implementation", files=files)
        with pytest.raises(LabError, match="the study does not work"):
            Study().work(msgspec.structs.replace(task, folder=str(tmp_path), phase=msgspec.convert(PHASE, Phase)))
        tasks.ended(root, running, FAILED)
    assert len(list((tmp_path / "studies").iterdir())) == 1


def test_a_program_outside_that_the_first_run_changes_is_refused(root: Root, tmp_path: Path) -> None:
    itself = MEASURE + "with open(sys.argv[0], 'a') as program: print('#', file=program)\n"
    task = a_task(root, tmp_path, outside_files(tmp_path, "itself", itself, "now"))
    with pytest.raises(LabError, match=r"the first run changed what measures: .*elsewhere\.py was changed"):
        Study().work(task)


def test_what_lies_outside_is_found_in_the_words_of_every_command(tmp_path: Path) -> None:
    inside, other, data = tmp_path / "study", tmp_path / "bin/other.sh", tmp_path / "rows.csv"
    for each in (inside / "in.py", other, data):
        each.parent.mkdir(exist_ok=True)
        each.touch()
    spec = study.of_files({"SPEC.yaml": SPEC.encode()}, "study").spec
    spec = msgspec.structs.replace(
        spec, executor_command=f"sh -c 'python3 {inside}/in.py --data={data} && ../bin/other.sh > {tmp_path}/out'",
        setup_command=f"{sys.executable} /dev/null /proc/uptime",
    )  # fmt: skip
    named = outside.named(spec, str(inside))
    assert [each for each in named if Path(each).is_file()] == [str(other), str(data)]
    named = outside.named(spec, str(inside), str(tmp_path / "bin"))
    assert [each for each in named if Path(each).is_file()] == [str(data)]


def test_a_file_that_is_mutable_is_not_frozen() -> None:
    told = frozen.taken({"train.py": b"1", "measure.py": b"2", "conf/a.yaml": b"3"}, ("train.py", "conf"))
    assert list(told) == ["measure.py"]


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("print('done')", "told no metric"),
        ("import sys; sys.exit('line 7 is no number')", "ended as failed.*it said: line 7 is no number"),
        ("print(float('nan'))", "ended as failed"),
        (f"{MEASURE}open(__file__, 'a').write('#')", "measure.py was changed"),
        (f"{MEASURE}open(__file__.replace('measure', 'random'), 'w').write('')", "random.py was not there"),
    ],
)
def test_a_study_that_does_not_work_is_no_study(root: Root, tmp_path: Path, program: str, words: str) -> None:
    named = IDEA.replace("name: nearer", f"name: broken-{abs(hash(program)) % 10**8}")
    files = given(measure__py=program) | {"ideation/ideas/01-nearer.yaml": named.encode()}
    with pytest.raises(LabError, match=words):
        Study().work(a_task(root, tmp_path, files))


def test_a_run_that_took_no_time_shows_nothing(root: Root, tmp_path: Path) -> None:
    named = IDEA.replace("name: nearer", "name: no-time")
    task = a_task(root, tmp_path, given() | {"ideation/ideas/01-nearer.yaml": named.encode()})
    least = msgspec.structs.replace(task.project.training, min_run_s=3600)
    task = msgspec.structs.replace(task, project=msgspec.structs.replace(task.project, training=least))
    with pytest.raises(LabError, match="less than the 3600 s"):
        Study().work(task)
    assert task.out.read("built.json") is None


def test_a_study_that_was_half_laid_out_is_laid_out_whole(root: Root, tmp_path: Path) -> None:
    left = tmp_path / "studies" / ".nearer.0000.draft"
    left.mkdir(parents=True)
    (left / "SPEC.yaml").write_text("id: half")
    made = laid.out(root, "half", str(tmp_path), study.of_given(tasks.Gave(given())), "nearer", None)
    assert sorted(os.listdir(tmp_path / "studies")) == ["nearer"]
    assert sorted(os.listdir(made.folder)) == ["SPEC.yaml", "measure.py"]


def test_an_experiment_of_that_name_that_is_somebody_else_s_is_not_taken(root: Root, tmp_path: Path) -> None:
    path = tmp_path / "theirs.yaml"
    path.write_text("id: proj-theirs\nexecutor: stub\nmetric: loss\n")
    create.experiment(root, str(path), actor="ann")
    named = IDEA.replace("name: nearer", "name: theirs")
    with pytest.raises(BadInput, match="which is not of this study"):
        Study().work(a_task(root, tmp_path, given() | {"ideation/ideas/01-nearer.yaml": named.encode()}))
    assert bundles.names(root, "proj-theirs") == []


def tampered(told: Built) -> Iterator[tuple[Built, str]]:
    replace = msgspec.structs.replace
    yield replace(told, metric="accuracy"), "what the SPEC does not"
    yield replace(told, frozen={}), "the frozen digests"
    yield replace(told, smoke_value=float("1e9")), "came to"
    yield replace(told, smoke_run="RUN-1"), "no first run"
    yield replace(told, idea_sha256="0" * 64), "as that was written down"
    yield replace(told, experiment="proj"), "the study is of proj-nearer"


def test_a_built_json_that_says_what_did_not_happen_is_refused(root: Root, done: Task) -> None:
    for wrong, words in tampered(built(done)):
        task = a_task(root, Path(done.folder), given())
        for name in done.out.names():
            task.out.write(name, done.out.read(name) or b"")
        task.out.write("built.json", page(wrong))
        assert any(words in each for each in problems(task.phase, task.order, task.out, task)), words


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[selection, report]", "[report]", "one tier"),
        ("measure.py report", "measure.py selection", "on the same data"),
        ("metric: loss\n", "", "names no metric"),
        ("workspace_root: .", "workspace_root: /srv/x", "not in its folder"),
        ("seed: 1", "fidelity_promotion_rule: asha", "fidelity_promotion_rule"),
        ("default: -1.5", "default: 9", "SPEC has 1 problem"),
    ],
)
def test_what_speaks_against_a_study_is_said_before_anything_runs(
    root: Root, tmp_path: Path, old: str, new: str, words: str
) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    assert old in SPEC
    (folder / "SPEC.yaml").write_text(SPEC.replace(old, new))
    place = Place(root=root, project=tasks.a_plan(), folder=str(tmp_path), phase=msgspec.convert(PHASE, Phase))
    found = list(Study().lacks(place))
    assert len(found) == 1
    assert words in found[0].what
    assert found[0].fix


LOOP = f"""\
id: loop
metric: loss
metric_direction: minimize
workspace_root: .
durability: fast
max_iterations_total: 100
executor: reference
baseline_repeats: 2
mutable_paths: [model.py]
mutation_command: "true"
validation_command: {sys.executable} -I -S measure.py selection
report_validation_command: {sys.executable} -I -S measure.py report
fidelity_tiers: [selection, report]
"""
MEASURED = "import sys, os\nsys.path.insert(0, os.getcwd())\nimport model\nprint(model.OFFSET)\n"


def test_a_code_loop_stays_one_and_its_baseline_is_what_shows_that_it_works(root: Root, tmp_path: Path) -> None:
    files = {
        "folder:study/SPEC.yaml": LOOP.encode(), "folder:study/measure.py": MEASURED.encode(),
        "folder:study/model.py": b"OFFSET = 2.5\n",
        "ideation/ideas/01-code.yaml": IDEA.replace("nearer", "code", 1).partition("space:")[0].encode(),
    }  # fmt: skip
    task = a_task(root, tmp_path, files)
    Study().work(task)
    told = built(task)
    assert (told.smoke_value, told.mutable, sorted(told.frozen)) == (2.5, ("model.py",), ["SPEC.yaml", "measure.py"])
    assert study.on_disk(told.folder).spec.workspace_mode == "copy"
    assert problems(task.phase, task.order, task.out, task) == ()
    again = a_task(root, tmp_path, files)
    Study().work(again)
    assert built(again) == told
