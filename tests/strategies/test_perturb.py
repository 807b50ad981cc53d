"""Small changes: the contract, and what is special about them."""

from __future__ import annotations

from lab.strategies.perturb import Perturb
from lab.testing.strategies import LearnerContract


class TestPerturb(LearnerContract):
    strategy = Perturb()
