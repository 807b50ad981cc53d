"""The seal: the last file of a bundle, made once, which says what it sealed."""

import msgspec

from lab.core.origin import IMPORTED, Origin
from lab.core.record import Record
from lab.core.run import Run


class SealedFile(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One file of the bundle. For a symbolic link, the digest is that of its target text: links are not followed."""

    sha256: str
    size: int
    link: bool = False


class Anchor(msgspec.Struct, frozen=True, kw_only=True, order=True, gc=False):
    """The last ledger record that existed when the seal was made.

    It pins the run's place among the decisions of its experiment without trusting any clock, and it shows a ledger
    that was cut short afterwards.
    """

    seq: int = 0
    sha256: str = ""


class Seal(Record, frozen=True, kw_only=True, gc=False):
    """What `SEAL.json` says."""

    run: Run
    generation: int
    anchor: Anchor
    sealed_at: str
    sealed_by: str  # the owner, or the watchdog for a bundle whose owner died
    durability: str = "full"
    imported_from: str = ""
    files: dict[str, SealedFile]

    @property
    def told(self) -> Run:
        """The run as history has it: what was brought from elsewhere says so, though nothing is known of its search."""
        if not self.imported_from or self.run.origin is not None:
            return self.run
        return msgspec.structs.replace(self.run, origin=Origin(kind=IMPORTED))
