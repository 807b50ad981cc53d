"""One `labctl` under way for a call: in a group of its own, read as it speaks, ended when it must be."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MOST_OUTPUT_BYTES = 4 << 20
_MOST_WORDS_BYTES = 8192  # of what it says on stderr, the end
_PIECE, _PIECES = 1 << 16, 16


class Child:
    """A process and what it said so far. Nothing here waits for it."""

    def __init__(
        self, command: Sequence[str], *, stdin: bytes, cwd: str | None, environ: Mapping[str, str], is_long: bool
    ) -> None:
        import subprocess  # noqa: PLC0415  # at the first call, not at the start

        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=environ,
            bufsize=0,
            start_new_session=True,
            preexec_fn=_until_we_die() if is_long else None,  # noqa: PLW1509  # this process has one thread
        )
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):  # it ended before it read; its words say why
                self._process.stdin.write(stdin)
            self._process.stdin.close()
        self.out, self.err = bytearray(), bytearray()
        self.too_much = False
        self._ends = {}
        for stream, into in ((self._process.stdout, self.out), (self._process.stderr, self.err)):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
                self._ends[stream.fileno()] = into

    @property
    def pid(self) -> int:
        """Its number, and that of its group."""
        return self._process.pid

    def open_ends(self) -> list[int]:
        """The descriptors that it may still speak through."""
        return list(self._ends)

    def read(self, end: int) -> bool:
        """Take in what it said. False when it has closed this end."""
        into = self._ends[end]
        for _ in range(_PIECES):  # one that never stops speaking must not keep the others waiting
            try:
                piece = os.read(end, _PIECE)
            except BlockingIOError:
                return True
            if not piece:
                del self._ends[end]
                return False
            into += piece
            if into is self.err:
                del into[:-_MOST_WORDS_BYTES]
            elif len(into) > MOST_OUTPUT_BYTES:
                self.too_much = True
                del into[:]
        return True

    def is_over(self) -> bool:
        """Whether it has ended. It is not reaped yet, so that its number, which is that of its group, stays its own."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def terminate(self) -> None:
        """Ask it to end: a turn under way seals its run as cancelled and lets go of what it holds."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End its whole group, unasked."""
        with suppress(ProcessLookupError, PermissionError):  # macOS: a group of none but the dead
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> int:
        """After its end: read the rest, end what it left behind in its group, reap it. Returns its exit code."""
        self.kill()
        for end in self.open_ends():
            self.read(end)  # once: that is more than a pipe holds
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        return self._process.wait()


def _until_we_die() -> Callable[[], None] | None:
    """What makes a turn end, and seal its run, also when this server is killed and can tell nobody any more."""
    from lab.store import kernel  # noqa: PLC0415  # loads ctypes, before the fork

    if not kernel.LINUX:
        return None
    kernel.load()

    def ask() -> None:
        with suppress(OSError):  # it is started all the same
            kernel.die_with_parent(signal.SIGTERM)

    return ask
