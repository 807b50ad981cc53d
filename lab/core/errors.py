"""Every way the lab refuses or fails, and the exit code that goes with it.

An error says what happened, where, and what to do next. A script decides on `exit_code` or `kind`, a person reads
`str(error)`; neither needs a stack trace. This module imports nothing: it is on the path of every command.
"""

from __future__ import annotations

DONE = 0
FAILED = 1
BAD_INPUT = 2
BUSY = 3
CORRUPT = 4
UNAVAILABLE = 5
DRIFT = 9
INTERRUPTED = 130


class LabError(Exception):
    """The run or the check failed. Base of all errors that the lab raises on purpose."""

    exit_code = FAILED
    kind = "failed"

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    @property
    def told(self) -> str:
        """What happened and where, in one line: for a step of a turn, whose `fix` stands beside it."""
        what = " ".join(self.what.split())
        return f"{what} (in {self.where})" if self.where and self.where not in what else what

    @property
    def warning(self) -> str:
        """All of it in one line."""
        return f"{self.told}; fix: {self.fix}" if self.fix else self.told

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  in {self.where}")
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)


class BadInput(LabError):
    """What the caller gave cannot be used. Nothing was written."""

    exit_code = BAD_INPUT
    kind = "bad-input"


class NotFound(BadInput):
    """The caller named something that is not there."""

    kind = "not-found"


class Decided(BadInput):
    """Somebody has said yes or no already. What they said stands."""

    kind = "already-decided"


class Busy(LabError):
    """Somebody alive holds it. Trying again later is the right answer."""

    exit_code = BUSY
    kind = "busy"


class Superseded(Busy):
    """This process held it, was taken for dead, and somebody else was let in. It must not write history any more."""

    kind = "superseded"


class Exhausted(LabError):
    """A strategy has nothing left to propose: every point of the space was tried, or is being tried."""

    exit_code = BUSY
    kind = "exhausted"


class Taken(LabError):
    """What was to be run was run by somebody else meanwhile. Choose anew."""

    exit_code = BUSY
    kind = "taken"


class Unadvised(LabError):
    """A strategy has no word of its model yet. Ask the model, outside any section, and then the strategy again."""

    exit_code = BUSY
    kind = "unadvised"


class Corrupt(LabError):
    """A file does not say what it must. Nothing was touched; `where` names the file.

    `newer` when it is not damaged: a later labctl wrote it.
    """

    exit_code = CORRUPT
    kind = "corrupt"
    newer = False


class Unavailable(LabError):
    """The surroundings lack something: a lab that was never made, a full disk, a missing program or permission."""

    exit_code = UNAVAILABLE
    kind = "unavailable"


class Drifted(LabError):
    """Something is not any more as it was proved: a number of a paper, or what it was taken from."""

    exit_code = DRIFT
    kind = "drift"


class Interrupted(LabError):
    """A person stopped it."""

    exit_code = INTERRUPTED
    kind = "interrupted"


_PLAIN = (LabError, BadInput, Busy, Corrupt, Unavailable, Drifted, Interrupted)


def kind_of(exit_code: int) -> str:
    """The kind of what ends with this code, where nothing more is known of it."""
    return next((each.kind for each in _PLAIN if each.exit_code == exit_code), LabError.kind)


def exit_code_of(kind: str) -> int:
    """The code that goes with a kind; that of a failure for one that is nobody's."""
    return next((each.exit_code for each in (*_PLAIN, NotFound) if each.kind == kind), FAILED)


def nearest(word: str, known: tuple[str, ...]) -> str:
    """The known word that a misspelt one most likely meant, or an empty string."""
    import difflib  # noqa: PLC0415  # needed only to word an error; costs a tenth of a cold `status`

    matches = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return matches[0] if matches else ""


def around(word: str, known: tuple[str, ...]) -> list[str]:
    """The three known words that are the least unlike one which nobody can have misspelt so; fewer, where none is."""
    import difflib  # noqa: PLC0415  # as above

    return difflib.get_close_matches(word, known, n=3, cutoff=0.3)
