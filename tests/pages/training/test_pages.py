"""The pages that need torch: scripts/check gives such tests few processes at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.pages import page as reading
from tests.pages.framed import Frame, type_framed
from tests.pages.test_pages import LIMIT_S, PAGES, TYPED

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.heavy
@pytest.mark.xdist_group("pages that serve")  # at one port: what an experiment with a blank base_url asks
@pytest.mark.timeout(4 * LIMIT_S)
@pytest.mark.parametrize("name", [name for name in TYPED if Frame(name).has_torch])
def test_a_page_that_trains_can_be_typed(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    type_framed(name, reading.blocks(PAGES[name]), tmp_path, request, 3 * LIMIT_S)
