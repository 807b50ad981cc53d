"""Ideas: the user's own, asked for what only the user can say; and made from the study, before anybody measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import assignment, spec_text
from lab.core.errors import BadInput
from lab.research import idea, project
from lab.research.declared import Phase
from lab.research.idea import Idea, Kill
from lab.research.ideas import accepted, hypothesis, summary, templated, written
from lab.research.order import Order
from lab.research.phases.ideation import Ideas
from lab.research.project import Project
from lab.research.studies import narrowed, study
from lab.research.work.contract import problems
from lab.research.worker import Place
from tests.research import tasks
from tests.research.study.test_implementation import IDEA, SPEC, a_root, given

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lab.research.studies.study import Study
    from lab.research.worker import Task
    from lab.store.root import Root

WIDE = """\
id: wide
metric: accuracy
metric_direction: maximize
min_effect: 0.02
executor_command: run {tier}
fidelity_tiers: [selection, report]
search_space:
  parameters:
    width: {low: 1, high: 64, type: int, default: 8}
    rate: {low: 1.0e-5, high: 0.1, log: true, default: 0.001}
    kind: {choices: [adam, sgd], default: adam}
    momentum: {low: 0.0, high: 1.0, default: 0.5, when: {kind: [sgd]}}
    beta: {low: 0.0, high: 1.0, default: 0.9, when: {kind: [adam]}}
    depth: {value: 3}
  constraints: ["width <= 60", "rate < width"]
"""
IDEA_LINES = ("hypothesis: it helps", "predicted_gain: 0.5", "kill: {after_runs: 3}")
TEXT = "---\npredicted_gain: 0.5\nkill: {after_runs: 3}\n---\n# Sharper rates\n\nA larger rate is\nbetter.\n"


def of(spec: str, **files: bytes) -> Study:
    return study.of_files({"SPEC.yaml": spec.encode(), **files}, "study")


@pytest.mark.parametrize(
    ("text", "what", "line", "fix"),
    [
        ("metric: off\n", "metric: YAML takes off for a yes or no, and this is text", 1, 'metric: "off"'),
        ("why: x\nname: no\n", "name: YAML takes no for a yes or no", 2, 'name: "no"'),
        ("sources: [a, 2017]\n", "sources.1: YAML takes 2017 for a number", 1, 'in quotes: "2017"'),
        ("direction: off\n", "direction: invalid enum value 'off'", 1, "direction: minimize, or"),
        ("predicted_gain: yes\n", "predicted_gain: expected `float`, got `bool`", 1, "an idea has name"),
    ],
)
def test_a_word_that_yaml_takes_for_something_else_is_to_be_quoted(text: str, what: str, line: int, fix: str) -> None:
    rest = "".join(f"{row}\n" for row in IDEA_LINES if row.partition(":")[0] not in text)
    keys = f"{text}{rest}"
    for name, data, first in ("a.yaml", keys, 0), ("a.md", f"---\n{keys}---\nA text.\n", 1):
        with pytest.raises(BadInput) as refused:
            hypothesis.read(data.encode(), name, of(WIDE))
        assert refused.value.what.startswith(what)
        assert (refused.value.where, fix in refused.value.fix) == (f"{name} line {line + first}", True)


def test_a_title_that_looks_like_a_no_is_a_title() -> None:
    text = TEXT.replace("predicted_gain", "title: off\npredicted_gain")
    assert hypothesis.read(text.encode(), "a.md", of(WIDE)).name == "off"


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        ("topic: no", "topic: YAML takes no for a yes or no", 'topic: "no"'),
        ("literature: {queries: [a, off]}", "literature.queries.1: YAML takes off", 'quotes: "off"'),
        ("commands: {ideation: yes}", "commands.ideation: YAML takes yes", 'ideation: "yes"'),
        ("paper: {title: 2024}", "paper.title: YAML takes 2024 for a number", 'title: "2024"'),
        ("gates: {training: off}", "gates: invalid enum value 'off'", "mend this key"),
        ("papers: {title: a}", "the file: object contains unknown field `papers`", "did you mean paper?"),
    ],
)
def test_a_project_says_it_too(text: str, what: str, fix: str) -> None:
    with pytest.raises(BadInput) as refused:
        project.parse(f"mode: A\n{text}\n".encode())
    assert refused.value.what.startswith(what)
    assert (refused.value.where, fix in refused.value.fix) == ("project.yaml line 2", True)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    return a_root(tmp_path_factory.mktemp("ideas"))


@pytest.fixture
def phase() -> Phase:
    outputs = ["ideas/", "?data/summary.json"]
    return msgspec.convert({"name": "ideation", "about": "", "executor": "ideas", "outputs": outputs}, Phase)


def a_task(root: Root, folder: Path, phase: Phase, files: Mapping[str, bytes], **project: str) -> Task:
    running = tasks.begun(root, Order(phase="ideation", worker="ideas"))
    task = tasks.a_task(root, running, "ideation", files=files)
    tasks.ended(root, running)
    out = type(task.out)(str(folder / "artifacts"), root.files)
    return msgspec.structs.replace(task, phase=phase, out=out, project=Project(mode="A", **project))  # type: ignore[arg-type]


def test_without_a_hypothesis_the_study_says_what_could_be_moved(root: Root, tmp_path: Path, phase: Phase) -> None:
    task = a_task(root, tmp_path, phase, given())
    assert Ideas().work(task) == {"ideas": 3}
    assert task.out.names("ideas") == (
        "ideas/01-all-parameters.yaml", "ideas/02-move-x.yaml", "ideas/03-move-y.yaml",
    )  # fmt: skip
    assert problems(phase, task.order, task.out, task) == ()
    assert problems(phase, task.order, task.out) == ()


def test_ideas_of_a_study_are_the_same_each_time_ranked_and_at_most_five() -> None:
    about, project = of(WIDE), Project(mode="A")
    found = templated.ideas(about, project)
    assert found == templated.ideas(of(WIDE), project)
    assert [each.name for each in found] == ["all-parameters", "move-rate", "move-width", "move-kind"]
    assert {each.predicted_gain for each in found} == {0.02}
    assert all(each.by == "template" and each.kill.after_runs == 8 for each in found)
    for each in found:
        accepted.require(each, about)


def test_a_code_loop_has_one_idea() -> None:
    loop = "id: c\nmetric: s\nexecutor: reference\nmutable_paths: [solve.py]\nvalidation_command: sh m.sh {tier}\n"
    (found,) = templated.ideas(of(f"{loop}fidelity_tiers: [a, b]\n"), Project(mode="A"))
    assert found.name == "change-the-code"
    assert "solve.py" in found.hypothesis


def test_an_idea_reads_back_as_it_was_whatever_it_says() -> None:
    told = Idea(
        name="a", hypothesis='quotes " \' # : {{ }} \u2028 \U0001f600 <b>', metric="m: #x", direction="maximize",
        predicted_gain=1e-9, kill=Kill(), space={"x: y": {"low": 1e-5, "high": 2}}, why="- a\n- b", sources=("k",),
    )  # fmt: skip
    assert idea.parse(written.page(told), "it") == told


def test_a_hypothesis_as_text_is_an_idea_of_the_study_s_metric() -> None:
    found = hypothesis.read(TEXT.encode(), "notes/Mine.md", of(WIDE))
    assert (found.name, found.metric, found.direction, found.by) == ("sharper-rates", "accuracy", "maximize", "user")
    assert found.hypothesis == "# Sharper rates A larger rate is better."
    assert (found.predicted_gain, found.kill) == (0.5, Kill(after_runs=3))


@pytest.mark.parametrize(
    ("data", "where", "words"),
    [
        ("A larger rate is better.", "h.md", "does not say predicted_gain, kill"),
        ("---\nkill: {}\n---\nIt is.", "h.txt", "does not say predicted_gain"),
        ("name: x\npredicted_gain: 1\n", "h.yaml", "does not say hypothesis, kill"),
        ("---\npredicted_gain: 1\n", "h.md", "not closed"),
        ("---\npredicted_gain: -1\nkill: {}\n---\nIt is.", "h.md", "predicted_gain: expected"),
        ("---\npredicted_gian: 1\n---\nIt is.", "h.md", "predicted_gain, kill"),
        ("\0", "h.md", "binary"),
    ],
)
def test_what_only_the_user_can_say_is_asked_for_by_its_key(data: str, where: str, words: str) -> None:
    with pytest.raises(BadInput, match=words) as refused:
        hypothesis.read(data.encode(), where, of(WIDE))
    assert refused.value.fix


def test_the_user_s_hypothesis_is_the_idea_and_nobody_may_drop_it(root: Root, tmp_path: Path, phase: Phase) -> None:
    files = given() | {"folder:hypothesis/h.yaml": IDEA.encode()}
    task = a_task(root, tmp_path, phase, files, hypothesis="h.yaml")
    Ideas().work(task)
    assert task.out.names("ideas") == ("ideas/01-nearer.yaml",)
    assert problems(phase, task.order, task.out, task) == ()
    other = msgspec.structs.replace(idea.parse(IDEA.encode(), "it"), predicted_gain=0.001)
    task.out.write("ideas/01-nearer.yaml", written.page(other))
    assert "is not among the ideas as it was given" in problems(phase, task.order, task.out, task)[0]


def spaced(**space: object) -> Idea:
    return msgspec.structs.replace(hypothesis.read(TEXT.encode(), "h.md", of(WIDE)), space=space)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({"rote": {"low": 1, "high": 2}}, "did you mean rate"),
        ({"rate": {"low": 0.001, "high": 10}}, "leaves the study"),
        ({"rate": {"low": 0.01, "high": 0.1}}, "default"),
        ({"width": {"low": 2.5, "high": 8.5, "type": "float"}}, "whole numbers|whole number"),
        ({"kind": {"choices": ["adam", "lion"]}}, "leaves the study|no choice"),
        ({"rate": 3}, "must be a map"),
        ({"rate": {"low": 0.0001, "high": 0.01, "lgo": True}}, "unknown key"),
    ],
)
def test_an_idea_that_leaves_the_study_or_the_baseline_is_refused(space: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput, match=words) as refused:
        accepted.require(spaced(**space), of(WIDE))
    assert refused.value.fix


def test_what_an_idea_does_not_move_is_held_at_the_baseline_which_stays_a_point() -> None:
    about = of(WIDE)
    assert about.space is not None
    found = narrowed.space(about.space, {"rate": {"low": 1e-4, "high": 0.05}}, "it")
    kept = {each.name: each for each in found.parameters}
    assert set(kept) == {"width", "rate", "kind", "beta", "depth"}
    assert (kept["width"].kind, kept["width"].value, kept["beta"].value) == ("fixed", 8, 0.9)
    assert (kept["rate"].low, kept["rate"].high, kept["rate"].log, kept["rate"].default) == (1e-4, 0.05, True, 0.001)
    assert assignment.baseline(found) == {"width": 8, "rate": 0.001, "kind": "adam", "beta": 0.9, "depth": 3}
    assert found.constraints == ("width <= 60", "rate < width")
    both = narrowed.space(about.space, {"kind": {"choices": ["adam", "sgd"]}}, "it")
    assert {"momentum", "beta"} <= set(both.names)


@pytest.mark.parametrize(
    "space", ["search_space: space.json", "", "search_space: {x: {low: 0, high: 1, default: 0.5}}"]
)
def test_the_narrowed_spec_says_the_same_but_for_its_id_and_its_space(space: str) -> None:
    head = f"# mine\nid: a   # short\nmetric: m\n{space}\ntags:\n- one\n- two\nexecutor_command: run\n"
    body = b'{"x": {"low": 0, "high": 1, "default": 0.5}}'
    about = of(head, **{"space.json" if "json" in space else "search_space.json": body} if "{" not in space else {})
    assert about.space is not None
    left = narrowed.space(about.space, {"x": {"low": 0.25, "high": 0.75}}, "it")
    text = narrowed.text(about.text, "b", left, is_loop=False, where="it")
    found, before = spec_text.parse_text(text, "it")[0], spec_text.parse_text(about.text, "it")[0]
    assert found.pop("id") == "b"
    told = found.pop("search_space")
    assert told == {"x": {"type": "float", "low": 0.25, "high": 0.75, "default": 0.5}}
    assert found == {key: value for key, value in before.items() if key not in ("id", "search_space")}
    assert text.startswith(b"# mine\n")


def test_a_spec_on_one_line_is_written_anew() -> None:
    about = of('{"id": "a", "metric": "m", "search_space": {"x": {"low": 0, "high": 1, "default": 0}}}')
    text = narrowed.text(about.text, "b", about.space, is_loop=True, where="it")
    found = spec_text.parse_text(text, "it")[0]
    assert (found["id"], found["metric"], found["workspace_mode"]) == ("b", "m", "copy")


def broken(name: str, **more: object) -> bytes:
    told = msgspec.structs.replace(idea.parse(IDEA.encode(), "it"), name=name, **more)
    return written.page(told)


BROKEN = {
    "another metric": ({"01-a.yaml": broken("a", metric="speed")}, "is about speed"),
    "another direction": ({"01-a.yaml": broken("a", direction="maximize")}, "the study measures loss: minimize"),
    "two of a name": ({"01-a.yaml": broken("a"), "02-b.yaml": broken("a")}, "two ideas are called a"),
    "no gain": ({"01-a.yaml": broken("a").replace(b"predicted_gain: 0.1", b"predicted_gain: 0.0")}, "predicted_gain"),
    "no kill rule": ({"01-a.yaml": broken("a").replace(b"kill: ", b"sources: [] #")}, "kill"),
    "a source that is none": (
        {"01-a.yaml": broken("a", sources=("made-up-2031",))},
        "'made-up-2031', which is no source",
    ),
    "no YAML": ({"01-a.yaml": b"\xff"}, "UTF-8"),
    "another file": ({"01-a.yaml": broken("a"), "idea.txt": b"x"}, "ideas/idea.txt is no idea"),
    "too many": ({f"{n:02d}-a.yaml": broken(f"a{n}") for n in range(21)}, "at most 20"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_ideas_that_cannot_be_tested_are_told_apart(root: Root, tmp_path: Path, phase: Phase, name: str) -> None:
    files, words = BROKEN[name]
    task = a_task(root, tmp_path, phase, given())
    for each, data in files.items():
        task.out.write(f"ideas/{each}", data)
    assert any(words in each for each in problems(phase, task.order, task.out, task))


def test_what_is_in_the_data_is_written_down_before_anybody_has_an_idea(
    root: Root, tmp_path: Path, phase: Phase
) -> None:
    rows = b"name,size,y\na,1,0.5\nb,,1.5\na,1,0.5\nc,x,NaN\n"
    task = a_task(root, tmp_path, phase, given() | {"folder:data/rows.csv": rows}, data="rows.csv")
    Ideas().work(task)
    assert problems(phase, task.order, task.out, task) == ()
    (table,) = summary.read(task.out.read("data/summary.json") or b"").files
    name, size, target = table.columns
    assert (table.rows, table.duplicates) == (4, 1)
    assert (name.kind, name.distinct) == ("text", 3)
    assert (size.kind, size.missing) == ("mixed", 1)
    assert (target.kind, target.missing, target.least, target.most) == ("number", 1, 0.5, 1.5)
    assert target.mean == pytest.approx(2.5 / 3)
    assert table.guess == summary.Guess(target="y", why="by its name")
    assert b'"is_a_guess": true' in (task.out.read("data/summary.json") or b"")
    task.out.write("data/summary.json", summary.page(summary.of_files({"rows.csv": rows + b"d,2,1\n"})))
    assert "not of the data that were given" in problems(phase, task.order, task.out, task)[0]


def test_objects_a_line_are_a_table_too() -> None:
    (table,) = summary.of_files({"a.jsonl": b'{"a": 1, "b": true}\n\n{"a": 2.5}\n'}).files
    assert [(each.name, each.kind, each.missing) for each in table.columns] == [("a", "number", 0), ("b", "text", 1)]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.parquet", b"PAR1", "of the form .parquet"),
        ("a.csv", b"a,b\n\0,1\n", "binary"),
        ("a.csv", b"a,b\n\xff,1\n", "not UTF-8"),
        ("a.csv", b"a,b\n1,2,3\n", "3 cells in this row"),
        ("a.csv", b"a,a\n1,2\n", "no line of names"),
        ("a.csv", b"", "no line of names"),
        ("a.csv", b"a,b\n", "no row"),
        ("a.jsonl", b"[1]\n", "no JSON object"),
    ],
)
def test_data_that_nobody_could_look_into_are_refused_with_the_place(name: str, data: bytes, words: str) -> None:
    with pytest.raises(BadInput, match=words) as refused:
        summary.of_files({name: data})
    assert refused.value.where.startswith(name)
    assert refused.value.fix


def test_a_hypothesis_that_says_too_little_is_told_before_anything_runs(
    root: Root, tmp_path: Path, phase: Phase
) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "SPEC.yaml").write_text(SPEC)
    place = Place(root=root, project=Project(mode="B", hypothesis="h.md"), folder=str(tmp_path), phase=phase)
    assert "there is no" in next(iter(Ideas().lacks(place))).what
    (tmp_path / "h.md").write_text("It is.")
    assert "predicted_gain, kill" in next(iter(Ideas().lacks(place))).what
    (tmp_path / "h.md").write_text(TEXT)
    assert list(Ideas().lacks(place)) == []


def test_a_remote_training_is_a_study_without_a_space() -> None:
    about = of(
        "id: t\nmetric: test/nll\nmetric_direction: minimize\nexecutor: tinker\nexecutor_command: run {tier}\n"
        "tinker: {base_model: m, steps: 4, chunk_steps: 2}\nfidelity_tiers: [selection, report]\n"
    )
    assert study.require(about) == "report"
    (found,) = templated.ideas(about, Project(mode="A"))
    assert found.name == "train-it"
