"""Parameters of a run, in a file that a person or an agent wrote."""

from __future__ import annotations

_MOST_BYTES = 1 << 20


def read_params(path: str) -> dict[str, object]:
    """What a JSON or YAML file says; `-` is the standard input."""
    import os

    from lab.core import spec_text
    from lab.core.errors import NotFound
    from lab.store import reading

    data = reading.read_given("/dev/stdin" if path == "-" else os.path.expanduser(path), _MOST_BYTES)
    if data is None:
        raise NotFound(f"there is no file {path}", fix="name a JSON or YAML file with the parameters")
    found, _ = spec_text.parse_text(data, path)
    return found
