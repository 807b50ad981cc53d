"""The hosts that there are, by the names that a project calls them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.research.literature import arxiv, openalex, semantic_scholar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.research.literature.entry import Host

HOSTS: Mapping[str, Host] = {
    arxiv.NAME: arxiv,
    openalex.NAME: openalex,
    semantic_scholar.NAME: semantic_scholar,
}


def of_raw(name: str) -> Host | None:
    """The host whose answer a file of `lit/raw/` is, by its name: HOST-DIGEST.SUFFIX."""
    return HOSTS.get(name.rpartition("/")[2].partition("-")[0])
