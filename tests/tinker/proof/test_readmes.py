"""The lines that the READMEs of the templates tell to type, typed: a model is made, and then it has learned."""

from __future__ import annotations

import json
import re
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.store import shipped
from tests.pages.test_pages import LOOKED_AT
from tests.tinker.proof.client import Lab, adjust, ended, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tests.tinker.proof.conftest import NewLab

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("proof-readmes"), pytest.mark.timeout(250)]

NAMES = ("tinker-sl", "tinker-rl", "tinker-dpo", "tinker-rlhf")
ANSWERS = 4  # drawn to each prompt
GOOD = " the answer is "  # how those begin that people preferred


def typed(name: str) -> list[str]:
    """The first lines that are to be typed."""
    text = (Path(shipped.template_folder()) / name / "README.md").read_text()
    blocks = re.findall(r"```sh(?: terminal)?\n(.*?)```", text, re.DOTALL)
    return [line.partition("  #")[0].strip() for block in blocks[:3] for line in block.splitlines()]


@pytest.fixture(scope="module")
def lab(client: str, new_lab: NewLab) -> Iterator[Lab]:
    """Its model and its server were made by the first two lines, in an environment with torch."""
    make, serve, _ = typed("tinker-sl")
    port = free_port()
    lab = new_lab("readmes", f"http://127.0.0.1:{port}")
    lab.shell(make, python=sys.executable)
    with ended(lab.begin_shell(f"exec {serve} --port {port}", python=sys.executable)) as server:
        until(lambda: "ready:" in lab.log() or server.poll() is not None, 60)  # as one sees it in the other terminal
        yield lab
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def follow(lab: Lab, name: str) -> list[dict[str, Any]]:
    """The third line of a README; the stages that came of it."""
    create, burst = typed(name)[2].split(" && ")
    lab.shell(create)
    adjust(lab.spec(name), tinker=f"\n  base_url: {lab.url}")
    lab.shell(burst)
    told = lab.done("tinker", "runs", name, "--json").data
    assert told["phase"] == "completed"
    assert all(stage["final"] for stage in told["stages"])
    stages: list[dict[str, Any]] = told["stages"]
    return stages


def test_every_readme_has_the_same_three_lines_but_for_its_name() -> None:
    lines = {tuple(line.replace(name, "NAME") for line in typed(name)) for name in NAMES}
    assert [len(each) for each in lines] == [3]
    assert {f"templates/{name}" for name in NAMES} <= LOOKED_AT  # typed here, and not by tests/pages


@pytest.mark.parametrize(
    ("name", "least", "most"), [("tinker-sl", 0, 3), ("tinker-rl", 0.8, 1), ("tinker-dpo", 0, 0.15)]
)
def test_who_types_what_a_readme_says_has_a_model_that_learned(name: str, least: float, most: float, lab: Lab) -> None:
    (stage,) = follow(lab, name)
    assert least <= stage["value"] <= most


def test_three_stages_lead_to_answers_that_the_judge_prefers_and_people_as_well(lab: Lab) -> None:
    sft, judge, rl = follow(lab, "tinker-rlhf")
    assert [each["tier"] for each in (sft, judge, rl)] == ["sft", "preference", "rl"]
    assert judge["value"] >= 0.9
    assert rl["value"] > 0.65, "level with the first stage is a half"
    rows = (lab.place / "tinker-rlhf/heldout.jsonl").read_text().splitlines()
    prompts = json.dumps([json.loads(row)["prompt"] for row in rows])
    program, tokenizer = Path(__file__).with_name("answers.py"), str(lab.place / "tiny-model/tokenizer.json")
    said = lab.beside("python", str(program), tokenizer, str(ANSWERS), prompts, sft["sampler_path"], rl["sampler_path"])
    before, after = (sum(GOOD in text for text in texts) / len(texts) for texts in json.loads(said.out))
    assert after > before + 0.15
    assert after > 0.8
