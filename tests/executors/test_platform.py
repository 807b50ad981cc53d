from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.executors import platform

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LINUX = ("Linux", "x86_64")


def nobody(command: Sequence[str]) -> str:
    return ""


def a_machine(folder: Path, *devices: str, models: Sequence[str] = ()) -> str:
    (folder / "dev").mkdir()
    for name in devices:
        (folder / "dev" / name).touch()
    for number, model in enumerate(models):
        place = folder / f"proc/driver/nvidia/gpus/{number}"
        place.mkdir(parents=True)
        (place / "information").write_text(f"Model: \t\t {model}\nIRQ:   \t\t 10\n")
    return str(folder)


def test_this_machine_is_something() -> None:
    assert platform.detected({}).kind in (platform.CUDA, platform.ROCM, platform.MPS, platform.CPU)


def test_the_driver_tells_the_names_of_the_gpus(tmp_path: Path) -> None:
    top = a_machine(tmp_path, "nvidia0", "nvidia1", "nvidiactl", models=("NVIDIA H200", "NVIDIA H200"))
    found = platform.detected({}, top=top, system=LINUX, ask=nobody)
    assert found.kind == platform.CUDA
    assert found.words == "cuda: 2 x NVIDIA H200 (2 devices /dev/nvidia*)"


def test_a_gpu_whose_driver_says_nothing_is_one_all_the_same(tmp_path: Path) -> None:
    found = platform.detected({}, top=a_machine(tmp_path, "nvidia0"), system=LINUX, ask=nobody)
    assert (found.kind, found.devices) == (platform.CUDA, ())


def test_a_control_device_alone_is_no_gpu(tmp_path: Path) -> None:
    found = platform.detected({}, top=a_machine(tmp_path, "nvidiactl", "nvidia-uvm"), system=LINUX, ask=nobody)
    assert found.kind == platform.CPU


@pytest.mark.parametrize("value", ["", "-1"])
def test_a_gpu_that_is_hidden_from_programs_is_not_counted_on(value: str, tmp_path: Path) -> None:
    top = a_machine(tmp_path, "nvidia0", models=("NVIDIA T4",))
    found = platform.detected({"CUDA_VISIBLE_DEVICES": value}, top=top, system=LINUX, ask=nobody)
    assert found.kind == platform.CPU
    assert f"CUDA_VISIBLE_DEVICES={value} hides it" in found.words


def test_a_gpu_under_windows_is_asked_for_by_name(tmp_path: Path) -> None:
    top = a_machine(tmp_path, "dxg")
    assert platform.detected({}, top=top, system=LINUX, ask=lambda _: "NVIDIA RTX 4090\n").kind == platform.CUDA
    assert platform.detected({}, top=top, system=LINUX, ask=nobody).kind == platform.CPU


def test_other_makers(tmp_path: Path) -> None:
    assert platform.detected({}, top=a_machine(tmp_path, "kfd"), system=LINUX, ask=nobody).kind == platform.ROCM
    apple = platform.detected({}, system=("Darwin", "arm64"), ask=lambda _: "Apple M3 Max\n")
    assert apple.words == "mps: Apple M3 Max (macOS)"
    assert platform.detected({}, system=("Darwin", "x86_64"), ask=nobody).kind == platform.CPU


def test_a_driver_that_is_not_there_or_fails_stops_nothing() -> None:
    assert platform._printed(("no-such-program-anywhere",)) == ""
    assert platform._printed(("false",)) == ""
    assert platform._printed(("echo", "yes")) == "yes\n"


@pytest.mark.parametrize(
    ("chosen", "count"),
    [(None, 3), ("0,2", 2), ("1", 1), ("", 0), ("-1", 0),
     ("0,-1,2", 1), ("0,7,1", 1), ("GPU-8932f937,1", 2), ("MIG-1,MIG-2", 1)],
)  # fmt: skip
def test_the_gpus_that_a_program_may_use_are_those_that_cuda_would_count(
    tmp_path: Path, chosen: str | None, count: int
) -> None:
    top = a_machine(tmp_path, "nvidia0", "nvidia1", "nvidia2", "nvidiactl")
    environ = {} if chosen is None else {"CUDA_VISIBLE_DEVICES": chosen}
    assert platform.visible(environ, top=top) == count


def test_where_there_is_no_gpu_none_is_counted_whatever_is_chosen(tmp_path: Path) -> None:
    assert platform.visible({"CUDA_VISIBLE_DEVICES": "0,1"}, top=a_machine(tmp_path)) == 0
