"""The page of one run: what is there is shown, whatever a run left there, and nothing from elsewhere."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import layout
from lab.core.errors import NotFound, Unavailable
from lab.core.record import page
from lab.projections.picture.run import ARCHIVED, LOST, RUNNING, SEALED, SUPERSEDED
from lab.scheduler import cycle, prune, refresh
from lab.scheduler.prune import Wish
from lab.scheduler.results import compared, filed, opened
from lab.scheduler.results.logged import Logged
from lab.store import bundles
from lab.testing.files import a_root
from tests.cli.searches import a_run, a_searched_lab, some_runs
from tests.scheduler.labs import a_lab, dead, ended, identities, me, one_run
from tests.scheduler.loop.live import a_loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.scheduler.cycle import Running
    from lab.store.root import Root

NOBODY = "RUN-20260102-030405-000000-scout"


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return a_lab(tmp_path / "lab", "a", more="max_parallel: 8\n")


def begun(root: Root, files: dict[str, bytes]) -> Running:
    running = cycle.begin(root, "a", owner=me(), params={"lr": 0.1})
    for name, data in files.items():
        path = Path(running.path, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return running


def sealed(root: Root, files: dict[str, bytes], **how: object) -> tuple[str, Path]:
    running = begun(root, files)
    cycle.finish(root, running, ended(1.0, **how))  # type: ignore[arg-type]
    return running.manifest.run_id, Path(running.path)


def full(path: Path, count: int) -> None:
    """Its seal, as if it had so many files. They are not there."""
    (made, _) = bundles.load_seal(str(path)) or pytest.fail("no seal")
    some = next(iter(made.files.values()))
    files = {**made.files, **{f"artifacts/{number:06d}.txt": some for number in range(count)}}
    os.chmod(path / "SEAL.json", 0o644)
    (path / "SEAL.json").write_bytes(page(msgspec.structs.replace(made, files=files)))


def peak_of(job: Callable[[], object], threads: int) -> int:
    """The most memory that was in use while this was done in so many threads at once.

    Python counts what every thread of the process takes, also one that an earlier test left behind. That only adds,
    and seldom to each of three tries.
    """
    return min(_peak_of(job, threads) for _ in range(3))


def _peak_of(job: Callable[[], object], threads: int) -> int:
    tracemalloc.start()
    try:
        at_once = [threading.Thread(target=job) for _ in range(threads)]
        for each in at_once:
            each.start()
        for each in at_once:
            each.join()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("what", ["page", "file", "log", "compared"])
def test_many_who_ask_for_a_run_of_many_files_need_the_memory_of_one(root: Root, what: str) -> None:
    run_id, path = sealed(root, {"stdout.log": b"hello\n"})
    full(path, 10_000)
    job: Callable[[], object] = {
        "page": lambda: opened.read(root, run_id),
        "file": lambda: os.close(opened.fetch(root, run_id, "stdout.log")[0]),
        "log": lambda: kept.append(Logged(root, run_id, "stdout")),
        "compared": lambda: compared.compare(root, run_id, run_id),
    }[what]
    kept: list[Logged] = []
    job()
    alone, together = peak_of(job, 1), peak_of(job, 8)
    assert together < 2 * alone
    if what == "page":
        shown = opened.read(root, run_id)
        assert (len(shown.files), shown.files_left_out) == (filed.MOST_FILES, 10_006 - filed.MOST_FILES)


def through(root: Root, run_id: str, name: str) -> bytes:
    descriptor, size = opened.fetch(root, run_id, name)
    try:
        data = os.read(descriptor, 1 << 20)
        assert len(data) == size
        return data
    finally:
        os.close(descriptor)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def writable(path: Path) -> Path:
    """A sealed file and its folder, opened for a vandal."""
    path.parent.chmod(0o755)
    if path.exists():
        path.chmod(0o644)
    return path


def test_a_sealed_run_shows_what_it_was_and_what_it_left(root: Root) -> None:
    files = {"stdout.log": b"one\ntwo\nthree\n", "artifacts/model.bin": b"\0" * 1000}
    run, _ = sealed(root, files, result="# Done\n\nwell\n", note="less is more")
    refresh.everything(root)
    before = identities(root.layout.root)
    page = opened.read(root, run, log_lines=2, check=True)
    assert identities(root.layout.root) == before
    assert (page.state, page.outcome, page.value, page.metric) == (SEALED, "success", 1.0, "loss")
    assert (page.note, page.params, page.metrics["seen"]) == ("less is more", {"lr": 0.1}, 7)
    assert page.result == "# Done\n\nwell\n"
    assert page.plan
    assert (page.logs["stdout"].lines, page.logs["stdout"].cut) == (("two", "three"), True)
    assert (page.logs["stdout"].size, page.logs["stderr"].lines) == (14, ())
    kept = {each.name: each for each in page.files}
    model = kept["artifacts/model.bin"]
    assert (model.size, model.sha256, model.readable) == (1000, hashlib.sha256(b"\0" * 1000).hexdigest(), True)
    assert [each.name for each in page.files][-1] == "artifacts/model.bin"
    assert (page.intact, page.problems, page.against) == (True, (), run)
    found = bundles.load_seal(root.layout.run("a", run))
    assert found is not None
    assert page.seal_sha256 == hashlib.sha256(found[1]).hexdigest()
    assert opened.read(root, run).intact is None
    assert msgspec.json.decode(msgspec.json.encode(page), type=type(page)) == page


def test_parameters_are_held_against_the_best_of_the_tier(tmp_path: Path) -> None:
    root = a_searched_lab(tmp_path / "lab")
    ids = some_runs(root)
    page = opened.read(root, ids[1])
    assert page.against == ids[2]
    differs = {each.name: (each.here, each.there, each.has) for each in page.differs}
    assert differs == {
        "lr": (0.01, 0.001, (True, True)),
        "kind": ("sgd", "adam", (True, True)),
        "momentum": (0.9, None, (True, False)),
    }
    assert page.alike == 1
    alone = a_run(root, {"lr": 1.0}, 0.1, tier="final").run.run_id
    assert (opened.read(root, alone).against, opened.read(root, alone).differs) == (alone, ())


def test_a_run_under_way_a_lost_one_and_a_superseded_one_are_told_apart(root: Root) -> None:
    running = begun(root, {"stdout.log": b"step 1\n", "artifacts/x": b"x"})
    page = opened.read(root, running.manifest.run_id)
    assert (page.state, page.outcome, page.value, page.intact) == (RUNNING, "", None, None)
    assert (page.params, page.logs["stdout"].lines, page.worker) == ({"lr": 0.1}, ("step 1",), me().name)
    assert ("artifacts/x", 1, "") in [(each.name, each.size, each.sha256) for each in page.files]
    assert through(root, running.manifest.run_id, "artifacts/x") == b"x"
    gone = cycle.begin(a_lab(f"{root.layout.root}2", "a"), "a", owner=dead())
    other = opened.read(a_root(gone.path.partition("/experiments/")[0]), gone.manifest.run_id)
    assert (other.state, other.params) == (LOST, None)
    bundles.supersede(root, "a", running.manifest.run_id, 1, "its lease ended")
    assert opened.read(root, running.manifest.run_id).state == SUPERSEDED
    shutil.copytree(running.path, copy := root.layout.run("a", NOBODY))
    os.unlink(f"{copy}/{layout.SUPERSEDED}")
    page = opened.read(root, NOBODY)
    assert (page.state, [line for line in page.problems if "watchdog" in line] != []) == (LOST, True)


def test_an_archived_run_says_what_its_companion_holds(root: Root) -> None:
    run, _ = sealed(root, {"stdout.log": b"x\n"}, result="# Done\n")
    for value in (0.5, 2.0, 3.0, 4.0, 5.0):
        one_run(root, "a", value)
    done = prune.prune(root, "a", Wish())
    page = opened.read(root, run, check=True)
    assert (page.state, page.value, page.params, page.result) == (ARCHIVED, 1.0, {"lr": 0.1}, "# Done\n")
    assert (page.logs, page.intact) == ({}, None)
    assert all(each.sha256 and not each.readable for each in page.files)
    assert any("labctl prune --restore" in line for line in page.problems)
    assert done.runs == (run,)
    with pytest.raises(Unavailable):
        opened.fetch(root, run, "stdout.log")


def test_what_was_changed_after_the_seal_is_told_and_not_shown(root: Root) -> None:
    run, path = sealed(root, {"artifacts/a": b"aaa", "artifacts/b": b"bbb", "artifacts/c": b"ccc"}, result="# True\n")
    writable(path / layout.RESULT).write_bytes(b"# Fake\n")  # of the same length
    writable(path / "artifacts/a").write_bytes(b"longer")
    writable(path / "artifacts/b").unlink()
    page = opened.read(root, run)
    changed = {each.name: each.changed for each in page.files if each.changed}
    assert changed == {"artifacts/a": "6 bytes instead of 3", "artifacts/b": "it is gone"}
    assert (page.intact, page.result) == (False, "")
    assert "RESULT.md is not what was sealed, and is not shown" in page.problems
    (path / "artifacts/new").write_bytes(b"")
    page = opened.read(root, run, check=True)
    assert {each.name for each in page.files if each.changed} == {"artifacts/a", "artifacts/b", "RESULT.md"}
    assert any(line.startswith("artifacts/new: ") for line in page.problems)
    with pytest.raises(Unavailable, match="6 bytes instead of 3"):
        opened.fetch(root, run, "artifacts/a")
    with pytest.raises(NotFound):
        opened.fetch(root, run, "artifacts/b")
    with pytest.raises(NotFound):
        opened.fetch(root, run, "artifacts/new")
    assert through(root, run, "artifacts/c") == b"ccc"


def test_no_link_pipe_or_folder_leads_a_page_astray(root: Root, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("THE SECRET\n")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("THE SECRET\n")
    running = begun(root, {"artifacts/deep/ok": b"ok"})
    run, path = running.manifest.run_id, Path(running.path)
    for name in ("stdout.log", layout.RESULT, layout.METRICS, opened.PATCH, "artifacts/link"):
        (path / name).symlink_to(tmp_path / "secret")
    (path / "artifacts/elsewhere").symlink_to(tmp_path / "outside")
    os.mkfifo(path / "stderr.log")
    os.mkfifo(path / "artifacts/pipe")
    (path / layout.PARAMS).unlink()
    (path / layout.PARAMS).mkdir()
    (path / layout.PLAN).write_bytes(b"\xff\x00\x1b[2J")
    before = open_files()
    page = opened.read(root, run)
    assert "THE SECRET" not in repr(page)
    assert (page.params, page.metrics, page.result, page.diff) == (None, {}, "", "")
    assert "plain file" in page.logs["stdout"].problem
    assert "plain file" in page.logs["stderr"].problem
    assert f"{layout.RESULT} is no plain file, and is not read" in page.problems
    readable = {each.name: each.readable for each in page.files}
    assert (readable["artifacts/link"], readable["artifacts/elsewhere"], readable["artifacts/pipe"]) == (False,) * 3
    assert readable["artifacts/deep/ok"]
    assert "artifacts/elsewhere/file" not in readable
    for name in ("stdout.log", "artifacts/link", "artifacts/elsewhere/file", "artifacts/pipe", "artifacts/deep"):
        with pytest.raises((NotFound, Unavailable)):
            opened.fetch(root, run, name)
    assert open_files() == before


@pytest.mark.parametrize(
    "name", ["", ".", "..", "/etc/passwd", "../../SPEC.yaml", "artifacts/../../../SPEC.yaml", "artifacts//x", "x\0y",
             "./plan.md", "artifacts/", "not-utf-8:2e2e2f53", "x/" * 5000 + "x"],
)  # fmt: skip
def test_no_name_leads_out_of_the_bundle(root: Root, name: str) -> None:
    running = begun(root, {"artifacts/x": b"x"})
    before = open_files()
    with pytest.raises(NotFound):
        opened.fetch(root, running.manifest.run_id, name)
    assert open_files() == before


def test_a_bundle_that_is_a_link_is_none_of_ours(root: Root, tmp_path: Path) -> None:
    run, path = sealed(root, {"artifacts/x": b"x"}, result="# THE SECRET\n")
    path.rename(tmp_path / run)
    path.symlink_to(tmp_path / run)
    page = opened.read(root, run)
    assert "THE SECRET" not in repr(page)
    assert (page.state, page.files) == (LOST, ())
    assert any(line.startswith("its bundle cannot be read") for line in page.problems)
    with pytest.raises(Unavailable):
        opened.fetch(root, run, "artifacts/x")


def test_files_that_are_no_json_or_no_record_are_named(root: Root) -> None:
    run, path = sealed(root, {})
    writable(path / layout.SEAL).write_bytes(b"{")
    page = opened.read(root, run)
    assert page.state == LOST
    assert any("seal" in line for line in page.problems)
    running = begun(root, {})
    Path(running.path, layout.MANIFEST).write_bytes(b"[" * 100_000)
    Path(running.path, layout.PARAMS).unlink()
    Path(running.path, layout.PARAMS).write_bytes(b'{"a": 1' + b"0" * 400 + b', "b": ' + b"[" * 200 + b"]" * 200 + b"}")
    Path(running.path, layout.METRICS).write_bytes(b'{"x": NaN}')
    page = opened.read(root, running.manifest.run_id)
    assert page.state == RUNNING
    assert "metrics.json is no JSON object" in page.problems
    assert any("manifest" in line for line in page.problems)
    msgspec.json.encode(page)


def test_a_bundle_that_goes_while_it_is_read_leaves_what_was_read(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    run, path = sealed(root, {"stdout.log": b"x\n"}, result="# Done\n")
    given = opened._given

    def gone(*words: object) -> object:
        shutil.rmtree(path)
        return given(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(opened, "_given", gone)
    page = opened.read(root, run, check=True)
    assert (page.state, page.value, page.intact, page.result) == (SEALED, 1.0, False, "")
    assert "RESULT.md was sealed, and is gone" in page.problems
    with pytest.raises(NotFound):
        opened.read(root, run)
    for name in ("RUN-x", "../a", "", NOBODY):
        with pytest.raises(NotFound):
            opened.read(root, name)


def test_of_much_only_a_part_is_shown_and_the_rest_counted(root: Root) -> None:
    files = {f"artifacts/{number:04d}": b"" for number in range(filed.MOST_FILES + 20)}
    running = begun(root, files | {layout.RESULT: b"y" * (opened.TEXT_BYTES + 1)})
    Path(running.path, layout.METRICS).write_bytes(
        msgspec.json.encode({f"m{number}": number for number in range(500)} | {"m1": "z" * 5000})
    )
    with open(f"{running.path}/stdout.log", "wb") as log:
        log.truncate(400 << 20)  # with holes: as long as a real one for whoever reads it
        log.seek(0, os.SEEK_END)
        log.write(b"\nthe end\n")
    page = opened.read(root, running.manifest.run_id)
    assert (len(page.files), page.files_left_out) == (
        filed.MOST_FILES,
        len(os.listdir(running.path)) + len(files) - 1 - 500,
    )
    assert (len(page.result), len(page.metrics)) == (opened.TEXT_BYTES, opened.MOST_METRICS)
    assert len(str(page.metrics["m1"])) == opened.METRIC_CHARS + 1
    assert page.logs["stdout"].lines[-1] == "the end"
    assert page.logs["stdout"].size > 400 << 20
    assert sum(map(len, page.logs["stdout"].lines)) < 300 << 10
    run, _ = sealed(root, {f"artifacts/{number:04d}": b"" for number in range(600)})
    page = opened.read(root, run)
    assert len(page.files) + page.files_left_out > 600
    assert layout.PLAN in {each.name for each in page.files}


def test_the_change_of_a_candidate_is_shown_also_without_its_patch(tmp_path: Path) -> None:
    loop = a_loop(tmp_path)
    made = loop.change(":", "echo 40 > value")
    page = opened.read(loop.root, made.run_id)
    assert "-50\n+40\n" in page.diff
    assert (page.candidate is not None, page.verdict, page.against, page.diff_cut) == (True, "keep", made.run_id, False)
    before = identities(loop.root.layout.root)
    shutil.copytree(loop.root.layout.root, tmp_path / "copy", symlinks=True)
    writable(loop.path(made.run_id) / opened.PATCH).unlink()
    again = opened.read(loop.root, made.run_id)
    assert "-50\n+40\n" in again.diff
    del before[f"experiments/loop/runs/{made.run_id}/{opened.PATCH}"]
    assert identities(loop.root.layout.root) == before
    shutil.rmtree(tmp_path / "ws/.git")
    lost = opened.read(loop.root, made.run_id)
    assert lost.diff == ""
    assert any("not both in a repository" in line for line in lost.problems)


def test_a_run_that_may_lie_where_nobody_can_look_is_not_said_to_be_none(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "alpha")
    run_id = one_run(root, "alpha").run.run_id
    runs = Path(root.layout.runs("alpha"))
    runs.rename(tmp_path / "runs")
    runs.symlink_to(runs)  # as a folder without the right to look into it, which holds nobody off who is root
    with pytest.raises(Unavailable, match=os.strerror(errno.ELOOP)):
        opened.read(root, run_id)


def test_a_run_of_a_lab_that_is_gone_is_not_said_to_be_none(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "alpha")
    (tmp_path / "lab").rename(tmp_path / "elsewhere")
    with pytest.raises(Unavailable, match="the data root is not there any more"):
        opened.read(root, "RUN-20260102-030405-000000-nobody")


def test_the_best_whose_parameters_cannot_be_read_is_nothing_to_be_held_against(tmp_path: Path) -> None:
    root = a_searched_lab(tmp_path / "lab")
    first, _, best, _ = some_runs(root)
    assert opened.read(root, first).differs
    path = Path(root.layout.run("sweep", best), "params.json")
    os.chmod(path, 0o644)
    path.write_text(path.read_text().replace("0.001", "0.002"))
    found = opened.read(root, first)
    assert (found.against, found.differs) == (best, ())
    assert (
        "it cannot be held against the best: its params.json is not what was sealed, and is not shown" in found.problems
    )
