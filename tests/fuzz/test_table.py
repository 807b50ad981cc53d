# ruff: noqa: E501  # an input or a row of a table stands on one line
"""The table of what is fuzzed is whole: who decodes something is in it, or is excused with a reason."""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING

import pytest

from scripts.trial.fuzzing import samples
from scripts.trial.fuzzing.table import TARGETS
from tests.fuzz.excused import EXCUSED
from tests.tidy.test_house_rules import CHECKOUT, dotted, imports, read, trees

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from scripts.trial.fuzzing.target import Target
    from tests.tidy.test_house_rules import Module

__all__ = ["trees"]  # a fixture

DECODES = (
    "json.loads", "json.load", "json.JSONDecoder", "json_text.parse", "msgspec.json.decode", "msgspec.json.Decoder", "yaml.load",
    "yaml.safe_load", "yaml.parse", "tomllib.loads", "tomlkit.parse", "tarfile.open", "tarfile.TarInfo.frombuf",
    "struct.unpack", "csv.reader", "ET.fromstring", "ast.parse", "ast.literal_eval", "datetime.fromisoformat",
    "date.fromisoformat", "urlsplit", "parse_qsl", "unquote", "unquote_to_bytes", "shlex.split", "shlex.shlex",
    "zlib.decompressobj", "gzip.open", "bz2.BZ2Decompressor", "lzma.LZMADecompressor", "zipfile.ZipFile", "base64.b64decode",
    "base64.b32decode", "binascii.unhexlify", "binascii.a2b_uu", "np.frombuffer", "safe_open", "load_file", "parsedate_tz",
    "http.client.HTTPResponse", "re.compile", "re.match", "re.search", "re.fullmatch", "re.findall", "re.finditer", "re.sub", "re.split",
)  # fmt: skip
MODULES = [module for module in read(CHECKOUT, "lab") if not module.name.startswith("lab.testing")]


def decodes(module: Module) -> bool:
    return any(isinstance(node, ast.Call) and dotted(node.func) in DECODES for node in ast.walk(module.tree))


def test_every_module_that_decodes_is_fuzzed_or_excused() -> None:
    told = {name for target in TARGETS.values() for name in target.reads} | set(EXCUSED)
    missing = sorted(module.name for module in MODULES if decodes(module) and module.name not in told)
    assert missing == [], "give it to a target of scripts/trial/fuzzing, or to tests/fuzz/excused.py with a reason"


def test_no_excuse_outlives_its_module() -> None:
    there = {module.name for module in MODULES if decodes(module)}
    fuzzed = {name for target in TARGETS.values() for name in target.reads}
    assert sorted(set(EXCUSED) - there) == []
    assert sorted(set(EXCUSED) & fuzzed) == []


def test_every_record_is_among_the_samples() -> None:
    found = {module.name for module in MODULES if "lab.core.record.Record" in {name for _, name in imports(module)}}
    declared = {
        module.name
        for module in MODULES
        if module.name in found and any(_is_record(node) for node in ast.walk(module.tree))
    }
    assert sorted(declared) == sorted(samples.MODULES)


def _is_record(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and any(dotted(base) == "Record" for base in node.bases)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_goes_through_the_modules_that_it_names(name: str) -> None:
    """By its own good inputs: a table that names what is not reached would hide that nothing tries it."""
    entered = set(_entered(TARGETS[name]))
    assert sorted(set(TARGETS[name].reads) - entered) == []


def _entered(target: Target) -> Iterator[str]:
    found: set[str] = set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            found.add(str(frame.f_globals.get("__name__", "")))

    before = sys.gettrace()
    sys.settrace(note)
    try:
        for seed in target.seeds:
            try:
                target.read(seed)
            except target.raises:
                continue
    finally:
        sys.settrace(before)
    yield from found
