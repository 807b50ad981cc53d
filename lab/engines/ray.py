"""The engine `ray`: jobs of a Ray cluster, through the HTTP interface of its head node. No package is needed for it.

Ray holds no job back, so one that was not released is a file of ours and nothing else. It refuses a second job of one
`submission_id`, so a release that was not answered can be repeated. What it knows it knows in the memory of its head.
The node that runs a job must see the data root under the same name.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import Busy, Unavailable
from lab.core.job import HELD, Report
from lab.engines import ray_text as text
from lab.engines.door import Refused
from lab.store import reading
from lab.store.refusals import refused
from lab.store.sections import hold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.engines.door import Ground, Placement
    from lab.llm.http import Reply

DEFAULT = "http://127.0.0.1:8265"
GRACE_S = 30  # between TERM and KILL; Ray's own 3 s are too few to end a run and to seal it
LIMIT_S = 30.0  # for one answer; a submission takes one or two
_MOST_BYTES = 256 << 20  # of a list of all jobs that a cluster has ever had
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 401, 403, 404
_REQUEST = ".json"


class Ray:
    """Asked for everything by name; the files are only what was not released yet."""

    forgets_after_s = 30.0

    def ready(self, ground: Ground) -> None:
        """Whether its address is one."""
        _address(ground)

    def submit(self, job: Placement, ground: Ground) -> str:
        """Keep the request. Ray is asked whether it is there, and nothing more."""
        number = f"{job.name}.{os.urandom(4).hex()}"
        asked = text.submission(job, number, GRACE_S)
        _version(ground)
        try:
            ground.files.create(_file(ground, number), msgspec.json.encode(asked), durable=False, mode=0o600)
        except OSError as error:
            raise refused(error) from error
        return number

    def release(self, number: str, ground: Ground) -> None:
        """Hand it to Ray, which starts it when there is room. `Refused` comes here, for Ray is asked only now."""
        with _alone(ground):
            asked = _kept(ground, number)
            if asked is None:
                _version(ground)
                return
            reply = _ask("POST", "/api/jobs/", ground, asked)
            said = reply.body.decode(errors="replace")
            if not (text.is_taken(reply.body, number) if reply.status == _OK else text.is_known_already(said)):
                if text.is_refusal(reply.status, said):
                    ground.files.discard(_file(ground, number))
                    raise Refused(f"Ray refuses it: {text.in_a_line(said)}", fix="change what engines.yaml asks for")
                raise _unavailable(ground, reply)
            ground.files.discard(_file(ground, number))

    def listed(self, prefix: str, ground: Ground) -> tuple[Report, ...]:
        """By one question, and one listing of what was not released; that first, for a job moves from here to there."""
        held = _held(ground, prefix)
        reply = _ask("GET", "/api/jobs/", ground)
        try:
            if reply.status != _OK:
                raise _unavailable(ground, reply)
            told = text.listed(reply.body, prefix)
        except (ValueError, RecursionError) as error:
            raise _no_ray(ground) from error
        known = {each.number for each in told}
        for number in known.intersection(held):  # whoever released it died before it could say so
            ground.files.discard(_file(ground, number))
        kept = (Report(name=text.name_of(each), number=each, state=HELD) for each in held if each not in known)
        return (*told, *kept)

    def cancel(self, numbers: tuple[str, ...], ground: Ground) -> None:
        """Forget what was not released; have Ray end the rest."""
        for number in numbers:
            with _alone(ground):
                if reading.is_file(_file(ground, number)):
                    ground.files.discard(_file(ground, number))
            # Also of one that was a file: who released it may have died after Ray had it.
            reply = _ask("POST", f"/api/jobs/{_quoted(number)}/stop", ground)
            if reply.status not in (_OK, _NOT_FOUND):
                raise _unavailable(ground, reply)

    def where(self, ground: Ground) -> str:
        """Its address; that of this machine to itself says nothing elsewhere."""
        address = _address(ground)
        to_itself = any(f"//{name}" in address for name in ("127.", "localhost", "[::1]"))
        return f"{address} of {os.uname().nodename}" if to_itself else address

    def describe(self, ground: Ground) -> str:
        """Its version and its address."""
        return f"Ray {_version(ground)} at {_address(ground)}"


# -- the files of what was not released ------------------------------------------------------------------------------


def _file(ground: Ground, number: str) -> str:
    return f"{ground.folder}/{number}{_REQUEST}"


def _kept(ground: Ground, number: str) -> bytes | None:
    """The request of a job; None for one that was released, cancelled, or emptied by a power cut."""
    try:
        return reading.read(_file(ground, number)) or None
    except OSError as error:
        raise refused(error) from error


def _held(ground: Ground, prefix: str) -> list[str]:
    try:
        names = os.listdir(ground.folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise refused(error) from error
    return sorted(name.removesuffix(_REQUEST) for name in names if name.startswith(prefix) and name.endswith(_REQUEST))


@contextmanager
def _alone(ground: Ground) -> Iterator[None]:
    """A job that is cancelled while it is released must be one of the two."""
    try:
        with hold(f"{ground.folder}/section"):
            yield
    except Busy as error:
        raise Unavailable(error.what, where=error.where, fix=error.fix) from error


# -- the network -----------------------------------------------------------------------------------------------------


def _address(ground: Ground) -> str:
    """Of the dashboard of the head node, which takes jobs: as engines.yaml has it, or as Ray's own commands do."""
    named = ground.address or next(
        (ground.environ[name] for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS") if ground.environ.get(name)), ""
    )
    if named in ("", "auto", "local"):
        return DEFAULT
    if not named.startswith(("http://", "https://")):
        raise Unavailable(
            f"Ray cannot be asked for jobs at {named!r}: that is not the address of its dashboard",
            fix="write `address: http://HEAD:8265` into the row of this class in engines.yaml",
        )
    return named.rstrip("/")


def _token(ground: Ground) -> str:
    """What shows a cluster with tokens who asks: Ray's own variables, or the file that `ray start` has written."""
    environ = ground.environ
    if environ.get("RAY_AUTH_MODE", "").lower() == "disabled":
        return ""
    if environ.get("RAY_AUTH_TOKEN", "").strip():
        return environ["RAY_AUTH_TOKEN"].strip()
    path = environ.get("RAY_AUTH_TOKEN_PATH") or f"{environ.get('HOME', '')}/.ray/auth_token"
    with suppress(OSError):
        return (reading.read_head(path, 4096) or b"").decode(errors="replace").strip()
    return ""


def _ask(method: str, path: str, ground: Ground, body: bytes = b"") -> Reply:
    """One request. `Unavailable` where there is no answer, whatever the reason, or one to a stranger."""
    from lab.llm import http, wire  # noqa: PLC0415  # sockets, which no other engine needs

    address = _address(ground)
    to = http.address(address)
    if isinstance(to, str):
        raise Unavailable(f"the address of Ray, {address!r}, {to}", fix="correct `address` in engines.yaml")
    to = msgspec.structs.replace(to, path=f"{to.path}{path}")
    headers = {"Content-Type": "application/json", "Accept": "application/json", **text.authorization(_token(ground))}
    patience = wire.Patience(time.monotonic() + LIMIT_S, lambda: False)
    try:
        reply = http.call(
            method, to, headers, body, environ=ground.environ, patience=patience, most=_MOST_BYTES
        )  # fmt: skip
    except wire.Broken as broken:
        raise Unavailable(
            f"Ray does not answer at {address}: {broken.what}",
            fix="nothing is lost; look at it with: ray status. Is `address` in engines.yaml that of its dashboard?",
        ) from broken
    if reply.status in (_UNAUTHORIZED, _FORBIDDEN):
        raise Unavailable(
            f"Ray at {address} asks for a token, or for another one (it answered {reply.status})",
            fix="set RAY_AUTH_TOKEN where labctl runs, or copy ~/.ray/auth_token of the head node to there",
        )
    return reply


def _version(ground: Ground) -> str:
    reply = _ask("GET", "/api/version", ground)
    try:
        if reply.status != _OK:
            raise _unavailable(ground, reply)
        return text.version(reply.body)
    except (ValueError, RecursionError) as error:
        raise _no_ray(ground) from error


def _unavailable(ground: Ground, reply: Reply) -> Unavailable:
    if reply.status in (_OK, _NOT_FOUND):
        return _no_ray(ground)
    said = text.in_a_line(reply.body.decode(errors="replace")) or "nothing"
    return Unavailable(
        f"Ray at {_address(ground)} answered {reply.status}: {said}", fix="nothing is lost; look at it with: ray status"
    )


def _no_ray(ground: Ground) -> Unavailable:
    return Unavailable(
        f"what answers at {_address(ground)} is no Ray that takes jobs",
        fix="write the address of its dashboard into engines.yaml (port 8265); it needs the package ray[default]",
    )


def _quoted(number: str) -> str:
    from urllib.parse import quote  # noqa: PLC0415  # for this only

    return quote(number, safe="")
