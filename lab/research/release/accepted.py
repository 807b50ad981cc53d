"""Whether the phase publishing left what it must: a list, a scan of exactly that list, and words for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core import canonical
from lab.core.record import parse
from lab.research.order import SEND
from lab.research.release import bytes_of, manifest
from lab.research.release.manifest import FILE, LISTING, MADE, RECEIPT, SCAN, WORKER, Receipt
from lab.research.release.scanning import Scan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.research.order import Order
    from lab.research.release.manifest import Release
    from lab.research.work.out import Out
    from lab.research.worker import Task


def problems(order: Order, out: Out, task: Task | None) -> Iterator[str]:
    """What is wrong. With the lab at hand also whether each file is still the one that was listed."""
    if order.worker != WORKER:
        yield f"publishing is done by {WORKER} alone, and this was done by {order.worker}"
        return
    data = out.read(FILE) or b""
    sha256 = manifest.digest(data)
    release = manifest.read(data)
    scan = parse(Scan, out.read(SCAN) or b"", SCAN)
    yield from _scanned(scan, release, sha256)
    if sha256 not in (out.read(LISTING) or b"").decode(errors="replace"):
        yield f"{LISTING} does not name the hash of {FILE}"
    for each in release.files:
        kept = out.read(f"{MADE}{each.name}") if each.origin == "made" else None
        if each.origin == "made" and (kept is None or canonical.digest(kept) != each.sha256):
            yield f"{MADE}{each.name} is not the file that is listed"
    yield from _receipt(order, out.read(RECEIPT), release, sha256)
    if task is not None:
        bytes_of.every(task.root, release, task.folder, out.path)


def _scanned(scan: Scan, release: Release, sha256: str) -> Iterator[str]:
    if scan.release != sha256:
        yield f"{SCAN} is about another list"
    if not scan.detectors or not scan.scanner:
        yield f"{SCAN} says that nothing looked"
    if scan.files != {each.path: each.sha256 for each in release.files}:
        yield f"{SCAN} is about other files than are listed"
    yield from (f"{SCAN} tells of {each.kind} in {each.file}" for each in scan.findings)


def _receipt(order: Order, data: bytes | None, release: Release, sha256: str) -> Iterator[str]:
    if order.step != SEND:
        if data is not None:
            yield f"{RECEIPT} is there, and nothing was to be sent"
        return
    if order.release != sha256:
        yield f"{FILE} is not the list that was approved"
    if data is None:
        yield f"it left no artifacts/{RECEIPT}"
        return
    receipt = parse(Receipt, data, RECEIPT)
    files = {each.path: each.sha256 for each in release.files}
    if (receipt.release, receipt.destination, receipt.files) != (sha256, release.destination, files):
        yield f"{RECEIPT} is of another release"
    if not receipt.commit:
        yield f"{RECEIPT} names no commit"
