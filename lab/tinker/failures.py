"""What went wrong at the service, in words of ours, with what to do about it.

The SDK tells a dead server as a timeout, a user's mistake as the failure of a request, and some failures by whatever
exception it stumbles over; its texts carry the numbers of requests and names of its classes. What is not known here is
told by its name and its words, shortened.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tinker import APIConnectionError, APIStatusError, RequestFailedError, TinkerError
from tinker.types import RequestErrorCategory

from lab.core.errors import BadInput, LabError, Unavailable
from lab.tinker import credentials, paths
from lab.tinker.rows import plain

if TYPE_CHECKING:
    from collections.abc import Callable

RESUME = "nothing is lost but the steps since the last saved state: the next chunk begins there"
_STATUS = re.compile(r"status[ =](\d{3})\b")
_OURS = re.compile(r"(^Request failed: )|( for self\.request_id=.*)|(^Error code: \d+ - )", re.DOTALL)
_DETAIL = re.compile(r"""["'](?:detail|error|message)["']\s*:\s*(?:"([^"]*)"|'([^']*)')""")
_UNKNOWN = re.compile(r"\b(unknown|no such|not found|does not exist|expired|gone|there is no)\b", re.IGNORECASE)
_EXISTS = re.compile(r"already exists|already there|overwrite", re.IGNORECASE)
_MIXED_UP = "billing_exception_time"  # what the SDK stumbles over when the bill is not paid before it is set up


class Doing:
    """What was asked for: the words of an error begin with it."""

    def __init__(self, words: str, *, url: str, path: str = "") -> None:
        self.words = words
        self.url = url
        self.path = path  # of what was to be loaded


def told(error: BaseException, doing: Doing) -> LabError:
    """The error as one of ours."""
    if isinstance(error, LabError):
        return error
    words = _words(error)
    status = _status(error)
    if isinstance(error, TinkerError) and not isinstance(error, RequestFailedError) and "api_key" in words:
        return Unavailable(f"{doing.words}: {words}", where=doing.url, fix=credentials.FIX)
    if status in _TOLD:
        return _TOLD[status](words, doing)
    if status >= 500:  # noqa: PLR2004  # all of these are failures at its side
        return Unavailable(f"{doing.words}: the service failed (HTTP {status}): {words}", where=doing.url, fix=RESUME)
    if status:
        return BadInput(f"{doing.words}: the service refused it (HTTP {status}): {words}", where=doing.url)
    if isinstance(error, APIConnectionError):
        fix = "look whether the service runs and the network is there"
        return Unavailable(f"{doing.words}: the service cannot be reached: {words}", where=doing.url, fix=fix)
    if isinstance(error, RequestFailedError):
        return _failed(error, words, doing)
    return Unavailable(f"{doing.words}: {type(error).__name__}: {words}", where=doing.url)


def late(doing: Doing, waited_s: float, why: str) -> LabError:
    """No answer came in time."""
    what = f"{doing.words}: no answer in {waited_s:.0f} s"
    if why:
        what += f"; {why}"
    fix = (
        "look whether the service runs (labctl tinker check); call_limit_s of the SPEC says how long an answer may take"
    )
    return Unavailable(what, where=doing.url, fix=fix)


def _refused_key(words: str, doing: Doing) -> LabError:
    places = f"{credentials.KEY}, {credentials.COMMAND}, {credentials.STORED}"
    what = f"{doing.words}: the service refused the key (HTTP 401): {words}"
    return Unavailable(what, where=doing.url, fix=f"the key is the first of {places}; {credentials.FIX}")


def _not_paid(_words: str, doing: Doing) -> LabError:
    what = f"{doing.words}: the service asks for payment (HTTP 402)"
    return Unavailable(what, where=doing.url, fix="see to the billing of the account that the key belongs to")


def _forbidden(words: str, doing: Doing) -> LabError:
    what = f"{doing.words}: the key may not do that (HTTP 403): {words}"
    return Unavailable(what, where=doing.url, fix="use a key of the account that owns what is asked for")


def _lost(words: str, doing: Doing) -> LabError:
    if doing.path:
        what = f"{doing.words}: {doing.path} is not there any more: {words}"
        fix = "it expired (keep_days of the SPEC), was deleted, or is another account's; begin from an earlier state: "
        return paths.Gone(what, where=doing.url, fix=fix + "labctl tinker checkpoints lists them")
    what = f"{doing.words}: the service does not know this training run any more: {words}"
    return Unavailable(what, where=doing.url, fix=f"it was restarted, or ended the session; {RESUME}")


def _exists(words: str, doing: Doing) -> LabError:
    what = f"{doing.words}: something of that name is already saved, and is not written over: {words}"
    return BadInput(what, where=doing.url, fix="labctl tinker checkpoints lists what is there")


def _too_many(words: str, doing: Doing) -> LabError:
    what = f"{doing.words}: too many requests (HTTP 429): {words}"
    return Unavailable(
        what, where=doing.url, fix="let fewer runs ask at once (max_parallel), or ask for a higher limit"
    )


_TOLD: dict[int, Callable[[str, Doing], LabError]] = {
    401: _refused_key, 402: _not_paid, 403: _forbidden, 404: _lost, 409: _exists, 410: _lost, 429: _too_many,
}  # fmt: skip


def _failed(error: RequestFailedError, words: str, doing: Doing) -> LabError:
    if _EXISTS.search(words):
        return _exists(words, doing)
    if doing.path and _UNKNOWN.search(words):
        return _lost(words, doing)
    if error.category is RequestErrorCategory.User:
        return BadInput(f"{doing.words}: the service refused it: {words}", where=doing.url)
    return Unavailable(f"{doing.words}: the service failed: {words}", where=doing.url, fix=RESUME)


def _status(error: BaseException) -> int:
    if isinstance(error, APIStatusError):
        return error.status_code
    text = str(error)
    if isinstance(error, AttributeError) and _MIXED_UP in text:
        return 402
    if type(error).__name__ == "RetryableException":  # of the SDK's inside: a request that it sent is forgotten there
        return 410
    found = _STATUS.search(text) if isinstance(error, ValueError) else None
    return int(found[1]) if found else 0


def _words(error: BaseException) -> str:
    text = _OURS.sub("", str(error)).strip()
    found = _DETAIL.search(text)
    return plain(found[1] or found[2] or text) if found else plain(text) or type(error).__name__
