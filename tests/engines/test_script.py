"""The text of shell that every engine gives its body: what is in it reaches the program as it is."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core.job import Wants
from lab.engines import ray_text, slurm_text
from lab.engines.door import Placement

Ran = Callable[[Placement], "subprocess.CompletedProcess[bytes]"]
WORD = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
PRINTS = ("/bin/sh", "-c", 'printf "%s\\0" "$GIVEN" "$PWD" "$@"', "-")


def as_slurm(job: Placement) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["/bin/bash", "-s"], input=slurm_text.script(job).encode(), check=False, capture_output=True)


def as_ray(job: Placement) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["/bin/sh", "-c", ray_text.script(job)], check=False, capture_output=True)


@pytest.mark.parametrize("ran", [as_slurm, as_ray])
@given(words=st.lists(WORD, min_size=1, max_size=4), value=WORD, name=WORD.filter(lambda each: "/" not in each))
def test_every_word_reaches_the_program_as_it_is(ran: Ran, words: list[str], value: str, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / f"-x{name}"
        place.mkdir()
        job = Placement(
            name="lab-1", argv=(*PRINTS, *words), cwd=str(place), root=str(place), output=f"{place}/out{name}",
            budget_s=1.0, environ={"GIVEN": value, "not a name": "x"}, wants=Wants(setup=("true",)),
        )  # fmt: skip
        done = ran(job)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        said = (Path(f"{place}/out{name}")).read_bytes().split(b"\0")[:-1]
    assert said == [each.encode() for each in (value, str(place), *words)]


@pytest.mark.parametrize("ran", [as_slurm, as_ray])
def test_a_body_that_cannot_see_the_lab_says_so_with_a_code_of_its_own(ran: Ran, tmp_path: Path) -> None:
    job = Placement(
        name="lab-1", argv=("/bin/true",), cwd="/", root=f"{tmp_path}/it's gone", output=f"{tmp_path}/out", budget_s=1.0
    )
    done = ran(job)
    assert done.returncode == 74
    assert f"the data root {tmp_path}/it's gone is not to be seen from here" in done.stderr.decode()
    assert not (tmp_path / "out").exists()
