"""The executor of remote trainings: how a recipe is started, and what is read of what it left, however it ended."""

from __future__ import annotations

import sys
import venv
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import canonical, chunk, layout
from lab.core.chunk import Checkpoint, Order
from lab.core.errors import BadInput, NotFound, Unavailable
from lab.core.launch import CANCELLED as WAS_CANCELLED
from lab.core.launch import TIMEOUT as WAS_TIMEOUT
from lab.core.launch import Exit, Foreseen, Launch
from lab.core.record import page
from lab.core.run import CANCELLED, FAILED, SUCCESS, TIMEOUT
from lab.core.spec import Spec
from lab.core.tuning import LOCAL_KEY, LOCAL_URL, Tuning
from lab.executors import door
from lab.executors.tinker import Tinker
from lab.store.files import Files
from lab.testing.executors import RUN_ID, ExecutorContract, a_manifest
from lab.tinker import rows
from lab.tinker.rows import Row

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.ended import Ended

PRICED = Tuning(base_model="tiny", usd_per_mtok_train=2.0, usd_per_mtok_sample=4.0, usd_per_mtok_prefill=1.0)
NEVER_LOADED = "raise SystemExit('it was loaded')\n"


def an_order(**more: object) -> Order:
    order = Order(
        experiment="sweep", run_id=RUN_ID, tuning=PRICED, number=2, first_step=10, steps=10, until=30,
        state_path="tinker://a:train:0/weights/000010", parent="RUN-before", params={"lr": 0.1},
    )  # fmt: skip
    return msgspec.structs.replace(order, **more)


def put(path: str | Path, name: str, data: bytes) -> None:
    Files(durable=False).replace(f"{path}/{name}", data)


class Folder:
    """The folder of a run that has ended."""

    def __init__(self, path: Path, **order: object) -> None:
        self.path = str(path)
        Files(durable=False).folder(f"{path}/artifacts")
        put(path, chunk.ORDER, page(an_order(**order)))

    def steps(self, *steps: Row) -> Folder:
        put(self.path, chunk.STEPS, b"".join(map(rows.encode, steps)))
        return self

    def did(self, count: int, **more: object) -> Folder:
        each = Row(step=0, run="b", trained=1000, sampled=100, prefilled=10)
        told = [msgspec.structs.replace(each, step=10 + n, metrics={"loss": 1.0 / (1 + n)}) for n in range(count)]
        return self.steps(*told[:-1], msgspec.structs.replace(told[-1], **more))

    def saved(self, next_step: int, *, final: bool = False) -> Folder:
        sampler = "tinker://b:train:0/sampler_weights/end" if final else ""
        row = Checkpoint(
            name=f"{next_step:06d}", next_step=next_step, state_path=f"tinker://b:train:0/weights/{next_step:06d}",
            model_run="b:train:0", final=final, sampler_path=sampler,
        )  # fmt: skip
        put(self.path, chunk.CHECKPOINTS, rows.encode_record(row))
        return self

    def metric(self, value: float = 0.5) -> Folder:
        put(self.path, layout.METRICS, canonical.encode({"loss": value}))
        return self

    def read(self, code: int | None = 0, **how: object) -> Ended:
        ended = msgspec.structs.replace(Exit(run_id=RUN_ID, code=code, wall_s=5.0), **how)
        return Tinker().read(self.path, a_manifest(executor="tinker"), ended)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


class TestTinker(ExecutorContract):
    executor = Tinker()

    def launch(self, path: str) -> Launch:
        put(path, "recipe.py", b"")
        spec = Spec(
            id="sweep", metric="loss", executor="tinker", executor_command=f"{sys.executable} {path}/recipe.py",
            tinker=Tuning(base_model="tiny"),
        )  # fmt: skip
        return Launch(
            spec=spec, manifest=a_manifest(), path=path, environ={"PATH": "/usr/bin:/bin"}, secrets=("hush-hush",)
        )

    def tell(self, path: str, value: float) -> None:
        Files(durable=False).folder(f"{path}/artifacts")
        put(path, chunk.ORDER, page(an_order()))
        row = Checkpoint(name="end", next_step=20, state_path="tinker://b/weights/end", final=True)
        put(path, chunk.CHECKPOINTS, rows.encode_record(row))
        put(path, layout.METRICS, canonical.encode({"value": value}))


# -- how it is started -------------------------------------------------------------------------------------------------


class Place:
    """A workspace with a recipe, and Pythons beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in ("ws", "run"):
            (path / name).mkdir()
        (path / "ws/recipe.py").write_text("")

    def a_python(self, name: str, *modules: str) -> str:
        folder = self.path / name
        venv.create(folder, symlinks=True)
        for module in modules:
            there = next(folder.glob("lib/python3*/site-packages")) / module
            there.mkdir()
            (there / "__init__.py").write_text(NEVER_LOADED)
        return f"{folder}/bin/python"

    def launch(self, command: str = "", tuning: Tuning | None = None, **environ: str) -> Launch:
        spec = Spec(
            id="chat", executor="tinker", executor_command=command, tinker=tuning or Tuning(base_model="tiny")
        )  # fmt: skip
        return Launch(
            spec=spec, manifest=a_manifest(), path=f"{self.path}/run", workspace=f"{self.path}/ws",
            environ={"PATH": "/nowhere", "HOME": str(self.path), **environ},
        )  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_recipe_runs_in_the_python_that_has_both_tinker_and_lab(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    half, whole = place.a_python("half", "tinker"), place.a_python("whole", "tinker", "lab")
    monkeypatch.setattr(sys, "executable", half)
    launch = place.launch("", VIRTUAL_ENV=str(place.path / "whole"))
    assert Tinker().prepare(launch).argv == (whole, f"{place.path}/ws/recipe.py")
    assert Tinker().prepare(place.launch("--depth 2", VIRTUAL_ENV=str(place.path / "whole"))).argv[1:] == (
        f"{place.path}/ws/recipe.py", "--depth", "2",
    )  # fmt: skip
    with pytest.raises(Unavailable, match=r"no Python here has tinker and lab.* lacks lab"):
        Tinker().prepare(place.launch(""))


def test_a_python_in_front_is_taken_as_given_and_needs_nothing(place: Place) -> None:
    bare = place.a_python("bare")
    assert Tinker().prepare(place.launch(f"{bare} recipe.py")).argv == (bare, f"{place.path}/ws/recipe.py")


def test_what_cannot_train_is_refused_by_the_executor_itself_before_a_claim(place: Place) -> None:
    bare = place.a_python("bare")
    launch = place.launch(f"{bare} other.py")
    with pytest.raises(NotFound, match=r"there is no recipe other\.py"):
        door.require(launch.foreseen)
    gone = msgspec.structs.replace(launch.foreseen, workspace=f"{place.path}/gone")
    with pytest.raises(BadInput, match="the workspace of chat is not there"):
        door.require(gone)
    door.require(Foreseen(spec=Spec(id="stub", executor="stub")))  # one that has nothing to say


def test_it_is_told_where_its_order_and_its_service_are_and_to_tell_nobody(place: Place) -> None:
    told = Tinker().prepare(place.launch(f"{sys.executable} recipe.py")).environ
    assert told["LAB_CHUNK_PATH"] == f"{place.path}/run/chunk.json"
    assert (told["TINKER_BASE_URL"], told["TINKER_API_KEY"]) == (LOCAL_URL, LOCAL_KEY)
    assert (told["TINKER_TELEMETRY"], told["HF_HUB_OFFLINE"]) == ("0", "1")


def test_a_key_that_was_given_is_handed_on_and_a_paid_service_gets_none_of_ours(place: Place) -> None:
    own = place.launch(f"{sys.executable} recipe.py", TINKER_API_KEY="tml-own")
    assert Tinker().prepare(own).environ["TINKER_API_KEY"] == "tml-own"
    paid = place.launch(f"{sys.executable} recipe.py", Tuning(base_model="tiny", base_url="https://paid.example.org"))
    assert "TINKER_API_KEY" not in Tinker().prepare(paid).environ


# -- what is read ------------------------------------------------------------------------------------------------------


def test_more_to_do_after_a_state_is_a_success(folder: Folder) -> None:
    ended = folder.did(10, kl=0.25).saved(20).metric(0.5).read(chunk.MORE)
    assert (ended.outcome, ended.value, ended.note) == (SUCCESS, 0.5, "chunk 2: steps 10 to 20 of 30")
    made = ended.chunk
    assert made is not None
    assert (made.number, made.first_step, made.next_step, made.final) == (2, 10, 20, False)
    assert (made.state_path, made.model_run, made.parent) == (
        "tinker://b:train:0/weights/000020",
        "b:train:0",
        "RUN-before",
    )
    assert (made.trained, made.sampled, made.prefilled, made.kl) == (10_000, 1_000, 100, 0.25)
    assert (made.base_model, made.params) == ("tiny", {"lr": 0.1})
    assert ended.cost == pytest.approx((10_000 * 2.0 + 1_000 * 4.0 + 100 * 1.0) / 1e6)
    assert (ended.metrics["tokens"], ended.metrics["next_step"], ended.metrics["loss"]) == (11_100, 20, 0.5)


def test_the_end_of_the_training_is_a_success_with_its_last_state(folder: Folder) -> None:
    ended = folder.did(10).saved(20, final=True).metric().read(0)
    assert ended.outcome == SUCCESS
    assert ended.chunk is not None
    assert ended.chunk.final
    assert ended.chunk.sampler_path.endswith("/end")


@pytest.mark.parametrize(
    ("code", "saved", "words"),
    [
        (chunk.MORE, None, "saved no state after step 10"),
        (chunk.MORE, 10, "saved no state after step 10"),
        (0, 20, "has no last state"),
        (0, None, "has no last state"),
    ],
)
def test_an_exit_that_its_states_do_not_bear_out_is_a_failure(
    folder: Folder, code: int, saved: int | None, words: str
) -> None:
    folder.did(3).metric()
    if saved is not None:
        folder.saved(saved)
    ended = folder.read(code)
    assert ended.outcome == FAILED
    assert words in ended.reason
    assert ended.chunk is not None
    assert ended.chunk.trained == 3_000


def test_any_other_exit_fails_with_its_last_words_and_what_was_saved_counts(folder: Folder) -> None:
    put(folder.path, layout.STDERR, b"Traceback (most recent call last):\nRuntimeError: the service is gone\n")
    ended = folder.did(7).saved(15).metric().read(1)
    assert (ended.outcome, ended.value) == (FAILED, None)
    assert "the service is gone" in ended.reason
    assert ended.chunk is not None
    assert (ended.chunk.next_step, ended.chunk.trained) == (15, 7_000)
    assert ended.cost > 0


@pytest.mark.parametrize(("code", "final"), [(chunk.MORE, False), (0, True)])
def test_a_chunk_that_was_saved_and_not_measured_says_why(folder: Folder, code: int, final: bool) -> None:
    put(folder.path, layout.STDERR, b"the chunk is saved, and not measured: the service failed\n  fix: wait\n")
    put(folder.path, chunk.STEPS, rows.encode(Row(step=10, trained=9, metrics={"other": 1.0})))
    ended = folder.saved(20, final=final).read(code)
    assert ended.outcome == FAILED
    assert "the chunk is saved, and not measured: the service failed" in ended.reason
    assert ended.chunk is not None
    assert (ended.chunk.next_step, ended.chunk.final) == (20, final)


def test_a_refusal_of_the_recipe_is_told_with_what_mends_it_and_without_its_place(folder: Folder) -> None:
    said = f"WARNING: slow\nno step was done: the budget is spent\n  in {folder.path}\n  fix: give it a larger one\n"
    put(folder.path, layout.STDERR, said.encode())
    ended = folder.read(1)
    assert ended.reason == "no step was done: the budget is spent; fix: give it a larger one (ended with exit code 1)"


def test_a_refusal_without_advice_is_told_in_its_words_and_not_by_its_place(folder: Folder) -> None:
    put(folder.path, layout.STDERR, b"the optimizer's step: the service refused it: inf\n  in http://127.0.0.1:8766\n")
    assert folder.read(1).reason == "the optimizer's step: the service refused it: inf (ended with exit code 1)"


def test_bad_data_are_told_with_their_file_and_their_lines_and_what_to_do_is_never_cut(folder: Folder) -> None:
    told = "".join(f"line {number}: no prompt\n" for number in range(3, 90)).replace("line", "  line")
    said = f"87 lines of the data set cannot be used\n{told}  in /data/train.jsonl\n  fix: each line has a prompt\n"
    put(folder.path, layout.STDERR, said.encode())
    reason = folder.read(1).reason
    assert reason.startswith(
        "87 lines of the data set cannot be used in /data/train.jsonl; line 3: no prompt; line 4: "
    )
    assert reason.endswith("; fix: each line has a prompt (ended with exit code 1)")
    assert len(reason) < 450


@pytest.mark.parametrize(
    ("how", "outcome"),
    [
        ({"signal": 9}, FAILED),
        ({"stopped": WAS_TIMEOUT}, TIMEOUT),
        ({"stopped": WAS_CANCELLED, "why": "ann"}, CANCELLED),
    ],
)
def test_one_that_was_ended_keeps_its_state_and_its_bill(folder: Folder, how: dict[str, object], outcome: str) -> None:
    ended = folder.did(7).saved(15).read(None if "signal" in how else chunk.MORE, **how)
    assert (ended.outcome, ended.value) == (outcome, None)
    assert ended.chunk is not None
    assert (ended.chunk.next_step, ended.chunk.trained) == (15, 7_000)


def test_in_a_search_a_training_with_more_to_do_has_failed(tmp_path: Path) -> None:
    folder = Folder(tmp_path, number=0, first_step=0, steps=30, state_path="", parent="")
    ended = folder.did(3).saved(20).metric().read(chunk.MORE)
    assert ended.outcome == FAILED
    assert "a whole training" in ended.reason
    done = folder.saved(30, final=True).read(0)
    assert (done.outcome, done.note) == (SUCCESS, "steps 0 to 30 of 30")


def test_a_loss_that_was_not_finite_is_told_in_the_chunk_and_in_the_reason(folder: Folder) -> None:
    ended = folder.did(3, trouble="loss is not finite").saved(12).read(chunk.MORE)
    assert ended.chunk is not None
    assert ended.chunk.trouble == "loss is not finite"
    lost = folder.did(3, trouble="loss is not finite").saved(10).read(chunk.MORE)
    assert lost.outcome == FAILED
    assert "loss is not finite" in lost.reason


def test_what_steps_say_is_not_what_a_chunk_is_worth_that_could_not_be_measured(folder: Folder) -> None:
    ended = folder.did(10).saved(20).read(chunk.MORE)
    assert (ended.outcome, ended.value) == (FAILED, None)
    assert ended.chunk is not None
    assert ended.chunk.next_step == 20


def test_a_step_that_was_done_twice_is_one_step_and_was_paid_twice(folder: Folder) -> None:
    again = Row(step=12, trained=100, metrics={"loss": 0.5})
    ended = folder.steps(Row(step=12, trained=100, metrics={"loss": 9.0}), again).saved(13).metric().read(chunk.MORE)
    assert ended.outcome == SUCCESS
    assert ended.chunk is not None
    assert ended.chunk.trained == 200


def test_a_state_of_before_it_began_is_not_its_own(folder: Folder) -> None:
    ended = folder.did(1).saved(5).metric().read(chunk.MORE)
    assert ended.outcome == FAILED
    assert ended.chunk is not None
    assert (ended.chunk.next_step, ended.chunk.state_path) == (10, "")


@pytest.mark.parametrize(
    ("code", "next_step", "final"),
    [(chunk.MORE, 10**12, False), (chunk.MORE, 21, False), (0, 31, True), (0, 10, True)],
)
def test_a_state_with_other_steps_than_were_ordered_is_not_believed(
    folder: Folder, code: int, next_step: int, final: bool
) -> None:
    ended = folder.did(10).saved(next_step, final=final).metric().read(code)
    assert ended.outcome == FAILED
    assert ended.chunk is not None
    assert (ended.chunk.next_step, ended.chunk.state_path, ended.chunk.final) == (10, "", False)
    assert next_step == 10 or f"a state of step {next_step:,}, and it was to do 10 to 20" in ended.reason


@pytest.mark.parametrize(
    ("code", "how", "halted"),
    [
        (5, {}, chunk.IS_UNAVAILABLE), (chunk.SPENT, {}, chunk.IS_SPENT), (1, {}, ""), (chunk.MORE, {}, ""),
        (5, {"stopped": WAS_CANCELLED}, ""), (None, {"signal": 5}, ""),
    ],
)  # fmt: skip
def test_a_service_or_a_budget_that_was_not_there_is_told_apart_from_a_failure(
    folder: Folder, code: int | None, how: dict[str, object], halted: str
) -> None:
    ended = folder.read(code, **how)
    assert ended.chunk is not None
    assert ended.chunk.halted == halted


def test_of_what_was_fixed_before_step_0_no_later_chunk_says_anything_else(tmp_path: Path) -> None:
    fixed = {"reference": "tinker://a/sampler_weights/ref"}
    folder = Folder(tmp_path, fixed=fixed)
    row = Checkpoint(
        name="x", next_step=20, state_path="tinker://b/weights/x", fixed={"reference": "tinker://b/sampler_weights/other"}
    )  # fmt: skip
    put(folder.path, chunk.CHECKPOINTS, rows.encode_record(row))
    ended = folder.did(10).metric().read(chunk.MORE)
    assert ended.chunk is not None
    assert ended.chunk.fixed == fixed


def test_rows_that_are_more_than_are_read_are_trouble(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "LARGEST_FILE_BYTES", 100)
    ended = folder.did(10).saved(20).metric().read(chunk.MORE)
    assert ended.chunk is not None
    assert "what it used is not known" in ended.chunk.trouble


@pytest.mark.parametrize(("saved", "words"), [
    (15, "; its state of step 15 is saved"), (None, "; it saved no step, and the training stands at step 10"),
])  # fmt: skip
def test_one_that_was_ended_says_where_the_training_stands(folder: Folder, saved: int | None, words: str) -> None:
    folder = folder if saved is None else folder.did(5).saved(saved)
    for how in ({"signal": 9}, {"stopped": WAS_TIMEOUT}, {"stopped": WAS_CANCELLED, "why": "ann"}):
        assert folder.read(None, **how).reason.endswith(
            f"{words}; what it used after its last row is not in its tokens"
        )
        assert "signal" in how or folder.read(chunk.MORE, **how).reason.endswith(words), "it ended by itself"


@pytest.mark.parametrize("state", ["tinker://b/weights/../../x", "/etc/passwd", "tinker://b/sampler_weights/x"])
def test_a_path_that_is_no_state_is_none(folder: Folder, state: str) -> None:
    row = Checkpoint(name="x", next_step=20, state_path=state, final=True)
    put(folder.path, chunk.CHECKPOINTS, msgspec.json.encode(row) + b"\n")
    ended = folder.did(2).metric().read(chunk.MORE)
    assert ended.chunk is not None
    assert ended.chunk.state_path == ""
    assert ended.outcome == FAILED


@pytest.mark.parametrize("order", [b"", b"{", b'{"format": 1}', page(an_order(run_id="RUN-other"))])
def test_an_order_that_is_gone_or_anothers_is_a_failure_in_words(folder: Folder, order: bytes) -> None:
    put(folder.path, chunk.ORDER, order)
    ended = folder.did(10).saved(20).metric().read(chunk.MORE)
    assert (ended.outcome, ended.chunk) == (FAILED, None)


def test_what_the_service_let_it_wait_is_counted(folder: Folder) -> None:
    data = b'{"at": 1767323046.0, "what": "billing"}\n{"at": 1767323046.0, "what": "billing", "over": 1767323048.5}\n'
    put(folder.path, chunk.PAUSES, data)
    ended = folder.did(10).saved(20).metric().read(chunk.MORE)
    assert ended.chunk is not None
    assert ended.chunk.paused_s == 2.5
    assert ended.metrics["paused_s"] == 2.5


def test_what_a_run_costs_by_its_own_word_stands_where_there_are_no_prices(tmp_path: Path) -> None:
    folder = Folder(tmp_path, tuning=Tuning(base_model="tiny"))
    put(folder.path, layout.METRICS, canonical.encode({"loss": 0.5, "cost": 0.75}))
    assert folder.did(10).saved(20).read(chunk.MORE).cost == 0.75
