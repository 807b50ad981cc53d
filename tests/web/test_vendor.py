"""What others made and we ship: named, licensed, and as it was published."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

VENDOR = Path(__file__).resolve().parents[2] / "lab" / "web" / "vendor"


def test_everything_in_vendor_is_listed_with_its_licence_and_has_the_bytes_that_were_published() -> None:
    told = json.loads((VENDOR / "VENDOR.json").read_text(encoding="utf-8"))
    listed: dict[str, str] = {}
    for each in told:
        assert {"name", "version", "licence", "source", "for", "files"} <= set(each)
        assert any(name.endswith("LICENSE") for name in each["files"])
        listed |= each["files"]
    assert {path.name for path in VENDOR.iterdir()} == {*listed, "VENDOR.json"}
    for name, digest in listed.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest


def test_what_is_in_it_says_which_version_it_is() -> None:
    (told,) = json.loads((VENDOR / "VENDOR.json").read_text(encoding="utf-8"))
    assert f"(v{told['version']})" in (VENDOR / "uPlot.iife.min.js").read_text(encoding="utf-8")[:200]
