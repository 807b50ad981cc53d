"""The program `tinker`, several command lines in one process: loading it anew for each takes longer than they do.

python tests/tinker/local/program.py < [["model", "list"], ...]     its answers as JSON, in the same order
"""

from __future__ import annotations

import contextlib
import io
import json
import sys

sys.modules["torch"] = None  # type: ignore[assignment]  # a client needs none, and without it starts in a third

from tinker.cli.__main__ import main_cli  # noqa: E402  # after torch was hidden
from tinker.cli.exceptions import TinkerCliError  # noqa: E402  # the same


def answer(line: list[str]) -> object:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        try:
            main_cli(["-f", "json", *line], standalone_mode=False)
        except TinkerCliError as error:
            return {"refused": f"{error.message} {error.details or ''}"}
    return json.loads(said.getvalue()) if said.getvalue()[:1] in ("{", "[") else said.getvalue()


if __name__ == "__main__":
    sys.stdout.write(json.dumps([answer(line) for line in json.load(sys.stdin)]))
