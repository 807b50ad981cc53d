"""Every place is under the root, and names are read back as they were written."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import layout
from lab.core.layout import Layout


def test_every_place_lies_under_its_root() -> None:
    at = Layout("/lab/")
    places = [
        at.events, at.index, at.lab_status, at.readme, at.experiments, at.locks, at.probe, at.pages_section, at.aside,
        at.place("x"), at.spec_cache("0" * 64, "1"), at.experiment("a"), at.page("a", "x"), at.spec("a"),
        at.status("a"), at.runs("a"), at.run("a", "RUN-1"), at.claims("a"), at.claim("a", 1), at.section("a"),
        at.digest("daily", "2026-01-02"), at.inbox, at.inbox_section, at.answer("k"), at.request("k"),
        at.day("2026-01-02"), at.approvals, at.proposal("a-1"), at.ruling("a-1"), at.approved("a"), at.ruled("a-1"),
        at.ruled_on("a-1"), at.notify, at.notices, at.notices_section,
    ]  # fmt: skip
    assert all(place.startswith("/lab/") and posixpath.normpath(place) == place for place in places)
    assert len(set(places)) == len(places)


def test_no_two_derived_files_share_a_name() -> None:
    names = (*layout.EXPERIMENT_PAGES, layout.SPEC, "runs")
    assert len(set(names)) == len(names)
    assert not set(layout.LAB_PAGES) & set(layout.DOCUMENTS)


@given(
    st.integers(0, 10**12),
    st.sampled_from([layout.CLAIM_SUFFIX, layout.RELEASED_SUFFIX, layout.SUPERSEDED_SUFFIX, layout.ABANDONED_SUFFIX]),
)
def test_a_claims_file_name_says_its_generation_and_state(generation: int, suffix: str) -> None:
    name = posixpath.basename(Layout("/lab").claim("a", generation, suffix))
    assert layout.claim_file(name) == (generation, suffix)


@pytest.mark.parametrize(
    "name",
    ["", "section", "probe", "1.claim", "00000001", "00000001.claim.bak", "00000001.lock", "-0000001.claim",
     "0000000x.claim", ".00000001.claim.1-1.draft", "\u0661" * 8 + ".claim", "00000001..claim"],
)  # fmt: skip
def test_any_other_file_of_a_claims_folder_is_none(name: str) -> None:
    assert layout.claim_file(name) is None


@given(st.text(max_size=30))
def test_no_name_makes_reading_a_claims_file_name_fail(name: str) -> None:
    layout.claim_file(name)
    layout.is_draft(name)


@pytest.mark.parametrize(
    ("name", "draft"), [(".x.1-1.draft", True), ("x.draft", False), (".x", False), (".draft", True), ("draft", False)]
)
def test_only_hidden_names_are_drafts(name: str, draft: bool) -> None:
    assert layout.is_draft(name) is draft
