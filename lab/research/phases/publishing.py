"""The phase publishing: a release that is listed and looked through; and, once a person has approved it, sent.

There is no other way to send anything, and no agent and no command can do this phase.
"""

from __future__ import annotations

import shlex
import shutil
from importlib.util import find_spec
from typing import TYPE_CHECKING

from lab.core.errors import LabError
from lab.core.record import page
from lab.executors import environment
from lab.research.order import SEND
from lab.research.release import bytes_of, gathered, listing, manifest, personal, sending, targets, told
from lab.research.release.accepted import problems
from lab.research.release.manifest import FILE, GIT, HUB, LISTING, MADE, SCAN
from lab.research.release.scanning import INSTALL
from lab.research.worker import Lack
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.research.worker import Place, Task

__all__ = ["Release", "problems"]


class Release:
    def lacks(self, place: Place) -> Iterator[Lack]:
        """A scan that cannot run is a release that cannot be; a token is wanted only when something is sent."""
        publish = place.project.publish
        if find_spec("detect_secrets") is None:
            yield Lack(
                what="detect-secrets is not installed: nothing is published that was not looked through", fix=INSTALL
            )
        try:
            to = targets.destination(publish, place.folder)
            if publish.to == GIT and to.startswith("/") and not _is_repository(to):
                what = f"there is no git repository in {to}: a release can be listed, and not be sent"
                yield Lack(what=what, fix=f"git init --bare {shlex.quote(to)}", is_fatal=False)
        except LabError as wrong:
            yield Lack(what=wrong.what, fix=wrong.fix)
        yield from _files(place)
        if publish.to == HUB and find_spec("huggingface_hub") is None:
            yield Lack(what="huggingface_hub is not installed", fix=INSTALL)
        if publish.to == GIT and shutil.which("git") is None:
            yield Lack(what="git is not on PATH", fix="apt-get install git")
        if publish.to == HUB:
            yield from _token(place)

    def work(self, task: Task) -> Mapping[str, float]:
        """List and look through; or send what was approved."""
        if task.order.step == SEND:
            return sending.send(task)
        return listed(task)


def _token(place: Place) -> Iterator[Lack]:
    """Whether the run that sends would have it: it gets what its SPEC names, and not what a shell has."""
    name, environ = place.project.publish.token, place.root.world.environ
    if not environ.get(name):
        what = f"{name} is not set: a release can be listed, and not be sent"
        yield Lack(what=what, fix=f"export {name}=...", is_fatal=False)
    elif place.spec is not None and not environment.given(place.spec, environ).get(name):
        what = f"{name} is set, and no run gets it, because the SPEC does not name it: a release cannot be sent"
        fix = f"secrets: [{name}] in {place.root.layout.spec(place.spec.id)}"
        yield Lack(what=what, fix=fix, is_fatal=False)


def _is_repository(path: str) -> bool:
    """Whether git could be at home there, with files beside it or without. It says more when it is pushed to."""
    return any(reading.is_file(f"{path}/{each}HEAD") for each in ("", ".git/")) or reading.is_file(f"{path}/.git")


def _files(place: Place) -> Iterator[Lack]:
    """Files that are named to go along, and that a release would refuse."""
    publish = place.project.publish
    for name in publish.files:
        try:
            bytes_of.plain(place.folder, name, min(int(publish.most_mb * (1 << 20)), manifest.MOST_BYTES))
        except LabError as wrong:
            yield Lack(what=f"publish.files: {name}: {wrong.what}", fix=wrong.fix)


def listed(task: Task) -> Mapping[str, float]:
    """The dry run. Nothing leaves, whatever the project says."""
    found = gathered.gather(task)
    data = manifest.encode(found.release)
    sha256 = manifest.digest(data)
    scan = told.require_clean(task, found.release, sha256, found.files, found.plain)
    for name, made in found.made.items():
        task.out.write(f"{MADE}{name}", made)
    task.out.write(FILE, data)
    task.out.write(SCAN, page(scan))
    task.out.write(LISTING, listing.page(found.release, sha256, scan, named=personal.names(found.files)).encode())
    task.say(f"{len(found.release.files)} files are listed as {sha256[:12]}; nothing was sent")
    return {"files": float(len(found.files)), "bytes": float(found.release.size)}
