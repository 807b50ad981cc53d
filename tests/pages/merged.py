"""Put the keys of one YAML file into another one, as a reader does with an editor: merged.py PART FILE."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml


def merged(old: Any, new: Any) -> Any:  # noqa: ANN401  # whatever YAML holds
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: merged(old.get(key), value) for key, value in new.items()}}
    return new


def main(part: Path, file: Path) -> None:
    whole = merged(yaml.safe_load(file.read_text(encoding="utf-8")), yaml.safe_load(part.read_text(encoding="utf-8")))
    file.write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
