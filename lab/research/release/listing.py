"""`listing.md`: what would go where, for the person who is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.research.release import card, manifest, personal
from lab.research.release.manifest import GIT, HUB, Receipt, Release

if TYPE_CHECKING:
    from lab.research.release.scanning import Scan

_KB = 1024


def page(  # all that is told
    release: Release, sha256: str, scan: Scan, receipt: Receipt | None = None, *, named: tuple[str, ...] = ()
) -> str:
    """In words, and every file. `named` are the names of machines, people and folders that leave in sealed files."""
    lines = [f"# Release of {release.project}", "", f"Title: {_line(release.title)}", ""]
    lines += _where(release, sha256, receipt)
    if release.placeholder:
        lines += ["", f"**Placeholder**: {card.placeholder_said(release.placeholder)}"]
    if named:
        has = "evidence/ is as it was sealed, and has these names in it"
        lines += ["", f"**Names leave with it**: {has}: {_line(personal.told(named))}. Nothing can take them out."]
    lines += ["", f"Hash of the manifest (release.json): `{sha256}`", ""]
    lines += ["| file | size | from | why | sha256 |", "| --- | --- | --- | --- | --- |"]
    for each in release.files:
        whose = each.run_id or ("the project's folder" if each.origin == "project" else "written by the lab")
        lines.append(f"| {_line(each.path)} | {size(each.size)} | {whose} | {each.reason} | {each.sha256[:16]} |")
    lines += ["", f"{len(release.files)} files, {size(release.size)}. Nothing else would be sent.", ""]
    lines += _looked(release, scan)
    if receipt is None:
        lines += _how(release, sha256)
    return "\n".join(lines) + "\n"


def _line(text: str) -> str:
    """In one line, and in one cell: no word of a file forges another line."""
    return "".join(each if each.isprintable() else " " for each in text).replace("|", "\\|")


def size(count: int) -> str:
    if count < _KB:
        return f"{count} B"
    return f"{count / _KB:,.1f} KiB" if count < _KB * _KB else f"{count / _KB / _KB:,.1f} MiB"


def _where(release: Release, sha256: str, receipt: Receipt | None) -> list[str]:
    if receipt is not None:
        at = f" at {receipt.url}" if receipt.url else ""
        again = " It had been sent before, and was not sent again." if receipt.found else ""
        return [f"**Sent**: {receipt.destination} has it as {receipt.commit}{at}.{again}"]
    if release.to == GIT:
        branch = manifest.branch(release, sha256)
        return [f"**Not sent.** It would go to the git repository {release.destination}, as the new branch {branch}."]
    if release.to == HUB:
        how = (
            "A repository that is made for it is private, and gets it as a commit; so does one that is private and "
            "empty. To any other it comes as a pull request, which everybody sees who sees that repository."
        )
        hub = f"the hub at {release.endpoint}" if release.endpoint else "the hub"
        return [f"**Not sent.** It would go to {hub}, as the {release.repo_type} {release.destination}. {how}"]
    return ["**Not sent.** project.yaml names no destination (publish.to), so this is only a list."]


def _looked(release: Release, scan: Scan) -> list[str]:
    lines = [f"Looked through for secrets by {scan.scanner} and {len(scan.detectors)} detectors: nothing was found."]
    if release.unverified:
        are, they = ("are", "they exist") if len(release.unverified) > 1 else ("is", "it exists")
        lines += [
            "",
            (
                f"**Unverified**: {', '.join(release.unverified)} {are} cited, and nobody was asked whether {they}, "
                "because the project is offline or your own note names no paper. Who approves this release vouches "
                "for them."
            ),
        ]
    return lines


def _how(release: Release, sha256: str) -> list[str]:
    if not release.to:
        return ["", "To send it, name a destination in project.yaml: publish.to, and publish.remote or publish.repo."]
    return [
        "",
        "To send exactly this, and nothing else:",
        "",
        f"    labctl research approve {release.project} --release {sha256}",
        f"    labctl research publish {release.project} --send",
    ]
