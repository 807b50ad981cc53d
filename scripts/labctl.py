#!/usr/bin/env python3
"""The command `labctl` from a checkout, without an installation: `python3 scripts/labctl.py status`.

Any Python that has the dependencies will do; the environment that `scripts/quickstart` makes has them.
"""

from __future__ import annotations

import os
import sys

UNAVAILABLE = 5
CHECKOUT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


def main() -> None:
    # The folder of this script leaves the path: a script beside it may have the name of a library.
    sys.path[:] = [CHECKOUT, *(entry for entry in sys.path if entry != os.path.join(CHECKOUT, "scripts"))]
    try:
        from lab.cli.main import entry  # noqa: PLC0415  # the checkout is on the path only now

        entry()
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "lab":
            raise  # our own fault, not the surroundings'
        print(
            f"labctl: the Python package {error.name!r} is not installed for {sys.executable}\n"
            f"  fix: cd {CHECKOUT} && ./scripts/quickstart, then use .venv/bin/labctl; or: pip install .",
            file=sys.stderr,
        )
        sys.exit(UNAVAILABLE)


if __name__ == "__main__":
    main()
