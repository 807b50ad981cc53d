"""Installing a schedule, on a machine that is a table: its crontab, its systemd, its refusals."""

from __future__ import annotations

import os
import shutil
from random import Random
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.errors import LabError, Unavailable
from lab.core.world import Done, World
from lab.scheduler import create, heartbeat, schedule
from lab.scheduler.units import CRON, LAUNCHD, SYSTEMD
from lab.store.files import Files
from lab.store.root import Root
from lab.testing.files import SteadyClock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COMMAND = ("/bin/true", "run-once")
OTHERS = "# mine\nMAILTO=ann\n0 9 * * 1 mail\n"


class Machine:
    """A crontab and a systemd, as far as the lab talks to them."""

    def __init__(self, *, crontab: str | None = None, programs: Sequence[str] = ("crontab",)) -> None:
        self.crontab = crontab
        self.programs = programs
        self.said: list[str] = []
        self.refuse = ""

    def __call__(self, argv: Sequence[str], *, given: str = "", limit_s: float = 30.0) -> Done:
        program, *rest = argv
        self.said.append(" ".join(argv))
        if program not in self.programs:
            return Done(code=None, problem=f"{program}: No such file or directory")
        if self.refuse and self.refuse in self.said[-1]:
            return Done(code=1, problem="not today")
        if program != "crontab":
            return Done(code=0)
        if rest == ["-l"]:
            return (
                Done(code=1, problem="no crontab for ann") if self.crontab is None else Done(code=0, out=self.crontab)
            )
        self.crontab = given
        return Done(code=0)


def a_lab(path: Path, machine: Machine, **environ: str) -> Root:
    settings = {"PATH": "/usr/bin:relative::/usr/bin", "HOME": str(path.parent / "home"), **environ}
    world = World(now=SteadyClock(), rng=Random(0), run=machine, environ=settings)
    root = Root(str(path), world, files=Files(durable=False))
    create.make_lab(root)
    return root


@pytest.fixture(autouse=True)
def a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


def test_installing_leaves_the_rest_of_a_crontab_alone_and_removing_brings_it_back(tmp_path: Path) -> None:
    machine = Machine(crontab=OTHERS)
    root = a_lab(tmp_path / "lab", machine)
    done = schedule.install(root, schedule.plan(root, COMMAND, 600.0), CRON)
    assert done.in_place
    assert machine.crontab is not None
    assert machine.crontab.startswith(OTHERS + f"# >>> {done.name}:")
    assert "PATH=/bin:/usr/bin:/usr/local/bin " in machine.crontab
    once = machine.crontab
    schedule.install(root, schedule.plan(root, COMMAND, 600.0), CRON)
    assert machine.crontab == once
    schedule.install(root, schedule.plan(root, COMMAND, 300.0), CRON)
    assert machine.crontab == once.replace("*/10 ", "*/5 ")
    assert schedule.remove(root)
    assert machine.crontab == OTHERS
    assert schedule.remove(root) is None
    assert schedule.standing(root).problem == "nothing is scheduled"


def test_two_labs_of_one_machine_do_not_touch_each_other(tmp_path: Path) -> None:
    machine = Machine()
    one, two = a_lab(tmp_path / "one", machine), a_lab(tmp_path / "two", machine)
    for root in (one, two):
        schedule.install(root, schedule.plan(root, COMMAND, 600.0), CRON)
    schedule.remove(one)
    assert schedule.standing(two).in_place
    assert machine.crontab is not None
    assert machine.crontab.count("# >>> labctl-") == 1


def test_somebody_who_edits_the_block_away_is_told_of(tmp_path: Path) -> None:
    machine = Machine()
    root = a_lab(tmp_path / "lab", machine)
    schedule.install(root, schedule.plan(root, COMMAND, 600.0), CRON)
    machine.crontab = OTHERS
    assert schedule.standing(root).problem == "the crontab does not have its lines any more"
    schedule.remove(root)
    assert machine.crontab == OTHERS


def test_a_crontab_that_would_not_come_back_as_it_is_is_not_written(tmp_path: Path) -> None:
    machine = Machine(crontab="# caf\ufffd\n")
    root = a_lab(tmp_path / "lab", machine)
    with pytest.raises(Unavailable, match="not UTF-8"):
        schedule.install(root, schedule.plan(root, COMMAND, 600.0), CRON)
    assert machine.crontab == "# caf\ufffd\n"


def test_a_refusal_of_cron_leaves_nothing_scheduled(tmp_path: Path) -> None:
    machine = Machine()
    machine.refuse = "crontab -"
    root = a_lab(tmp_path / "lab", machine)
    with pytest.raises(Unavailable, match="not today"):
        schedule.install(root, schedule.plan(root, COMMAND, 600.0), CRON)
    assert heartbeat.load(root) is None


def test_systemd_gets_two_units_of_the_user_and_gives_them_back(tmp_path: Path) -> None:
    machine = Machine(programs=("systemctl",))
    root = a_lab(tmp_path / "lab", machine, XDG_CONFIG_HOME=str(tmp_path / "cfg"))
    plan = schedule.plan(root, COMMAND, 90.0)
    assert schedule.chosen(root, "auto") == SYSTEMD
    done = schedule.install(root, plan, SYSTEMD)
    folder = tmp_path / "cfg" / "systemd" / "user"
    assert sorted(os.listdir(folder)) == [f"{plan.name}.service", f"{plan.name}.timer"]
    assert done.in_place
    (folder / "mine.service").write_text("")
    schedule.remove(root)
    assert os.listdir(folder) == ["mine.service"]
    said = [line for line in machine.said if line != "crontab -l"]
    assert said[-1] == "systemctl --user daemon-reload"
    assert all(line.startswith("systemctl --user ") for line in said)


def test_another_backend_takes_the_place_of_the_first(tmp_path: Path) -> None:
    machine = Machine(crontab=OTHERS, programs=("crontab", "systemctl"))
    root = a_lab(tmp_path / "lab", machine)
    schedule.install(root, schedule.plan(root, COMMAND, 600.0), CRON)
    done = schedule.install(root, schedule.plan(root, COMMAND, 600.0), SYSTEMD)
    assert (done.backend, machine.crontab) == (SYSTEMD, OTHERS)


def test_launchd_gets_an_agent(tmp_path: Path) -> None:
    machine = Machine(programs=("launchctl",))
    root = a_lab(tmp_path / "lab", machine)
    done = schedule.install(root, schedule.plan(root, COMMAND, 600.0), LAUNCHD)
    assert os.path.isfile(done.places[0])
    said = [line for line in machine.said if line != "crontab -l"]
    assert said[-1].startswith(f"launchctl bootstrap gui/{os.getuid()} ")
    schedule.remove(root)
    assert not os.path.exists(done.places[0])


def test_a_machine_with_nothing_to_schedule_by_is_told_what_to_install(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", Machine(programs=()))
    with pytest.raises(Unavailable) as refusal:
        schedule.chosen(root, "auto")
    assert "apt-get install cron" in refusal.value.fix


def test_cron_is_chosen_where_systemd_does_not_answer(tmp_path: Path) -> None:
    assert schedule.chosen(a_lab(tmp_path / "lab", Machine()), "auto") == CRON


def test_what_was_installed_elsewhere_is_not_removed_here(tmp_path: Path) -> None:
    machine = Machine()
    root = a_lab(tmp_path / "lab", machine)
    schedule.install(root, schedule.plan(root, COMMAND, 600.0), CRON)
    scheduled = heartbeat.load(root)
    assert scheduled is not None
    heartbeat.remember(root, msgspec.structs.replace(scheduled, host="another-host"))
    machine.crontab = OTHERS  # each machine has its own
    with pytest.raises(LabError, match="another-host"):
        schedule.remove(root)


def scheduled(root: Root, backend: str = CRON) -> schedule.Standing:
    words = ("/bin/true", "run-once", "--data-root", root.layout.root)
    return schedule.install(root, schedule.plan(root, words, 600.0), backend)


def copied(root: Root, path: Path) -> Root:
    """As `cp -a` copies a lab: what it remembers comes along, and the lines of the machine do not."""
    shutil.copytree(root.layout.root, path)
    return Root(str(path), root.world, files=Files(durable=False))


def moved(root: Root, path: Path) -> Root:
    path.parent.mkdir(exist_ok=True)
    os.rename(root.layout.root, path)
    return Root(str(path), root.world, files=Files(durable=False))


@pytest.mark.parametrize("backend", [CRON, SYSTEMD, LAUNCHD])
def test_a_copy_of_a_lab_leaves_the_schedule_of_its_original_alone(tmp_path: Path, backend: str) -> None:
    machine = Machine(programs=("crontab", "systemctl", "launchctl"))
    root = a_lab(tmp_path / "lab", machine)
    done = scheduled(root, backend)
    copy = copied(root, tmp_path / "copy")
    assert schedule.standing(copy).name == ""
    assert [(each.lab, each.is_there) for each in schedule.standing(copy).stale] == [(root.layout.root, True)]
    assert schedule.remove(copy) is None
    assert schedule.standing(root) == done
    assert heartbeat.load(copy) is None  # what it remembered was the other's


@pytest.mark.parametrize("backend", [CRON, SYSTEMD])
def test_installing_in_a_copy_replaces_nothing_of_the_original(tmp_path: Path, backend: str) -> None:
    machine = Machine(programs=("crontab", "systemctl"))
    root = a_lab(tmp_path / "lab", machine)
    done = scheduled(root, SYSTEMD)
    copy = copied(root, tmp_path / "copy")
    assert scheduled(copy, backend).in_place
    assert schedule.standing(root) == done
    schedule.remove(copy)
    assert schedule.standing(root) == done


@pytest.mark.parametrize("backend", [CRON, SYSTEMD, LAUNCHD])
def test_a_lab_that_was_moved_is_not_scheduled_and_the_old_line_is_named(tmp_path: Path, backend: str) -> None:
    machine = Machine(crontab=OTHERS, programs=("crontab", "systemctl", "launchctl"))
    root = a_lab(tmp_path / "a lab's 100% $own", machine)
    scheduled(root, backend)
    elsewhere = moved(root, tmp_path / "other" / "lab")
    told = schedule.standing(elsewhere)
    assert (told.name, told.in_place) == ("", False)
    assert [(each.lab, each.is_there) for each in told.stale] == [(root.layout.root, False)]
    scheduled(elsewhere, backend)
    assert [line.lab for line in schedule.remove_stale(elsewhere)] == [root.layout.root]
    told = schedule.standing(elsewhere)
    assert (told.in_place, told.every_s, told.stale) == (True, 600.0, ())
    schedule.remove(elsewhere)
    assert machine.crontab == OTHERS


def test_a_lab_that_came_back_finds_the_line_that_it_forgot_elsewhere(tmp_path: Path) -> None:
    machine = Machine(crontab=OTHERS)
    root = a_lab(tmp_path / "lab", machine)
    scheduled(root)
    elsewhere = moved(root, tmp_path / "other" / "lab")
    scheduled(elsewhere)
    schedule.remove(elsewhere)
    back = moved(elsewhere, tmp_path / "lab")
    assert heartbeat.load(back) is None
    told = schedule.standing(back)
    assert (told.backend, told.every_s, told.in_place) == (CRON, 600.0, True)
    assert schedule.remove(back)
    assert machine.crontab == OTHERS


def test_a_lab_that_is_reached_by_a_link_from_its_old_place_is_scheduled(tmp_path: Path) -> None:
    machine = Machine()
    root = a_lab(tmp_path / "lab", machine)
    scheduled(root)
    elsewhere = moved(root, tmp_path / "other" / "lab")
    os.symlink(elsewhere.layout.root, root.layout.root)
    assert schedule.standing(elsewhere).in_place
    scheduled(elsewhere)  # takes the place of the line that names the link
    assert machine.crontab is not None
    assert machine.crontab.count("# >>> labctl-") == 1
