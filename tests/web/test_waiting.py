"""What waits for a word, on a page: shown whole, or not approved there."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import pytest

from lab.core.proposal import PROMOTE, RUN, Proposal
from lab.scheduler.control import approvals
from tests.scheduler.labs import a_lab
from tests.web.labs import looked_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.web.labs import Served
    from tests.web.raw import Visitor

NAME = "alpha"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with looked_at(a_lab(tmp_path / "lab", NAME)) as served:
        yield served


def test_all_of_what_a_yes_would_cover_is_on_the_page(served: Served, visitor: Visitor) -> None:
    params: dict[str, object] = {f"p{number}": number for number in range(60)}
    params |= {"command": "x" * 900 + "; rm -rf ~", "lr=1, lr": 2, "hidden\u202e": "a\u200bb", "text": "0.5"}
    wanted = Proposal(kind=RUN, experiment=NAME, params=params, reason="because " * 100 + "of the end")
    approvals.propose(served.root, wanted)
    visitor.log_in(served.site.sessions.token)
    for path in ("/", f"/experiments/{NAME}"):
        page = html.unescape(re.sub("<[^>]+>", "", visitor.get(path).text))
        assert "with 64 parameters" in page
        for words in ("p0=0", "p59=59", 'x; rm -rf ~"', '"lr=1, lr"=2', r'"hidden\u202e"="a\u200bb"', 'text="0.5"'):
            assert words in page, words
        assert "of the end" in page
        assert "Approve: run it" in page


def test_what_is_too_long_to_be_shown_whole_is_not_approved_on_a_page(served: Served, visitor: Visitor) -> None:
    params: dict[str, object] = {"start": "x" * 9000, "lr": 0.5}
    asked = approvals.propose(served.root, Proposal(kind=RUN, experiment=NAME, params=params, reason="promising"))
    visitor.log_in(served.site.sessions.token)
    page = visitor.get("/").text
    assert "its 2 parameters (9,012 characters) cannot be shown whole here" in page
    assert f"labctl approve {asked.proposal_id} --hash " in page
    assert f"Reject {asked.proposal_id}" in page
    assert ">Approve" not in page


def test_the_tier_of_a_proposal_to_move_is_said(served: Served, visitor: Visitor) -> None:
    approvals.propose(served.root, Proposal(kind=PROMOTE, experiment=NAME, tier="final", reason="it is time"))
    assert "asks to move to the tier &#34;final&#34;: it is time" in visitor.get("/").text
