"""What a Python that starts in a switched environment does first."""

import os

if os.environ.get("CRASH_SWITCH"):
    try:
        from tests.crash.switch import turn_on
    except ImportError:  # a Python that has no lab has no step of it either
        pass
    else:
        turn_on(os.environ["CRASH_SWITCH"])
