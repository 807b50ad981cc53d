"""Slurm by its own commands, against daemons that are real."""

from __future__ import annotations

import os
import re
import resource
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import job as words
from lab.core.errors import Unavailable
from lab.core.job import Wants
from lab.engines.door import Ground, NotNow, Refused
from lab.engines.slurm import FEW, Slurm
from lab.store.files import Files
from lab.testing.engines import EngineContract

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engines.cluster import Cluster

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("slurm")]


def ground_of(cluster: Cluster, folder: Path) -> Ground:
    environ = {**os.environ, **cluster.environ}
    return Ground(environ=environ, folder=str(folder / "engine"), files=Files(durable=False))


class TestSlurm(EngineContract):
    engine = Slurm()

    @pytest.fixture
    def ground(self, tmp_path: Path, cluster: Cluster) -> Ground:
        return ground_of(cluster, tmp_path)

    def unreachable(self, ground: Ground) -> Ground | None:
        return msgspec.structs.replace(ground, environ={**ground.environ, "SLURM_CONF": "/nowhere/slurm.conf"})

    # -- what a class asks for --------------------------------------------------------------------------------------

    def test_a_job_gets_what_its_class_asks_for(self, lab: str, ground: Ground, cluster: Cluster) -> None:
        wants = Wants(
            cpus=3, memory="50M", nodes=2, gres="gpu:1", setup=("export SIGN=ready",), options=("--comment=x",)
        )
        program = "echo $SIGN $SLURM_CPUS_PER_TASK $SLURM_MEM_PER_NODE $SLURM_NNODES $SLURM_JOB_NAME"
        report = self.done(lab, ground, self.job(lab, program, wants=wants))
        name = words.name(lab, "sweep", 1)
        assert _text(lab, "1.out").split() == ["ready", "3", "50", "2", name]
        assert report.where == f"{cluster.name}n[1-2]"

    def test_two_jobs_never_have_one_gpu(self, lab: str, ground: Ground) -> None:
        program = (
            'echo "$SLURMD_NODENAME $CUDA_VISIBLE_DEVICES"; touch "begun$1"; while ! test -e go; do sleep 0.1; done'
        )
        numbers = [
            self.engine.submit(
                self.job(lab, program, str(each), generation=each, wants=Wants(gres="gpu:1")), ground
            )
            for each in (1, 2, 3)
        ]  # fmt: skip
        for number in numbers:
            self.engine.release(number, ground)
        self.wait(lambda: sum(os.path.exists(f"{lab}/begun{each}") for each in (1, 2, 3)) == 2)
        states = {each.state for each in self.engine.listed(words.prefix(lab), ground)}
        assert states == {words.RUNNING, words.WAITING}  # there are two, one at each node
        Files(durable=False).create(f"{lab}/go", b"")
        for number in numbers:
            assert self.ended(lab, ground, number).how == words.DONE
        told = [_text(lab, f"{each}.out").split() for each in (1, 2, 3)]
        assert {device for _, device in told} == {"0"}
        assert len({node for node, _ in told[:2]} | {told[2][0]}) == 2

    def test_a_job_without_a_gpu_is_shown_none(self, lab: str, ground: Ground) -> None:
        self.done(lab, ground, self.job(lab, "echo ${CUDA_VISIBLE_DEVICES-none}"))
        assert _text(lab, "1.out") in ("none\n", "NoDevFiles\n", "\n")

    def test_a_job_that_takes_more_memory_than_it_asked_for_is_told_apart(
        self, lab: str, ground: Ground, cluster: Cluster
    ) -> None:
        if not cluster.confined:
            pytest.skip("Slurm can make no cgroups here")
        wants = Wants(memory="30M")
        report = self.done(lab, ground, self.job(lab, "x=$(head -c 200000000 /dev/zero | tr '\\0' x)", wants=wants))
        assert (report.state, report.how) == (words.OVER, words.MEMORY)

    # -- which one it is ------------------------------------------------------------------------------------------

    def test_two_clusters_are_told_apart_by_their_names(self, ground: Ground, cluster: Cluster) -> None:
        with open(cluster.conf, encoding="utf-8") as file:
            (named,) = (line.partition("=")[2].strip() for line in file if line.startswith("ClusterName="))
        assert self.engine.where(ground) == named
        with pytest.raises(Unavailable):
            Slurm().where(self.unreachable(ground) or ground)

    # -- what it is asked while it is in trouble --------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("wants", "said", "fix"),
        [
            (Wants(partition="nosuch"), "nosuch", "sinfo"),
            (Wants(time="9-0"), "time limit", "time budget"),
            (Wants(nodes=9), "Node count", "ask for less"),
            (Wants(gres="tpu:1"), "generic resource", "gres"),
            (Wants(memory="much"), "--mem", "memory"),
            (Wants(options=("--bogus",)), "--bogus", "options"),
            (Wants(options=("--constraint=a100",)), "feature", "ask for less"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_a_refusal_is_told_in_its_words_with_what_to_do(
        self, lab: str, ground: Ground, wants: Wants, said: str, fix: str
    ) -> None:
        with pytest.raises(Refused, match=re.escape(said)) as caught:
            self.engine.submit(self.job(lab, "true", wants=wants), ground)
        assert fix in caught.value.fix
        assert "sbatch: error" not in caught.value.what
        assert self.engine.listed(words.prefix(lab), ground) == ()

    def test_a_partition_that_an_operator_closed_is_waited_for(self, lab: str, ground: Ground) -> None:
        with pytest.raises(NotNow, match="partition not available"):
            self.engine.submit(self.job(lab, "true", wants=Wants(partition="closed")), ground)

    def test_it_is_asked_for_the_jobs_of_those_who_have_some(self, lab: str, ground: Ground) -> None:
        number = self.engine.submit(self.job(lab, "true"), ground)
        for users, known in (((), True), ((os.geteuid(),), True), ((os.geteuid(), 65_000), True), ((65_000,), False)):
            told = self.engine.listed(words.prefix(lab), msgspec.structs.replace(ground, users=users))
            assert [each.number for each in told] == [number] * known, users

    def test_what_an_operator_holds_waits_and_says_why(self, lab: str, ground: Ground, cluster: Cluster) -> None:
        number = self.engine.submit(self.job(lab, "touch ran"), ground)
        cluster.call("scontrol", "hold", number)  # by root, which is an operator
        report = self.seen(lab, ground, number)
        expected = (words.WAITING, "JobHeldAdmin") if os.geteuid() == 0 else (words.HELD, "JobHeldUser")
        assert (report.state, report.why) == expected

    def test_a_machine_without_the_commands_says_how_to_get_them(self, lab: str, ground: Ground) -> None:
        bare = msgspec.structs.replace(ground, environ={**ground.environ, "PATH": lab})
        with pytest.raises(Unavailable, match="no sbatch on PATH") as caught:
            self.engine.submit(self.job(lab, "true"), bare)
        assert "slurm-client" in caught.value.fix

    def test_a_job_costs_little_to_hand_over(self, lab: str, ground: Ground) -> None:
        """Of our CPU, the commands of Slurm included; the goal for all of labctl is 30 ms."""
        many = 20
        before_s = _cpu_s()
        for each in range(many):
            self.engine.release(self.engine.submit(self.job(lab, "true", generation=each + 1), ground), ground)
        assert (_cpu_s() - before_s) / many < 0.030


@pytest.mark.xdist_group("own")
def test_without_a_controller_nothing_is_known_and_with_it_all_goes_on(own_cluster: Cluster, tmp_path: Path) -> None:
    contract, ground = TestSlurm(), ground_of(own_cluster, tmp_path)
    job = contract.job(str(tmp_path), "true")
    number = Slurm().submit(job, ground)
    own_cluster.shut_down_controller()
    with pytest.raises(Unavailable, match="contact"):
        Slurm().submit(job, ground)
    with pytest.raises(Unavailable):
        Slurm().release(number, ground)
    with pytest.raises(Unavailable, match="contact"):
        Slurm().listed("lab-", ground)
    own_cluster.start_controller()
    assert [each.number for each in Slurm().listed("lab-", ground)] == [number]
    own_cluster.kill("munged")
    os.unlink(own_cluster.folder / "run/munge.sock")
    with pytest.raises(Unavailable, match=r"[Mm]unge"):
        Slurm().submit(job, ground)
    own_cluster.start_munge()
    assert Slurm().submit(job, ground) != number


def _text(folder: str, name: str) -> str:
    with open(f"{folder}/{name}", encoding="utf-8") as file:
        return file.read()


def _cpu_s() -> float:
    told = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in told)


@pytest.mark.parametrize("many", [1, FEW + 1], ids=["one", "many"])
def test_a_number_that_was_given_to_another_job_meanwhile_is_neither_ended_nor_let_go(
    cluster: Cluster, tmp_path: Path, many: int
) -> None:
    """A controller that lost its state counts again from where it was."""
    contract, ground, slurm = TestSlurm(), ground_of(cluster, tmp_path), Slurm()
    prefix = words.prefix(str(tmp_path))
    numbers = tuple(
        slurm.submit(contract.job(str(tmp_path), "true", generation=each + 1), ground) for each in range(many)
    )
    listed = {each.number: each.name for each in slurm.listed(prefix, ground)}
    stale = msgspec.structs.replace(ground, names={number: f"{listed[number]}0" for number in numbers})
    slurm.cancel(numbers, stale)
    slurm.release(numbers[0], stale)
    assert {each.state for each in slurm.listed(prefix, ground)} == {words.HELD}
    slurm.release(numbers[0], msgspec.structs.replace(ground, names=listed))
    contract.wait(lambda: slurm.listed(prefix, ground)[0].state == words.OVER)
    slurm.cancel(numbers, msgspec.structs.replace(ground, names=listed))  # one of them is over
    assert {each.state for each in slurm.listed(prefix, ground)} == {words.OVER}
