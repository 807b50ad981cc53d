"""The meter against a driver that is compiled here: the records have the layout that the public header gives them."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from lab.core.launch import Limits
from lab.executors import gpu
from lab.store import processes
from tests.executors.supervised import bash, supervised

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.needs("gcc")

MB = 1 << 20
UNKNOWN = (1 << 64) - 1
DRIVER = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    unsigned int pid;
    unsigned long long usedGpuMemory;
#ifndef FIRST
    unsigned int gpuInstanceId, computeInstanceId;
#endif
} Info;

static int device_count = 3, open_count;

int nvmlInit_v2(void) { open_count++; return getenv("FAKE_NVML_DOES_NOT_START") ? 9 : 0; }
int nvmlShutdown(void) { open_count--; return 0; }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = device_count; return open_count ? 0 : 1; }

/* The handle of device 1 is refused, as one is that fell off the bus. */
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device)
{
    if (index == 1) return 15;
    *device = (void *)(0x7000000000000000UL + index);
    return 0;
}

#ifndef SILENT
int ASK(void *device, unsigned int *count, Info *infos)
{
    unsigned int room = *count, found = 0, pid;
    unsigned long index = (unsigned long)device - 0x7000000000000000UL, on;
    unsigned long long held;
    char line[200];
    FILE *file = fopen(TABLE, "r");
    if (index > 2 || !file) return 999;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "%lu fails", &on) == 1 && strstr(line, "fails") && on == index) { fclose(file); return 999; }
        if (sscanf(line, "%lu %u %llu", &on, &pid, &held) != 3 || on != index) continue;
        if (found < room) {
            memset(&infos[found], 0xff, sizeof *infos);
            infos[found].pid = pid;
            infos[found].usedGpuMemory = held;
        }
        found++;
    }
    fclose(file);
    *count = found;
    return found > room ? 7 : 0;
}
#endif
"""
THIRD = "nvmlDeviceGetComputeRunningProcesses_v3"


class Driver:
    """A driver whose processes stand in a file, a line each: device, pid, bytes."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.table = folder / "table"
        self.table.write_text("")
        source, self.library = folder / "driver.c", str(folder / "libnvidia-ml.so.1")
        source.write_text(DRIVER)
        built = ["gcc", "-shared", "-fPIC", "-w", f'-DTABLE="{self.table}"', *flags, "-o", self.library, str(source)]
        subprocess.run(built, check=True)
        self.meter = functools.partial(gpu.Meter, signs=(str(folder),), library=self.library)

    def says(self, *lines: str) -> None:
        self.table.write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture(autouse=True)
def at_every_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_EVERY_S", 0.0)


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    return Driver(tmp_path, f"-DASK={THIRD}")


@pytest.fixture
def child() -> Iterator[int]:
    pid = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
    yield pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_several_gpus_are_summed_and_only_the_processes_of_the_run_count(driver: Driver, child: int) -> None:
    meter = driver.meter()
    driver.says(f"0 {child} {100 * MB}", f"0 1 {9000 * MB}", f"2 {child} {50 * MB}", f"0 {os.getpid()} {7 * MB}")
    meter.look(os.getpid())
    assert meter.peak_mb() == 150.0


def test_the_peak_stays_when_less_is_held_later(driver: Driver, child: int) -> None:
    meter = driver.meter()
    for held in (10, 30, 20):
        driver.says(f"0 {child} {held * MB}")
        meter.look(os.getpid())
    driver.says()
    meter.look(os.getpid())
    assert meter.peak_mb() == 30.0


def test_a_run_that_is_on_no_gpu_has_no_peak_and_not_0(driver: Driver, child: int) -> None:
    meter = driver.meter()
    driver.says(f"0 1 {MB}", f"0 {child} {UNKNOWN}")
    meter.look(os.getpid())
    assert meter.peak_mb() is None


def test_a_driver_that_fails_midway_costs_nothing(driver: Driver, child: int) -> None:
    meter = driver.meter()
    driver.says(f"0 {child} {40 * MB}")
    meter.look(os.getpid())
    driver.says("0 fails", f"2 {child} {60 * MB}")
    meter.look(os.getpid())
    assert meter.peak_mb() == 60.0
    driver.table.unlink()
    meter.look(os.getpid())
    assert meter.peak_mb() == 60.0


def test_more_processes_than_there_is_room_for_are_no_overflow(driver: Driver, child: int) -> None:
    meter = driver.meter()
    driver.says(*(f"0 {number} {MB}" for number in range(100_000, 102_000)), f"2 {child} {MB}")
    meter.look(os.getpid())
    assert meter.peak_mb() == 1.0


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([f"-DASK={THIRD}"], 5.0),
        (["-DASK=nvmlDeviceGetComputeRunningProcesses_v2"], 5.0),
        (["-DASK=nvmlDeviceGetComputeRunningProcesses", "-DFIRST"], 5.0),
        (["-DSILENT"], None),
    ],
    ids=["third", "second", "first", "none"],
)
def test_each_age_of_the_driver_is_read(tmp_path: Path, child: int, flags: list[str], expected: float | None) -> None:
    driver = Driver(tmp_path, *flags)
    driver.says(f"0 1 {MB}", f"0 {child} {2 * MB}", f"2 {child} {3 * MB}")
    meter = driver.meter()
    meter.look(os.getpid())
    assert meter.peak_mb() == expected


def test_a_driver_that_does_not_start_costs_nothing(
    driver: Driver, child: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_NVML_DOES_NOT_START", "1")
    driver.says(f"0 {child} {MB}")
    meter = driver.meter()
    meter.look(os.getpid())
    assert meter.peak_mb() is None


@pytest.mark.parametrize("how", [pytest.param("namespace", marks=pytest.mark.needs_root), "subreaper"])
def test_what_a_run_held_is_told_with_its_end(
    driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(gpu, "Meter", driver.meter)

    def watch() -> None:
        # Its warden is among them, and is not counted.
        driver.says(*(f"0 {pid} {64 * MB}" for pid in processes.descendants(os.getpid())))

    bundle = tmp_path / "run"
    bundle.mkdir()
    found = supervised(bundle, bash(bundle, "exec sleep 0.5"), limits=Limits(budget_s=10), how=how, watch=watch)
    assert (found.code, found.usage.gpu_peak_memory_mb) == (0, 64.0)
