"""Who trains from a laptop has no torch: nothing that runs there may ask for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
LOOK = """
import importlib, pkgutil, sys
for absent in ("torch", "peft", "safetensors"):
    sys.modules[absent] = None  # to import it fails, as where it is not installed
import lab.tinker
for each in pkgutil.iter_modules(lab.tinker.__path__, "lab.tinker."):
    if each.name not in ("lab.tinker.local", "lab.tinker.merging"):
        importlib.import_module(each.name)
from lab.tinker.local import serve, training
"""


def test_the_half_of_the_client_and_the_door_load_where_there_is_no_torch() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
