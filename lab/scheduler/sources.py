"""The SPEC that somebody names: a file, a folder with one in it, or a shipped template."""

from __future__ import annotations

import os

from lab.core import layout
from lab.core.errors import BadInput, NotFound, nearest
from lab.store import reading, shipped

_MAX_SPEC_BYTES = 1 << 20
_OURS = "experiments"


def read(source: str, lab: str) -> tuple[bytes, str]:
    """The SPEC's bytes and the path they came from. One of the lab's is found by the path that refusals name it by."""
    path = os.path.abspath(os.path.expanduser(source))
    if source.startswith(f"{_OURS}/") and not os.path.lexists(path):
        path = f"{lab}/{source}"
    if os.path.islink(path) and not os.path.exists(path):
        fix = "put back what it leads to, or remove the link"
        raise BadInput("this is a link to a place where nothing is", where=path, fix=fix)
    if os.path.isdir(path):
        inside = next((name for name in ("SPEC.yaml", "spec.yaml") if reading.is_file(f"{path}/{name}")), "")
        if not inside:
            fix = "name the SPEC file itself"
            if name := shipped.find_folder(source):
                fix = f"{fix}; to copy the template {name}, go to a folder where nothing is called so"
            raise BadInput("this folder has no SPEC.yaml", where=path, fix=fix)
        path = f"{path}/{inside}"
    data = reading.read_given(path, _MAX_SPEC_BYTES)
    if data is not None:
        return data, path
    name = shipped.find(source)
    if name:
        return shipped.read_template(name), f"{shipped.template_folder()}/{name}"
    folder = shipped.find_folder(source)
    if folder:
        return shipped.read_folder(folder)[layout.SPEC], f"{shipped.template_folder()}/{folder}/{layout.SPEC}"
    folder = shipped.find_folder(os.path.dirname(source))
    if folder:
        fix = (
            f"labctl create {folder} copies that template here; then: labctl create {folder}/{os.path.basename(source)}"
        )
        raise NotFound(f"there is no SPEC {source}", where=path, fix=fix)
    known = shipped.names()
    close = nearest(os.path.basename(source).removesuffix(shipped.SUFFIX), known)
    fix = f"did you mean {close}? " if close else ""
    raise NotFound(f"there is no SPEC {source}", where=path, fix=f"{fix}a file, or a template: {', '.join(known)}")


def named(source: str, data_root: str) -> tuple[bytes, str]:
    """The same of what may also be the id of an experiment of this lab: then it is its own SPEC."""
    edited = f"{data_root}/experiments/{source}/{layout.SPEC}"
    return read(edited if "/" not in source and reading.is_file(edited) else source, data_root)


def template(source: str) -> str:
    """The short name of the shipped template that `read` will read; empty where there is a file of this name."""
    if os.path.lexists(os.path.abspath(os.path.expanduser(source))):
        return ""
    return shipped.find(source).removesuffix(shipped.SUFFIX)


def renamed(data: bytes, old: str, new: str, origin: str) -> bytes:
    """The SPEC with another id, its comments and order kept."""
    lines = data.decode().splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line.startswith("id:"):
            lines[number] = f'id: "{new}"\n'  # quoted: `null` and `yes` are ids too
            return "".join(lines).encode()
    raise BadInput(f"the id {old} does not stand on a line of its own", where=origin, fix="edit the SPEC's id by hand")
