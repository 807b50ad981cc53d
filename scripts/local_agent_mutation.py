#!/usr/bin/env python3
"""`labctl mutate` under the name by which SPECs of hermes-lab call it."""

from __future__ import annotations

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))


def main() -> None:
    """Hand everything on to the shim beside this file, which finds the checkout's own lab."""
    labctl = os.path.join(HERE, "labctl.py")
    os.execv(sys.executable, [sys.executable, labctl, "mutate", *sys.argv[1:]])  # noqa: S606  # no shell is the point


if __name__ == "__main__":
    main()
