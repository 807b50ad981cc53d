#!/usr/bin/env python3
"""The executor of code loops under the name by which SPECs of hermes-lab call it.

The lab takes `executor_command: python3 scripts/reference_executor.py` for `executor: reference` and never starts this
file. Whoever starts it by hand, in the environment of a run that has ended, gets the next run of that experiment. In a
run that is under way it refuses: the lab conducts a candidate itself, and a program inside the run decides nothing.
"""

from __future__ import annotations

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
BAD_INPUT = 2


def main() -> None:
    """Hand over to the shim beside this file, which finds the checkout's own lab."""
    experiment, run = os.environ.get("LAB_EXPERIMENT_ID", ""), os.environ.get("LAB_RUN_DIR", "")
    if not experiment:
        refuse("no experiment is named", "set LAB_EXPERIMENT_ID, or type: labctl run-once --experiment ID --now")
    if run and os.path.isdir(run) and not os.path.exists(f"{run}/SEAL.json"):
        refuse(
            f"{experiment} is a code loop, and it was started as a program", "write `executor: reference` in its SPEC"
        )
    labctl = os.path.join(HERE, "labctl.py")
    words = [sys.executable, labctl, "run-once", "--experiment", experiment, "--now", *sys.argv[1:]]
    os.execv(sys.executable, words)  # noqa: S606  # no shell is the point


def refuse(what: str, fix: str) -> None:
    """End with words, as labctl does."""
    sys.stderr.write(f"error[bad-input]: {what}\n  fix: {fix}\n")
    sys.exit(BAD_INPUT)


if __name__ == "__main__":
    main()
