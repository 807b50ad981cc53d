"""Work that travels: out as tars, worked on where no lab is, back as tars; whoever dies on the way, at any step."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.cli.surroundings import run_program
from lab.core.errors import BadInput, Busy
from lab.core.package import Done
from lab.core.record import parse
from lab.scheduler.dispatch import courier, offers
from lab.scheduler.dispatch.postbox import copier
from lab.store import bundles, leases, sections, tarball
from lab.store.files import Files
from lab.store.root import Root
from lab.testing.files import Crash, CrashingFiles
from tests.scheduler.away import WORKER, carried, kinds, sealed, turn, with_surroundings, worked
from tests.scheduler.labs import a_copy, a_lab, an_experiment
from tests.scheduler.parcels import stages

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """\
import json, os
open(os.environ["COUNT"], "a").write("x")
json.dump({"loss": 0.25}, open(os.environ["LAB_RUN_DIR"] + "/metrics.json", "w"))
"""


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """A lab with one experiment that needs no program."""
    return with_surroundings(a_lab(tmp_path / "lab", "alpha", more="executor: stub\n"))


def sent(root: Root, tmp_path: Path) -> str:
    """A package that lies in the worker's folder."""
    assert "packed" in kinds(turn(root, tmp_path / "post"))
    (name,) = carried(tmp_path / "post/out", tmp_path / "in")
    return name.removesuffix(".tar")


def answered(root: Root, tmp_path: Path) -> str:
    """The same, once the worker was done with it, and a copier had brought the answer to the lab."""
    name = sent(root, tmp_path)
    worked(root, tmp_path / "in")
    assert carried(tmp_path / "in/out", tmp_path / "post") == [f"{name}.done.tar"]
    return name


def outcome(tar: Path) -> str:
    name = tarball.top(str(tar))
    return parse(Done, tarball.file_of(str(tar), f"{name}/done.json", 100_000) or b"", "").outcome


def test_a_package_goes_out_is_worked_on_and_comes_back_as_a_sealed_run(root: Root, tmp_path: Path) -> None:
    answered(root, tmp_path)
    assert sorted(os.listdir(tmp_path / "in/running")) == []
    assert offers.INGESTED in kinds(turn(root, tmp_path / "post"))
    assert sealed(root) == [("success", 0.0)]
    assert stages(root) == {}
    assert [os.listdir(tmp_path / "post" / each) for each in ("out", "away", "refused")] == [[], [], []]


def test_what_waits_is_taken_first_and_no_more_than_may_be_away(root: Root, tmp_path: Path) -> None:
    for name in ("beta", "gamma"):
        an_experiment(root, name, "executor: stub\n")
    offers.queue(root, actor="ann", only=("beta",), now=True)
    post = tmp_path / "post"
    first = turn(root, post)
    assert [each.experiment for each in first if each.kind == "packed"] == ["beta"]
    assert "packed" not in kinds(turn(root, post))
    more = turn(root, post, max_away=2, only=("gamma",))
    assert [each.experiment for each in more if each.kind == "packed"] == ["gamma"]
    assert len(os.listdir(post / "out")) == 2


def test_a_code_loop_is_not_sent_away(tmp_path: Path) -> None:
    (tmp_path / "ws").mkdir()
    more = f"executor: reference\nworkspace_root: {tmp_path}/ws\nvalidation_command: 'true'\nmutable_paths: [a]\n"
    root = with_surroundings(a_lab(tmp_path / "lab", "alpha", more=more))
    said = turn(root, tmp_path / "post", only=("alpha",))
    assert [(each.kind, "code loop" in each.what) for each in said] == [("passed", True)]
    assert stages(root) == {}


def test_a_package_that_comes_again_is_not_worked_on_again_and_gets_the_same_answer(root: Root, tmp_path: Path) -> None:
    name = sent(root, tmp_path)
    shutil.copy(tmp_path / f"in/{name}.tar", tmp_path / "again.tar")
    worked(root, tmp_path / "in")
    answer = (tmp_path / f"in/out/{name}.done.tar").read_bytes()
    shutil.copy(tmp_path / "again.tar", tmp_path / "in/whatever-it-is-called.tar")
    assert kinds(worked(root, tmp_path / "in")) == ["passed"]
    assert (tmp_path / f"in/out/{name}.done.tar").read_bytes() == answer
    assert os.listdir(tmp_path / "in/out") == [f"{name}.done.tar"]


def test_an_answer_that_comes_twice_counts_once_and_one_that_says_something_else_is_refused(
    root: Root, tmp_path: Path
) -> None:
    name = answered(root, tmp_path)
    answer = tmp_path / f"post/{name}.done.tar"
    shutil.copy(answer, tmp_path / "kept.tar")
    turn(root, tmp_path / "post", only=())
    carried(tmp_path / "post/out", tmp_path / "next")
    shutil.copy(tmp_path / "kept.tar", answer)
    turn(root, tmp_path / "post")
    assert os.listdir(tmp_path / "post/refused") == []
    folder = tmp_path / "other"
    with tarfile.open(tmp_path / "kept.tar") as tar:
        tar.extractall(folder, filter="data")
    (folder / name / "run/metrics.json").write_text('{"loss": -5}')
    os.unlink(folder / name / tarball.WHOLE)
    Files(durable=False).create(str(answer), tarball.pieces({name: str(folder / name)}))
    assert "refused" in kinds(turn(root, tmp_path / "post"))
    assert sealed(root) == [("success", 0.0)]
    assert sorted(os.listdir(tmp_path / "post/refused")) == [f"{name}.done.md", f"{name}.done.tar"]


def test_what_stays_away_for_too_long_is_given_up_and_its_late_answer_is_kept_and_not_counted(
    root: Root, tmp_path: Path
) -> None:
    name = sent(root, tmp_path)
    post = tmp_path / "post"
    assert "lost" not in kinds(turn(with_surroundings(root, later_s=3_000), post))
    late = with_surroundings(root, later_s=100_000)
    said = turn(late, post)
    assert {"lost", "packed"} <= set(kinds(said))  # and another run of it is on its way
    assert sealed(root) == []
    worked(root, tmp_path / "in")
    carried(tmp_path / "in/out", post)
    (refused,) = (each for each in turn(late, post) if each.path.endswith(".done.tar"))
    assert refused.kind == "refused"
    assert os.path.isfile(f"{post}/refused/{name}.done.tar")
    assert sealed(root) == []
    (run, _) = bundles.names(root, "alpha")
    assert os.path.isfile(f"{root.layout.run('alpha', run)}/SUPERSEDED.json")


def test_the_lease_of_what_is_away_is_renewed_by_every_turn(root: Root, tmp_path: Path) -> None:
    sent(root, tmp_path)
    (held,) = leases.survey(root, "alpha").held
    path = root.layout.claim("alpha", held.seen.claim.generation)
    os.utime(path, (1_000_000_000, os.stat(path).st_mtime - 1_000))
    before = os.stat(path).st_mtime
    turn(root, tmp_path / "post")
    assert os.stat(path).st_mtime > before


def test_a_copier_that_takes_longer_than_a_lease_loses_nothing_that_is_away(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "RENEW_EVERY_S", 0.05)
    name = sent(root, tmp_path)
    worked(root, tmp_path / "in")
    (held,) = leases.survey(root, "alpha").held
    claim = root.layout.claim("alpha", held.seen.claim.generation)
    is_fresh = f'[ -n "$(find {claim} -mmin -30)" ]'
    (tmp_path / "fetch").write_text(
        f"""{is_fresh} && echo before >>{tmp_path}/said
        touch -d '10 hours ago' {claim}
        for each in $(seq 400); do if {is_fresh}; then echo meanwhile >>{tmp_path}/said; break; fi; sleep 0.05; done
        mv {tmp_path}/in/out/{name}.done.tar "$1"
        """
    )
    os.utime(claim, (1_000_000_000, os.stat(claim).st_mtime - 36_000))
    fetch = copier(f"sh {tmp_path}/fetch {{dir}}", "--fetch", blanks=("dir",))
    assert offers.INGESTED in kinds(turn(_with_programs(root), tmp_path / "post", fetch=fetch))
    assert (tmp_path / "said").read_text().split() == ["before", "meanwhile"]
    assert sealed(root) == [("success", 0.0)]


def test_a_second_courier_at_a_folder_is_told_that_there_is_one(root: Root, tmp_path: Path) -> None:
    post = tmp_path / "post"
    turn(root, post)
    with sections.hold(f"{post}/.section"), pytest.raises(Busy, match="another courier is at it") as refusal:
        turn(root, post)
    assert "fuser" not in refusal.value.fix


def test_what_a_copier_complains_of_is_told_shortly_and_without_secrets(
    root: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POST_TOKEN", "correct-horse-battery")
    (tmp_path / "fetch").write_text(
        """echo first >&2
        printf 'token=hunter2 to https://ann:pa55@host/x with correct-horse-battery \\033[1m%0500d\\n' 0 >&2
        exit 9
        """
    )
    fetch = copier(f"sh {tmp_path}/fetch", "--fetch", blanks=())
    (said,) = (each for each in turn(_with_programs(root), tmp_path / "post", fetch=fetch) if each.kind == "problem")
    assert "sh ended with 9: token=[redacted] to https://ann:[redacted]@host/x with [redacted]" in said.what
    assert "first" not in said.what
    assert len(said.what) < 300
    assert said.what.isprintable()


def _with_programs(root: Root) -> Root:
    """The same lab, where programs of the surroundings can be started."""
    seen = with_surroundings(root)
    return Root(root.layout.root, msgspec.structs.replace(seen.world, run=run_program), files=root.files)


def test_an_answer_of_another_worker_is_refused(root: Root, tmp_path: Path) -> None:
    answered(root, tmp_path)
    assert "refused" in kinds(turn(root, tmp_path / "post", worker="near"))
    assert sealed(root) == []


def test_a_success_without_a_number_is_refused_and_is_not_sent_again_until_its_time_is_up(
    root: Root, tmp_path: Path
) -> None:
    name = answered(root, tmp_path)
    folder, answer = tmp_path / "forged", tmp_path / f"post/{name}.done.tar"
    with tarfile.open(answer) as tar:
        tar.extractall(folder, filter="data")
    for each in (f"run/{file}" for file in ("exit.json", "metrics.json")):
        (folder / name / each).unlink(missing_ok=True)
    (folder / name / tarball.WHOLE).unlink()
    answer.unlink()
    Files(durable=False).create(str(answer), tarball.pieces({name: str(folder / name)}))
    assert "refused" in kinds(turn(root, tmp_path / "post"))
    assert os.listdir(tmp_path / "post/out") == []
    assert stages(root) == {"running": 1}


def test_a_hostile_tar_is_put_aside_and_the_next_one_is_worked_on(root: Root, tmp_path: Path) -> None:
    name = sent(root, tmp_path)
    place = tmp_path / "in"
    for number, member in enumerate(("../../escape", f"{name}/run/../../../x", "/etc/x", "two/x")):
        inner = tmp_path / f"bad{number}.tar"
        with tarfile.open(inner, "w", format=tarfile.USTAR_FORMAT) as tar:
            for each in (member, f"{name}/x"):
                about = tarfile.TarInfo(each)
                about.size = 1
                tar.addfile(about, io.BytesIO(b"x"))
        whole(inner, place / f"a{number}.tar", name)
    link = tmp_path / "link.tar"
    with tarfile.open(link, "w", format=tarfile.USTAR_FORMAT) as tar:
        about = tarfile.TarInfo(f"{name}/run")
        about.type, about.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(about)
    whole(link, place / "a9.tar", name)
    said = worked(root, place)
    assert kinds(said).count("refused") == 5
    assert kinds(said).count("completed") == 1
    assert sorted(os.listdir(tmp_path)) == sorted(
        ["in", "lab", "link.tar", "post", *(f"bad{number}.tar" for number in range(4))]
    )
    assert len(os.listdir(place / "refused")) == 10


def whole(source: Path, target: Path, top: str) -> None:
    """A tar with the mark of a whole one, whatever is in it."""
    data = source.read_bytes().rstrip(b"\0")
    data = data.ljust(-(-len(data) // 512) * 512, b"\0")

    last = tarball._last(top, hashlib.sha256(data).hexdigest())
    size = len(data) + len(last) + 1_024
    target.write_bytes(data + last + b"\0" * (1_024 + -size % 10_240))
    assert tarball.digest_of(str(target))


def test_a_whole_tar_that_is_no_package_is_put_aside(root: Root, tmp_path: Path) -> None:
    place = tmp_path / "in"
    worked(root, place)
    (tmp_path / "x").mkdir()
    for name in ("holiday", "DISPATCH-20261121-093000-000000-alpha"):
        Files(durable=False).create(str(place / f"{name}.tar"), tarball.pieces({name: str(tmp_path / "x")}))
    assert kinds(worked(root, place)) == ["refused", "refused"]


def test_only_the_classes_that_are_named_are_worked_on(tmp_path: Path) -> None:
    root = with_surroundings(a_lab(tmp_path / "lab", "alpha", more="executor: stub\nexecutor_class: gpu\n"))
    sent(root, tmp_path)
    assert worked(root, tmp_path / "in", classes=("cpu",)) == []
    assert kinds(worked(root, tmp_path / "in", classes=("gpu",))) == ["completed"]


def test_a_package_whose_run_was_begun_by_a_dead_worker_is_a_crash_and_not_run_again(
    root: Root, tmp_path: Path
) -> None:
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws/train.py").write_text(SCRIPT)
    an_experiment(root, "beta", f"workspace_root: {tmp_path}/ws\nexecutor_command: python3 train.py\nenv: [COUNT]\n")
    turn(root, tmp_path / "post", only=("beta",))
    (file,) = carried(tmp_path / "post/out", tmp_path / "in")
    name = file.removesuffix(".tar")
    (tmp_path / "in/running").mkdir()
    with tarfile.open(tmp_path / "in" / file) as tar:
        tar.extractall(tmp_path / "in/running", filter="data")
    (tmp_path / "in" / file).unlink()
    (tmp_path / f"in/running/{name}/begun.json").write_text("{}")
    (said,) = worked(root, tmp_path / "in")
    assert (said.outcome, "ended before it was done" in said.what) == ("crash", True)
    carried(tmp_path / "in/out", tmp_path / "post")
    turn(root, tmp_path / "post", only=("beta",))
    assert sealed(root, "beta") == [("crash", None)]


def test_a_worker_that_dies_before_any_of_its_steps_answers_once_and_not_differently(
    root: Root, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    name = sent(root, tmp_path)
    every = 1 if request.config.getoption("--slow") else 3
    counted = CrashingFiles()
    shutil.copytree(tmp_path / "in", tmp_path / "all")
    worked(root, tmp_path / "all", counted)
    assert counted.steps > 30
    for at in range(1, counted.steps + 1, every):
        place = tmp_path / f"in-{at}"
        shutil.copytree(tmp_path / "in", place)
        with pytest.raises(Crash):
            worked(root, place, CrashingFiles(at=at))
        out = place / f"out/{name}.done.tar"
        before = outcome(out) if out.exists() else ""
        worked(root, place)
        assert os.listdir(place / "out") == [f"{name}.done.tar"], counted.log[at - 1]
        assert tarball.digest_of(str(out))
        assert outcome(out) in ({before} if before else {"success", "crash"}), counted.log[at - 1]
        assert [each for each in os.listdir(place) if each.endswith(".tar")] == []
        assert os.listdir(place / "running") == [], counted.log[at - 1]
        assert worked(root, place) == []
        shutil.rmtree(place)


@pytest.mark.parametrize("after", ["begin", "answer"])
def test_a_courier_that_dies_before_any_of_its_steps_loses_nothing_and_counts_once(
    root: Root, tmp_path: Path, after: str, request: pytest.FixtureRequest
) -> None:
    if after == "answer":
        answered(root, tmp_path)
    post = tmp_path / "post"
    post.mkdir(exist_ok=True)
    every = 3 if request.config.getoption("--slow") else 16
    counted = CrashingFiles()
    first = with_surroundings(a_copy(root.layout.root, "all", counted))
    shutil.copytree(post, tmp_path / "post-all")
    turn(first, tmp_path / "post-all")
    assert counted.steps > 40
    for at in range(1, counted.steps + 1, every):
        place, there = tmp_path / f"post-{at}", tmp_path / f"there-{at}"
        shutil.copytree(post, place)
        copy = a_copy(root.layout.root, str(at), CrashingFiles(at=at))
        with pytest.raises(Crash):
            turn(with_surroundings(copy), place)
        again = with_surroundings(copy, Files(durable=False))
        for _ in range(3):
            turn(again, place)
            carried(place / "out", there)
            worked(root, there)
            carried(there / "out", place)
        turn(again, place)
        found = sealed(again)
        assert found, counted.log[at - 1]
        assert len(found) == len([each for each in os.listdir(place / "done") if each.endswith(".json")])
        assert {each for each, _ in found} == {"success"}
        assert os.listdir(place / "refused") == [], counted.log[at - 1]


def test_a_word_to_end_a_run_goes_after_it(root: Root, tmp_path: Path) -> None:
    name = sent(root, tmp_path)
    (held,) = leases.survey(root, "alpha").held
    asked = root.layout.claim("alpha", held.seen.claim.generation, ".cancel")
    Files(durable=False).replace(asked, b"too dear\n")
    turn(root, tmp_path / "post")
    assert carried(tmp_path / "post/out", tmp_path / "in") == [f"{name}.cancel"]
    assert (tmp_path / f"in/{name}.cancel").read_text() == "too dear\n"
    worked(root, tmp_path / "in")
    assert [each for each in os.listdir(tmp_path / "in") if each.endswith(".cancel")] == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("cp {file} {there}", "nothing stands for"), ("cp x y", "does not say where"), ("cp '{file}", "cannot be read"),
        ("no-such-program-at-all {file}", "there is no program"),
    ],
)  # fmt: skip
def test_a_command_that_cannot_be_meant_is_refused(text: str, problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        copier(text, "--send", blanks=("dir", "file"), needs="file")


def test_the_worker_is_known_by_its_name(root: Root, tmp_path: Path) -> None:
    answered(root, tmp_path)
    turn(root, tmp_path / "post", max_away=0)
    (run,) = bundles.names(root, "alpha")
    manifest = bundles.load_manifest(root.layout.run("alpha", run))
    assert manifest is not None
    assert manifest.worker == WORKER
