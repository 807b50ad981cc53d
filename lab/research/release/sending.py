"""Sending what was approved: the same list, the same bytes, looked through once more, to where the list says.

What the ledger says decides, not what this run was told. Each file is read once: the bytes that are digested are those
that are looked through and sent. Killed at any moment, it is done again, and the other side has it once.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.core import layout
from lab.core.errors import BadInput, Corrupt, Interrupted, LabError, Unavailable
from lab.core.record import page
from lab.research.project import PUBLISHING
from lab.research.release import approved, bytes_of, gathered, listing, manifest, personal, targets, told
from lab.research.release.manifest import FILE, GIT, HUB, LISTING, MADE, RECEIPT, SCAN, Receipt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.research.release.manifest import Release
    from lab.research.release.pushing import Sent
    from lab.research.worker import Task
    from lab.store.root import Root


def send(task: Task) -> Mapping[str, float]:
    """Everything that a release must pass, then the other side."""
    wanted, data = task.order.release, task.given.read(f"{PUBLISHING}/{FILE}")
    sha256 = manifest.digest(data)
    if sha256 != wanted:
        raise Corrupt(
            f"the list is not the one that was ordered: {sha256[:12]}", where=FILE, fix="labctl research status"
        )
    release = manifest.read(data)
    word = approved.word(task.root, task.spec.id, sha256)
    if word.given is None:
        fix = f"labctl research publish {task.spec.id} shows it; only a person approves it"
        why = f": {word.doubt}" if word.doubt else ""
        raise BadInput(f"nobody has approved the release {sha256[:12]}{why}", fix=fix)
    _require_place(task, release)
    made = task.root.layout.run(task.spec.id, task.order.given[PUBLISHING])
    contents = bytes_of.every(task.root, release, task.folder, f"{made}/artifacts")
    scan = told.require_clean(task, release, sha256, contents, gathered.digests(task.root, task.spec.id, contents))
    came = task.interrupted()
    if came:
        raise Interrupted(f"stopped by {came} before anything was sent")
    task.say(f"sending {len(contents)} files to {release.destination}")
    sent = _sent(task, release, sha256, word.first, contents)
    receipt = Receipt(
        release=sha256, to=release.to, destination=release.destination, commit=sent.commit, url=sent.url,
        branch=sent.branch, files={each.path: each.sha256 for each in release.files}, at=task.root.now(),
        found=sent.found,
    )  # fmt: skip
    for name in task.given.names(f"{PUBLISHING}/{MADE}"):
        task.out.write(name.removeprefix(f"{PUBLISHING}/"), task.given.read(name))
    task.out.write(FILE, data)
    task.out.write(SCAN, page(scan))
    task.out.write(LISTING, listing.page(release, sha256, scan, receipt, named=personal.names(contents)).encode())
    task.out.write(RECEIPT, page(receipt))
    return {"files": float(len(contents)), "bytes": float(release.size), "found": float(sent.found)}


def _require_place(task: Task, release: Release) -> None:
    publish = task.project.publish
    if (release.to, release.destination) != (publish.to, targets.destination(publish, task.folder)):
        raise BadInput("project.yaml names another destination than the one that was approved", fix="list it anew")
    there = targets.endpoint(publish, task.root.world.environ)
    if there != release.endpoint:
        what = (
            f"HF_ENDPOINT names another hub than was approved: {there or 'none'}, and not {release.endpoint or 'none'}"
        )
        fix = f"set it as it was; or list it anew: labctl research run {task.spec.id} --phase publishing"
        raise BadInput(what, fix=fix)


def _sent(task: Task, release: Release, sha256: str, when: str, contents: Mapping[str, bytes]) -> Sent:
    environ = task.root.world.environ
    token = environ.get(task.project.publish.token, "")
    if release.to == HUB:
        from lab.research.release import hub  # noqa: PLC0415  # of an extra

        if not token:
            fix = f"export {task.project.publish.token}=..., and name it in `secrets` of the SPEC"
            raise Unavailable(f"{task.project.publish.token} is not set: the hub takes nothing without it", fix=fix)
        return hub.send(release, sha256, contents, token=token, endpoint=release.endpoint)
    if release.to != GIT:
        raise LabError("the release has no destination", fix="publish.to in project.yaml")
    from lab.research.release.pushing import Push  # noqa: PLC0415  # git

    place = task.root.layout.sandbox(f"{task.spec.id}@{task.run_id}")
    _sweep(task.root, task.spec.id, place)
    task.root.files.discard_folder(place)
    task.root.files.folder(place)
    try:
        own = token if task.project.publish.token != "HF_TOKEN" else ""  # noqa: S105  # the hub's is for the hub alone
        return Push(task.root.files, place, release, sha256, when, own).send(contents)
    finally:
        if os.path.isdir(place):
            task.root.files.discard_folder(place)


def _sweep(root: Root, experiment: str, place: str) -> None:
    """Remove what senders of this project left that were killed: a whole release lies there."""
    folder = os.path.dirname(place)
    names = os.listdir(folder) if os.path.isdir(folder) else []
    for name in names:
        run = root.layout.run(experiment, name.partition("@")[2])
        is_over = not os.path.isdir(run) or any(
            os.path.lexists(f"{run}/{end}") for end in (layout.SEAL, layout.SUPERSEDED)
        )
        if name.startswith(f"{experiment}@RUN-") and is_over:
            root.files.discard_folder(f"{folder}/{name}")
