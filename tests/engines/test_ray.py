"""Ray: a real one where it is installed, and a server that misbehaves in its stead everywhere."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, ClassVar

import msgspec
import pytest

from lab.core import job as words
from lab.core.errors import Unavailable
from lab.core.job import HELD, OVER, RUNNING, WAITING, Report, Wants
from lab.engines import ray, ray_text
from lab.engines.door import Ground, Placement, Refused
from lab.engines.ray import Ray
from lab.store.files import Files
from lab.testing.engines import EngineContract
from tests.engines import ray_cluster
from tests.llm import faulty
from tests.llm.faulty import Faulty, reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PREFIX = "lab-0123456789-"
JOB = Placement(
    name=f"{PREFIX}sweep-3", argv=("/usr/bin/python3", "it's"), cwd="/", root="/the lab", output="/the lab/out",
    budget_s=60.0, environ={"A": "$HOME"},
)  # fmt: skip
UP = reply(200, b'{"version": "4", "ray_version": "2.60.0"}')
NONE = reply(200, b"[]")


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    with ray_cluster.running() as environ:
        yield environ


@pytest.mark.needs("ray")
@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.xdist_group("ray")
class TestRay(EngineContract):
    """On a cluster that asks for a token. Its jobs are slow to start: each has a Python of Ray's own to mind it."""

    engine = Ray()
    limit_s: ClassVar[float] = 300.0

    @pytest.fixture
    def ground(self, tmp_path: Path, cluster: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Ground:
        monkeypatch.setattr(ray, "GRACE_S", 2)
        return Ground(environ={**os.environ, **cluster}, folder=str(tmp_path / "engine"), files=Files(durable=False))

    def unreachable(self, ground: Ground) -> Ground | None:
        return msgspec.structs.replace(ground, address="http://127.0.0.1:1")

    def test_a_release_that_was_not_heard_of_is_repeated_and_starts_it_once(self, lab: str, ground: Ground) -> None:
        number = self.engine.submit(self.job(lab, "echo ran >> ran"), ground)
        file = f"{ground.folder}/{number}.json"
        with open(file, "rb") as held:
            asked = held.read()
        self.engine.release(number, ground)
        ground.files.create(file, asked)  # whoever released it died before it could be taken away
        self.engine.release(number, ground)
        assert self.ended(lab, ground, number).how == words.DONE
        with open(f"{lab}/ran", encoding="utf-8") as ran:
            assert ran.read() == "ran\n"

    def test_a_cluster_that_asks_for_another_token_says_so(self, ground: Ground) -> None:
        other = msgspec.structs.replace(ground, environ={**ground.environ, "RAY_AUTH_TOKEN": "another"})
        with pytest.raises(Unavailable, match="token"):
            self.engine.describe(other)


# -- what is asked ---------------------------------------------------------------------------------------------------


def test_a_job_is_asked_for_under_its_own_number_when_it_is_released_and_not_before(tmp_path: Path) -> None:
    with Faulty(UP) as server:
        ground = ground_of(server, tmp_path, RAY_AUTH_TOKEN="secret")  # noqa: S106  # of nobody
        number = Ray().submit(msgspec.structs.replace(JOB, wants=Wants(cpus=4, gres="gpu:a100:2", memory="3G")), ground)
        assert [heard.path for heard in server.heard] == ["/api/version"]
        server.says = [reply(200, json.dumps({"submission_id": number}).encode())]
        Ray().release(number, ground)
        assert [heard.path for heard in server.heard] == ["/api/version", "/api/jobs/"]
        asked = server.heard[1]
        assert asked.headers["authorization"] == "Bearer secret"
        said = asked.json
        assert "cd -- '/the lab'" in str(said.pop("entrypoint"))
        assert said == {
            "submission_id": number,
            "metadata": {"labctl": JOB.name},
            "runtime_env": {"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": "30"}},
            "entrypoint_num_cpus": 4,
            "entrypoint_num_gpus": 2.0,
            "entrypoint_memory": 3 << 30,
            "entrypoint_resources": {"accelerator_type:A100": 0.001},
        }
        assert number.startswith(f"{JOB.name}.")
        assert os.listdir(ground.folder) == ["section"]


def test_a_job_that_asks_for_nothing_gets_a_processor_or_all_would_be_on_the_head_node() -> None:
    assert ray_text.submission(JOB, "1", 30).entrypoint_num_cpus == 1


@pytest.mark.parametrize(
    "wants",
    [Wants(partition="x"), Wants(account="x"), Wants(qos="x"), Wants(time="1"), Wants(options=("-x",)), Wants(nodes=2)],
    ids=["partition", "account", "qos", "time", "options", "nodes"],
)
def test_what_ray_has_not_is_refused_before_it_is_asked(tmp_path: Path, wants: Wants) -> None:
    with Faulty(UP) as server, pytest.raises(Refused, match="the engine ray has no"):
        Ray().submit(msgspec.structs.replace(JOB, wants=wants), ground_of(server, tmp_path))
    assert not server.heard


@pytest.mark.parametrize(
    ("gres", "found"),
    [
        ("", (0.0, {})),
        ("gpu", (1.0, {})),
        ("gpu:2", (2.0, {})),
        ("gpu:h100:1,fpga:3", (1.0, {"accelerator_type:H100": 0.001, "fpga": 3.0})),
        ("licence:matlab:2", (0.0, {"licence:matlab": 2.0})),
    ],
)
def test_generic_resources_become_those_of_a_cluster(gres: str, found: tuple[float, dict[str, float]]) -> None:
    assert ray_text._resources(Wants(gres=gres)) == found


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({}, "http://127.0.0.1:8265"),
        ({"RAY_ADDRESS": "auto"}, "http://127.0.0.1:8265"),
        ({"RAY_ADDRESS": "http://head:8265/"}, "http://head:8265"),
        ({"RAY_ADDRESS": "http://head:1", "RAY_API_SERVER_ADDRESS": "https://other"}, "https://other"),
        ({"RAY_ADDRESS": "head:6379"}, None),
        ({"RAY_ADDRESS": "ray://head:10001"}, None),
    ],
    ids=str,
)
def test_a_cluster_is_found_where_rays_own_commands_find_it(environ: dict[str, str], address: str | None) -> None:
    ground = Ground(environ=environ, folder="/nowhere", files=Files(durable=False))
    if address is None:
        with pytest.raises(Unavailable, match="dashboard"):
            ray._address(ground)
    else:
        assert ray._address(ground) == address
    assert ray._address(msgspec.structs.replace(ground, address="http://row:1")) == "http://row:1"


def test_a_token_is_read_where_ray_start_has_written_it(tmp_path: Path) -> None:
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("written\n", encoding="utf-8")
    (tmp_path / "named").write_text("named", encoding="utf-8")
    environ = {"HOME": str(tmp_path)}
    for more, token in (
        ({}, "written"),
        ({"RAY_AUTH_TOKEN_PATH": str(tmp_path / "named")}, "named"),
        ({"RAY_AUTH_TOKEN": "given"}, "given"),
        ({"RAY_AUTH_MODE": "disabled"}, ""),
        ({"HOME": "/nowhere"}, ""),
    ):
        assert ray._token(Ground(environ={**environ, **more}, folder="", files=Files(durable=False))) == token


# -- what is answered ------------------------------------------------------------------------------------------------

TRACEBACK = (
    "Traceback (most recent call last):\n  File x\nRuntimeError: Request failed with status code 400: Traceback\n"
    "ValueError: {}\n.\n"
)
BROKEN = {
    "hangs": faulty.hang,
    "drips": faulty.drip,
    "headers without end": faulty.drip_headers,
    "hangs up": faulty.slam,
    "is cut short": faulty.short,
    "is a page": reply(200, b"<html>"),
    "is another service": reply(404, b"not found"),
    "is in trouble": reply(500, TRACEBACK.replace("400", "500").format("no agent").encode()),
    "is sent away": reply(302, b"", {"Location": "http://127.0.0.1:1/"}),
    "wants a token": reply(401, b"Unauthorized"),
    "is an object": reply(200, b'{"a": 1}'),
    "is not UTF-8": reply(200, b"\xff\xfe"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_an_answer_that_is_none_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(ray, "LIMIT_S", 0.3)
    with Faulty(UP) as server:
        ground = ground_of(server, tmp_path)
        number = Ray().submit(JOB, ground)
        server.says = [BROKEN[how]]
        for call in (
            lambda: Ray().listed(PREFIX, ground),
            lambda: Ray().describe(ground),
            lambda: Ray().submit(JOB, ground),
            lambda: Ray().release(number, ground),
        ):
            with pytest.raises(Unavailable) as caught:
                call()
            assert caught.value.fix
        server.says = [NONE]
        assert [(each.number, each.state) for each in Ray().listed(PREFIX, ground)] == [(number, HELD)]


def test_a_release_whose_answer_was_lost_is_repeated(tmp_path: Path) -> None:
    with Faulty(UP, faulty.slam) as server:
        ground = ground_of(server, tmp_path)
        number = Ray().submit(JOB, ground)
        with pytest.raises(Unavailable):
            Ray().release(number, ground)
        server.says = [reply(500, TRACEBACK.format(f"Job with submission_id {number} already exists.").encode())]
        Ray().release(number, ground)
        server.says = [NONE]
        assert Ray().listed(PREFIX, ground) == ()


def test_a_refusal_is_told_in_a_line_and_what_was_refused_is_forgotten(tmp_path: Path) -> None:
    with Faulty(UP) as server:
        ground = ground_of(server, tmp_path)
        number = Ray().submit(JOB, ground)
        server.says = [reply(500, TRACEBACK.format("no label of that kind").encode())]
        with pytest.raises(Refused, match=r"^Ray refuses it: no label of that kind$"):
            Ray().release(number, ground)
        server.says = [NONE]
        assert Ray().listed(PREFIX, ground) == ()


def test_a_job_that_ray_has_is_not_held_any_more(tmp_path: Path) -> None:
    with Faulty(UP) as server:
        ground = ground_of(server, tmp_path)
        number = Ray().submit(JOB, ground)
        server.says = [reply(200, jobs({"submission_id": number, "status": "RUNNING"}))]
        for _ in range(2):
            assert [(each.number, each.state) for each in Ray().listed(PREFIX, ground)] == [(number, RUNNING)]
        assert not [name for name in os.listdir(ground.folder) if name.endswith(".json")]


def test_jobs_of_others_are_not_ours(tmp_path: Path) -> None:
    strange: list[dict[str, object]] = [{"type": "DRIVER", "submission_id": None}, {"submission_id": "raysubmit_1"}, {}]
    with Faulty(reply(200, jobs(*strange))) as server:
        assert Ray().listed(PREFIX, ground_of(server, tmp_path)) == ()


def test_a_proxy_of_the_company_is_not_asked_for_what_is_on_this_machine(tmp_path: Path) -> None:
    with Faulty(UP) as server:
        ground = ground_of(server, tmp_path, http_proxy="http://127.0.0.1:1", all_proxy="http://127.0.0.1:1")
        assert Ray().describe(ground) == f"Ray 2.60.0 at {ground.address}"


@pytest.mark.parametrize(
    ("told", "report"),
    [
        ({"status": "PENDING", "message": "waits.\nmore"}, (WAITING, words.UNKNOWN, None, "waits.")),
        ({"status": "RUNNING", "message": "Job is running."}, (RUNNING, words.UNKNOWN, None, "")),
        ({"status": "SUCCEEDED", "driver_exit_code": 0}, (OVER, words.DONE, 0, "")),
        ({"status": "STOPPED"}, (OVER, words.CANCELLED, None, "")),
        ({"status": "FAILED", "driver_exit_code": 76}, (OVER, words.FAILED, 76, "exit code 76")),
        ({"status": "FAILED", "driver_exit_code": -9}, (OVER, words.FAILED, None, "ended by signal 9")),
        ({"status": "FAILED", "error_type": "JOB_SUPERVISOR_ACTOR_DIED", "message": "node died"},
         (OVER, words.LOST, None, "node died")),
        ({"status": "FAILED", "error_type": "JOB_SUPERVISOR_ACTOR_DIED", "message": "ray.exceptions.OutOfMemoryError"},
         (OVER, words.MEMORY, None, "ray.exceptions.OutOfMemoryError")),
        ({"status": "FAILED", "error_type": "RUNTIME_ENV_SETUP_FAILURE", "message": "no pip"},
         (OVER, words.FAILED, None, "no pip")),
        ({"status": "A NEW WORD"}, (OVER, words.UNKNOWN, None, "")),
    ],
    ids=lambda value: str(value.get("error_type", value.get("status"))) if isinstance(value, dict) else "",
)  # fmt: skip
def test_what_ray_says_of_a_job_is_said_in_our_words(
    told: dict[str, object], report: tuple[str, str, int | None, str]
) -> None:
    number = f"{JOB.name}.00ff"
    more = {"submission_id": number, "driver_agent_http_address": "http://10.0.0.7:52365"}
    state, how, code, why = report
    assert ray_text.listed(jobs({**more, **told}), PREFIX) == (
        Report(name=JOB.name, number=number, state=state, how=how, code=code, where="10.0.0.7", why=why),
    )


def ground_of(server: Faulty, folder: Path, **environ: str) -> Ground:
    address = f"http://127.0.0.1:{server.port}"
    return Ground(environ=environ, folder=str(folder / "engine"), files=Files(durable=False), address=address)


def jobs(*told: dict[str, object]) -> bytes:
    return json.dumps([{"type": "SUBMISSION", **each} for each in told]).encode()
