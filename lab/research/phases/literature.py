"""The literature, without a model: hosts are searched, the user's own sources are read and looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.research.literature import pdf, surveying
from lab.research.literature.hosts import HOSTS
from lab.research.worker import Lack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.research.worker import Place, Task


class Survey:
    """A `lab.research.worker.Worker`."""

    def lacks(self, place: Place) -> Iterator[Lack]:
        settings = place.project.literature
        for host, variable in settings.keys.items() if not settings.offline else ():
            if not place.root.world.environ.get(variable, "").strip():
                fix = f"export {variable}=..., and name it among the SPEC's secrets; or take it out of literature.keys"
                yield Lack(what=f"{variable}, which is to hold the key of {host}, is not set", fix=fix, is_fatal=False)
        for host in (*settings.urls, *settings.keys):
            if host not in HOSTS:
                yield Lack(what=f"{host} is no host of papers", fix=f"there are {', '.join(HOSTS)}")
        if settings.offline and not settings.own:
            fix = "name your own .bib, notes and PDFs in literature.own, or take `offline: true` out"
            yield Lack(what="offline, with no sources of your own: the review will be empty", fix=fix, is_fatal=False)
        if any(each.lower().endswith((".pdf", "/")) for each in settings.own) and not pdf.reader(place.root.world):
            what = "nothing here reads PDFs: they will be sources without a text"
            yield Lack(what=what, fix=pdf.FIX, is_fatal=False)

    def work(self, task: Task) -> Mapping[str, float]:
        return surveying.survey(task)
