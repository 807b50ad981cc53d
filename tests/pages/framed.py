"""What a page needs and does not say: the frame of the page, and the real parts of this machine that it asks for.

A frame begins with comments that this file reads, and is then typed before the page:

    # needs: slurm jq module:sklearn      parts, programs and modules; without them the page is skipped, and says so
    # here: http://127.0.0.1:11434/v1 is $MODEL_URL
"""

from __future__ import annotations

import re
import shutil
from contextlib import nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from tests.engines import cluster as clusters
from tests.pages.page import BadPage
from tests.pages.typed import HERE, NO_FRAME, type_page

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pages.page import Block

SAYS = re.compile(r"^# (needs|here): (.*)$", re.MULTILINE)
PARTS = ("slurm", "model", "torch")


class Frame:
    """The frame of one page, or that of a page that has none."""

    def __init__(self, name: str) -> None:
        path = HERE / "frames" / f"{name}.sh"
        self.path = str(path) if path.exists() else NO_FRAME
        said = SAYS.findall(path.read_text(encoding="utf-8")) if path.exists() else []
        self.needs = {word for key, value in said if key == "needs" for word in value.split()}
        self.here = {value.partition(" is ")[0]: value.partition(" is ")[2] for key, value in said if key == "here"}

    @property
    def has_torch(self) -> bool:
        return "torch" in self.needs

    def lacking(self) -> str:
        """What is needed and not here, or nothing."""
        for need in sorted(self.needs - {"slurm", "model"}):
            module = "torch" if need == "torch" else need.removeprefix("module:")
            if need == module and need != "torch":
                if shutil.which(need) is None:
                    return f"the program {need} is not installed here"
            elif find_spec(module) is None:
                return f"the module {module} is not installed here"
        if "slurm" in self.needs and clusters.missing():
            return f"no Slurm here: {', '.join(clusters.missing())} missing"
        return ""


def type_framed(name: str, blocks: list[Block], place: Path, request: pytest.FixtureRequest, limit_s: float) -> None:
    """Type a page in its frame, with the parts that the frame asks for."""
    frame = Frame(name)
    if frame.lacking():
        pytest.skip(frame.lacking())
    more = {"PAGE_NAME": name}
    if "model" in frame.needs:
        more["MODEL_URL"] = request.getfixturevalue("local_model")
    here = {said: more.get(meant.removeprefix("$"), meant) for said, meant in frame.here.items()}
    with clusters.alone() if "slurm" in frame.needs else nullcontext() as cluster:
        if cluster is not None:
            more |= cluster.environ
        problem = ""
        try:
            type_page(blocks, place, frame=frame.path, more=more, here=here, limit_s=limit_s)
        except BadPage as refused:
            problem = str(refused)
        if problem:
            pytest.fail(problem, pytrace=False)


def is_typed(blocks: list[Block]) -> bool:
    """Whether there is anything to type, to write or to run."""
    typed = (each for each in blocks if each.kind != "text" and not each.unrun and not each.is_shown)
    return any(each.kind in {"sh", "python"} or each.name for each in typed)
