"""What a scan says of a release: nothing, or why it goes nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core import canonical
from lab.core.errors import LabError
from lab.core.record import page
from lab.executors import environment
from lab.research.release import manifest
from lab.research.release.manifest import SCAN
from lab.research.release.scanning import Scan, Scanner

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lab.core.spec import Spec
    from lab.research.release.manifest import Release
    from lab.research.worker import Task

_SHOWN = 10


def require_clean(
    task: Task, release: Release, sha256: str, contents: Mapping[str, bytes], plain: Iterable[str]
) -> Scan:
    """Look through it. What is found is written down in scan.json, by place and kind, and the phase ends there."""
    values = secrets(task.spec, task.root.world.environ)
    scan = look(release, sha256, contents, Scanner(values, plain, task.until_s))
    if scan.findings:
        task.out.write(SCAN, page(scan))
        raise refusal(scan)
    return scan


def look(release: Release, sha256: str, contents: Mapping[str, bytes], scanner: Scanner) -> Scan:
    """Every file, and every word that goes with them."""
    found = list(scanner.files(contents))
    title, body = manifest.message(release, sha256)
    for name, text in (("(title)", release.title), ("(message)", f"{title}\n\n{body}".replace(sha256, "")),
                       ("(destination)", release.destination)):  # fmt: skip
        found += scanner.words(name, text)
    return Scan(
        release=sha256,
        scanner=scanner.version,
        detectors=scanner.names,
        files={path: canonical.digest(data) for path, data in contents.items()},
        findings=tuple(dict.fromkeys(found)),
        values=scanner.values,
    )


def refusal(scan: Scan) -> LabError:
    """What was found, without a letter of it."""
    more = f", and {len(scan.findings) - _SHOWN} more" if len(scan.findings) > _SHOWN else ""
    what = f"this looks like secrets: {'; '.join(each.told() for each in scan.findings[:_SHOWN])}{more}"
    fix = "take them out (and withdraw a key that was in a file), then: labctl research run ID"
    return LabError(what, where=SCAN, fix=fix)


def secrets(spec: Spec, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The values that this lab keeps: those that the SPEC names, and variables that are called like one."""
    named = environment.kept_secret(spec, environ)
    return (*named, *(value for name, value in environ.items() if environment.is_secret(name, value)))
