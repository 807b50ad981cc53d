"""What a proposal must say, and when it cannot be approved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import ids, proposal
from lab.core.errors import BadInput, Corrupt
from lab.core.proposal import KINDS, RUN, Proposal, Ruling
from lab.core.record import encode, page, parse
from lab.core.view import Waiting

SHA = "ab" * 32
NOW = "2026-01-02T03:04:05.000000Z"
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def waiting(**changes: str) -> Waiting:
    return Waiting(**{"proposal": "a-1", "kind": RUN, "sha256": SHA, "expires_at": "2026-01-09", **changes})


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1), JSON, max_size=4), st.sampled_from(KINDS))
def test_a_proposal_and_a_ruling_come_back_as_they_were_written(params: dict[str, object], kind: str) -> None:
    made = Proposal(kind=kind, experiment="a", proposal_id="a-1", params=params, facts={"n": 1, "x": None})
    for data in (encode(made), page(made)):
        assert parse(Proposal, data, "x") == made
    ruling = proposal.said(made, "approved", SHA, by="ann", at=NOW, reason="ok")
    assert parse(Ruling, page(ruling), "x") == ruling
    assert ruling.params == params


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,30}", fullmatch=True), st.integers(0, 10**9 - 1))
def test_an_id_says_whose_it_is(experiment: str, number: int) -> None:
    try:
        ids.experiment_id(experiment)
    except BadInput:
        return  # a name that Windows keeps for a device
    assert proposal.owner(proposal.name(experiment, number)) == (experiment, number)


@given(st.text())
def test_any_other_text_is_refused_or_is_an_id(text: str) -> None:
    try:
        experiment, number = proposal.owner(text)
    except BadInput:
        return
    assert text.endswith(str(number))
    assert ids.experiment_id(experiment)


def test_what_lies_there_as_proposed_can_be_approved() -> None:
    assert proposal.refusal("a-1", SHA, waiting(), now=NOW) is None
    assert proposal.refusal("a-1", SHA, waiting(), now=NOW, given=SHA[:8]) is None
    assert proposal.refusal("a-1", SHA, waiting(expires_at=""), now="9999") is None


@pytest.mark.parametrize(
    ("seen", "sha256", "given_hash", "kind"),
    [
        (None, SHA, "", BadInput),
        (waiting(), "cd" * 32, "", Corrupt),
        (waiting(), SHA, "cd" * 32, BadInput),
        (waiting(), SHA, SHA[:7], BadInput),
        (waiting(expires_at=NOW), SHA, "", BadInput),
    ],
)
def test_what_cannot_be_approved_says_why(
    seen: Waiting | None, sha256: str, given_hash: str, kind: type[Exception]
) -> None:
    refused = proposal.refusal("a-1", sha256, seen, now=NOW, given=given_hash)
    assert type(refused) is kind
    assert refused.fix


def test_an_edit_that_changes_nothing_is_none() -> None:
    made = Proposal(kind=RUN, experiment="a", params={"lr": 0.1})
    ruling = proposal.said(made, "approved", SHA, by="ann", at=NOW)
    assert proposal.edited(ruling, None, "x") == ruling
    assert not proposal.edited(ruling, {"lr": 0.1}, "x").edited
    assert proposal.edited(ruling, {"lr": 0.2}, "x").edited


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_a_parameter_that_json_has_no_number_for_is_named(number: float) -> None:
    with pytest.raises(BadInput, match=f"lr is {number}, which JSON has no number for"):
        proposal.params({"momentum": 0.9, "lr": number}, "sweep")
