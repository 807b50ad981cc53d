"""A lab beside a folder of one's own, and `labctl` to type, as for all of the command line."""

from tests.cli.conftest import labctl, place

__all__ = ["labctl", "place"]
