"""Whatever is done to what is canonical is found, with its kind and its place."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import canonical, event, layout
from lab.scheduler import refresh
from lab.store import bundles, contents, ledger, reading, verify
from lab.testing.files import a_root
from tests.scheduler.labs import a_lab, identities, one_run, write

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.root import Root


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("verify") / "lab"
    root = a_lab(place, "a", "b")
    for value in (0.5, 0.25):
        one_run(root, "a", value)
        one_run(root, "b", value)
    return place


@pytest.fixture
def root(healthy: Path, tmp_path: Path) -> Root:
    shutil.copytree(healthy, tmp_path / "lab")
    return a_root(tmp_path / "lab")


def found(root: Root) -> set[tuple[str, str]]:
    return {(each.kind, each.where) for each in verify.verify(root).damage}


def bundle(root: Root, name: str = "a", number: int = 0) -> tuple[str, str]:
    """A bundle's path, and how reports call it."""
    run_id = bundles.names(root, name)[number]
    return root.layout.run(name, run_id), f"experiments/{name}/runs/{run_id}"


def lines(root: Root) -> list[bytes]:
    return (reading.read(root.layout.events) or b"").splitlines(keepends=True)


def test_a_healthy_lab_has_no_damage_and_is_only_looked_at(root: Root) -> None:
    before = identities(root.layout.root)
    seen = verify.verify(root)
    assert (seen.damage, seen.torn, seen.unsealed) == ((), 0, 0)
    assert (seen.records, seen.runs, seen.files) == (7, 4, 20)
    assert identities(root.layout.root) == before


def test_one_bit_in_any_sealed_file_is_found(root: Root) -> None:
    path, where = bundle(root)
    loaded = bundles.load_seal(path)
    assert loaded is not None
    for name in loaded[0].files:
        sound = reading.read(f"{path}/{name}") or b""
        for at in (0, len(sound) // 2, len(sound) - 1):
            write(f"{path}/{name}", sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
            assert found(root) == {("file-edited", f"{where}/{name}")}
        write(f"{path}/{name}", sound)
    assert found(root) == set()


def test_a_second_line_of_a_run_is_damage_and_the_first_one_stands(root: Root) -> None:
    path, _ = bundle(root)
    run_id, seal = os.path.basename(path), canonical.digest(reading.read(f"{path}/{layout.SEAL}") or b"")
    told = event.Event(type=event.RUN_SEALED, ts=root.now(), experiment="a", run_id=run_id, seal=seal)
    kept = msgspec.structs.replace(told, name="0" * 64)  # the very same, taken over once more
    other = msgspec.structs.replace(told, name="0" * 64, seal="1" * 64)
    for line, kinds in ((kept, []), (told, ["sealed-twice"]), (other, ["sealed-twice", "sealed-twice"])):
        ledger.append(root, line)
        damage = verify.verify(root).damage
        assert [each.kind for each in damage] == kinds
        assert all(run_id in each.what for each in damage)
    assert "and with another seal" in verify.verify(root).damage[-1].what


def test_a_file_that_grew_or_shrank_is_told_with_its_sizes(root: Root) -> None:
    path, _ = bundle(root)
    write(f"{path}/plan.md", b"short")
    (damage,) = verify.verify(root).damage
    assert damage.what.startswith("a sealed file was changed: 5 bytes instead of ")


def test_a_file_that_is_gone_is_found(root: Root) -> None:
    path, where = bundle(root)
    os.unlink(f"{path}/RESULT.md")
    assert found(root) == {("file-missing", f"{where}/RESULT.md")}


def test_a_file_that_became_a_link_to_the_same_bytes_is_found(root: Root) -> None:
    path, where = bundle(root)
    os.rename(f"{path}/plan.md", f"{root.layout.root}/scratch/plan.md")
    os.symlink(f"{root.layout.root}/scratch/plan.md", f"{path}/plan.md")
    assert found(root) == {("file-edited", f"{where}/plan.md")}


@pytest.mark.parametrize("name", ["notes.txt", "artifacts/new.bin", layout.SUPERSEDED])
def test_a_file_that_was_added_is_found(root: Root, name: str) -> None:
    path, where = bundle(root)
    os.makedirs(os.path.dirname(f"{path}/{name}"), exist_ok=True)
    write(f"{path}/{name}", b"")
    assert found(root) == {("file-added", f"{where}/{name}")}


def test_a_bundle_that_is_gone_is_found(root: Root) -> None:
    path, where = bundle(root)
    shutil.rmtree(path)
    assert found(root) == {("bundle-missing", where)}


def test_an_experiment_that_is_gone_is_found_run_by_run(root: Root) -> None:
    places = {("bundle-missing", bundle(root, "b", number)[1]) for number in range(2)}
    shutil.rmtree(root.layout.experiment("b"))
    assert found(root) == {*places, ("experiment-missing", "experiments/b")}


def test_a_bundle_under_another_name_is_found_at_both(root: Root) -> None:
    path, where = bundle(root)
    os.rename(path, f"{path}-2")
    assert found(root) == {("bundle-missing", where), ("seal-unreadable", f"{where}-2/SEAL.json")}


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"value": 0.5', b'"value": 0.1'), (b'"format": 1', b'"format":  1'), (b"sealed_by", b"zealed_by")],
)
def test_an_edited_seal_is_found(root: Root, old: bytes, new: bytes) -> None:
    path, where = bundle(root)
    data = reading.read(f"{path}/SEAL.json") or b""
    assert old in data
    write(f"{path}/SEAL.json", data.replace(old, new))
    assert found(root) & {("seal-edited", f"{where}/SEAL.json"), ("seal-unreadable", f"{where}/SEAL.json")}


@pytest.mark.parametrize("data", [b"", b"garbage", b"\0" * 900, b'{"format": 2}'])
def test_a_seal_that_cannot_be_read_is_found(root: Root, data: bytes) -> None:
    path, where = bundle(root)
    write(f"{path}/SEAL.json", data)
    assert found(root) == {("seal-unreadable", f"{where}/SEAL.json")}


def test_a_seal_that_is_gone_is_found(root: Root) -> None:
    path, where = bundle(root)
    os.unlink(f"{path}/SEAL.json")
    assert found(root) == {("seal-missing", where)}


def test_a_seal_that_was_edited_together_with_its_file_is_found(root: Root) -> None:
    path, where = bundle(root)
    made = bundles.load_seal(path)
    assert made is not None
    write(f"{path}/metrics.json", b'{"value": 0.1}\n')
    forged = contents.look(f"{path}/metrics.json")
    assert forged is not None
    kept = made[0].files["metrics.json"]
    data = made[1].replace(kept.sha256.encode(), forged.sha256.encode())
    write(f"{path}/SEAL.json", data.replace(b'"size": %d' % kept.size, b'"size": %d' % forged.size))
    assert ("seal-edited", f"{where}/SEAL.json") in found(root)


@pytest.mark.parametrize("number", range(6))
def test_a_ledger_line_that_was_edited_is_found(root: Root, number: int) -> None:
    old = lines(root)
    old[number] = old[number].replace(b"T03:", b"T04:", 1)
    write(root.layout.events, b"".join(old))
    assert ("ledger-chain", "registry/events.jsonl") in found(root)


def test_a_last_ledger_line_that_was_edited_is_found_by_the_index(root: Root) -> None:
    old = lines(root)
    write(root.layout.events, b"".join([*old[:-1], old[-1].replace(b"T03:", b"T04:", 1)]))
    assert ("ledger-cut", "registry/events.jsonl") in found(root)


@pytest.mark.parametrize("number", range(6))
def test_a_ledger_line_that_was_removed_is_found(root: Root, number: int) -> None:
    old = lines(root)
    write(root.layout.events, b"".join(old[:number] + old[number + 1 :]))
    assert ("ledger-chain", "registry/events.jsonl") in found(root)


def test_ledger_lines_in_another_order_are_found(root: Root) -> None:
    old = lines(root)
    write(root.layout.events, b"".join([*old[:3], old[4], old[3], *old[5:]]))
    assert ("ledger-chain", "registry/events.jsonl") in found(root)


@pytest.mark.parametrize("kept", range(1, 7))
def test_a_ledger_that_was_cut_is_found_even_when_the_pages_were_made_anew(root: Root, kept: int) -> None:
    write(root.layout.events, b"".join(lines(root)[:kept]))
    assert ("ledger-cut", "registry/events.jsonl") in found(root)
    refresh.everything(root)
    kinds = {kind for kind, _ in found(root)}
    # The last seal is tied to record 6. Of what came after, only its own missing line tells.
    assert ("ledger-cut" if kept < 6 else "unrecorded") in kinds


def test_a_ledger_that_is_gone_is_found(root: Root) -> None:
    os.unlink(root.layout.events)
    assert ("ledger-missing", "registry/events.jsonl") in found(root)


@pytest.mark.parametrize("garbage", [b"garbage\n", b"\xff\xff\n"])
def test_garbage_at_the_end_of_the_ledger_is_found(root: Root, garbage: bytes) -> None:
    with open(root.layout.events, "ab") as file:
        file.write(garbage)
    assert found(root) == {("ledger-torn", "registry/events.jsonl")}


def test_a_bundle_from_another_lab_is_not_taken_for_ours(root: Root, tmp_path: Path) -> None:
    other = a_lab(tmp_path / "other", "a")
    made = one_run(other, "a", 0.001)
    run_id = made.run.run_id.replace("20260102", "20260103")
    shutil.copytree(other.layout.run("a", made.run.run_id), root.layout.run("a", run_id))
    assert {kind for kind, _ in found(root)} & {"unrecorded", "seal-unreadable"}


def test_one_experiment_can_be_looked_at_alone(root: Root) -> None:
    path, where = bundle(root, "a")
    os.unlink(f"{path}/plan.md")
    shutil.rmtree(root.layout.experiment("b"))
    seen = verify.verify(root, ("a",))
    assert [(each.kind, each.where) for each in seen.damage] == [("file-missing", f"{where}/plan.md")]
    assert seen.runs == 2


def test_a_run_under_way_is_no_damage(root: Root) -> None:
    path, _ = bundle(root)
    os.makedirs(root.layout.run("a", "RUN-20270101-000000-000000-scout"))
    assert verify.verify(root).damage == ()
    assert verify.verify(root).unsealed == 1
    assert os.path.isdir(path)
