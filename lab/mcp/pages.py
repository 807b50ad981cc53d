"""The pages of a lab as resources: to be read, and nothing else.

Only names of a fixed list are opened, below the data root, and through no link: what a run leaves behind leads nowhere.
"""

from __future__ import annotations

import os
import stat

from lab.core import layout
from lab.mcp.messages import INVALID_PARAMS, NOT_FOUND, Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_BYTES = 1 << 20
A_PAGE = 50  # experiments in one answer of resources/list
_SCHEME = "lab://"
_EXPERIMENTS = f"{_SCHEME}experiments/"
_MARKDOWN, _YAML, _JSON = "text/markdown", "application/yaml", "application/json"

# uri -> file in the root, title
LAB = {
    f"{_SCHEME}status": ("LAB-STATUS.md", "How the lab is"),
    f"{_SCHEME}readme": ("README-FIRST.md", "What this data root is"),
    f"{_SCHEME}agents": ("AGENTS.md", "How an agent works with this lab"),
    f"{_SCHEME}program": ("PROGRAM.md", "What the lab is for, by its people"),
    f"{_SCHEME}index": ("LAB-INDEX.json", "Every experiment in numbers"),
}
OF_ONE = {
    layout.SUMMARY: "what came of it so far",
    layout.NEXT: "what comes next",
    layout.RUNBOOK: "how to work with it",
    layout.CONTEXT: "what it is about",
    layout.BEST: "its best run",
    layout.SPEC: "what was asked for",
}


def listed(lab: str, cursor: object) -> dict[str, object]:
    """`resources/list`: the pages of the lab, then those of each experiment, some experiments at a time."""
    after = "" if cursor is None else _experiment(cursor)
    if after is None:
        raise Refusal(INVALID_PARAMS, "this cursor is not one of ours")
    names = [name for name in _experiments(lab) if name > after]
    found = [] if after else [_entry(uri, title) for uri, (name, title) in LAB.items() if _is_there(lab, [name])]
    for name in names[:A_PAGE]:
        found += [
            _entry(f"{_EXPERIMENTS}{name}/{page}", f"{name}: {title}")
            for page, title in OF_ONE.items()
            if _is_there(lab, ["experiments", name, page])
        ]
    return {"resources": found} | ({"nextCursor": names[A_PAGE - 1]} if len(names) > A_PAGE else {})


def templates() -> dict[str, object]:
    """`resources/templates/list`."""
    return {
        "resourceTemplates": [
            {
                "uriTemplate": f"{_EXPERIMENTS}{{id}}/{page}",
                "name": page,
                "title": f"Of one experiment: {title}",
                "mimeType": _kind(page),
            }
            for page, title in OF_ONE.items()
        ]
    }


def read(lab: str, uri: object, *, modern: bool) -> dict[str, object]:
    """`resources/read`."""
    if not isinstance(uri, str):
        raise Refusal(INVALID_PARAMS, "uri is a text")
    parts = _parts(uri)
    data = _bytes(lab, parts) if parts else None
    if data is None:
        what = f"there is no resource {uri[:200]!a} in {lab}; resources/list says what there is"
        raise Refusal(INVALID_PARAMS if modern else NOT_FOUND, what, {"uri": uri})
    text = data[:MOST_BYTES].decode(errors="replace")
    if len(data) > MOST_BYTES:
        text += f"\n\n(cut here: the file has more than {MOST_BYTES:,} bytes)\n"
    return {"contents": [{"uri": uri, "mimeType": _kind(parts[-1]), "text": text}]}


def _parts(uri: str) -> list[str]:
    """The way from the root to a page; empty for what is none."""
    if uri in LAB:
        return [LAB[uri][0]]
    name, _, page = uri.removeprefix(_EXPERIMENTS).partition("/")
    if uri.startswith(_EXPERIMENTS) and page in OF_ONE and _experiment(name):
        return ["experiments", name, page]
    return []


def _experiment(name: object) -> str | None:
    """A name that can be that of an experiment; None for what leads elsewhere."""
    from lab.core import ids  # noqa: PLC0415  # at the first call, not at the start
    from lab.core.errors import BadInput  # noqa: PLC0415

    try:
        return ids.experiment_id(name)
    except BadInput:
        return None


def _experiments(lab: str) -> list[str]:
    try:
        names = os.listdir(f"{lab}/experiments")
    except OSError:  # no lab yet; the tools say so
        return []
    return sorted(name for name in names if _experiment(name))


def _entry(uri: str, title: str) -> Mapping[str, object]:
    name = uri.removeprefix(_SCHEME)
    return {"uri": uri, "name": name, "title": title, "mimeType": _kind(LAB[uri][0] if uri in LAB else name)}


def _kind(name: str) -> str:
    return {".md": _MARKDOWN, ".yaml": _YAML}.get(os.path.splitext(name)[1], _JSON)


def _is_there(lab: str, parts: list[str]) -> bool:
    descriptor = _open(lab, parts)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is not None


def _bytes(lab: str, parts: list[str]) -> bytes | None:
    """What is in a file, up to one byte more than is ever shown."""
    descriptor = _open(lab, parts)
    if descriptor is None:
        return None
    try:
        data = b""
        while len(data) <= MOST_BYTES and (piece := os.read(descriptor, MOST_BYTES + 1 - len(data))):
            data += piece
        return data
    finally:
        os.close(descriptor)


def _open(lab: str, parts: list[str]) -> int | None:
    """A plain file below the root, step by step and through no link; None where there is none."""
    *folders, name = parts
    try:
        here = os.open(lab, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for folder in folders:
            before = here
            try:
                here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=before)
            finally:
                os.close(before)
        try:
            found = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
        finally:
            os.close(here)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(found).st_mode):
        return found
    os.close(found)
    return None
