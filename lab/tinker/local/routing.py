"""Every address that the server answers, in one table; and what is behind it."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from lab.tinker.local import greeting
from lab.tinker.local.calls import Call, Refusal, Reply, complaint
from lab.tinker.local.checkpoints import Checkpoints
from lab.tinker.local.faults import Fault, Faults
from lab.tinker.local.files import Files
from lab.tinker.local.futures import Futures
from lab.tinker.local.listings import Listings
from lab.tinker.local.runs import Runs
from lab.tinker.local.samplers import Samplers
from lab.tinker.local.saving import Saving
from lab.tinker.local.sessions import Sessions
from lab.tinker.local.steps import Steps
from lab.tinker.local.upkeep import Upkeep

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.tinker.local.training import Models

API = "/api/v1"
OPEN = ("/healthz", "/_files/")  # what needs no key: the links of the second carry their own permission
ASKED_AGAIN = (402, 408, 409, 429)  # by the SDK, with the same number; any other 4xx it takes as final
SERVERS_FAULT = 500
SWEEP_S = 5.0
LISTED_S = 86_400.0  # runs and sessions that left nothing
ENDS_WITHIN_S = 15.0  # a save that has begun is finished


class Route(NamedTuple):
    method: str
    path: re.Pattern[str]
    handle: Callable[[Call], Reply]


class Parts:
    """The parts of a server and how they hang together; `sweep` runs beside until `close`."""

    def __init__(
        self, models: Models, folder: str, say: Callable[[str], None], *, session_idle_s: float, debug: bool = False
    ) -> None:
        self.say = say
        self.debug = debug
        self.faults = Faults()
        self.futures = Futures(say, debug=debug)
        self.sessions = Sessions(folder, say, idle_s=session_idle_s)
        self.checkpoints = Checkpoints(folder, say)
        self.runs = Runs(folder, models, self.sessions, self.checkpoints, self.futures, say)
        self.steps = Steps(models, self.runs)
        self.samplers = Samplers(models, self.sessions, self.checkpoints, self.futures)
        self.saving = Saving(self.runs, self.samplers, self.checkpoints, self.sessions)
        self.listings = Listings(models, self.sessions, self.runs, self.samplers, self.checkpoints)
        self.upkeep = Upkeep(self.checkpoints)
        self.files = Files(self.checkpoints)
        self._sweep_s = min(SWEEP_S, session_idle_s / 2)
        self._ended = threading.Event()
        threading.Thread(target=self._sweep, name="sweep", daemon=True).start()

    def close(self) -> None:
        self._ended.set()
        self.futures.close(ENDS_WITHIN_S)

    def strike(self, call: Call) -> Fault | None:
        """Let a fault strike this call. One that a client takes as final is that for the number of its request too."""
        try:
            return self.faults.strike(call.path)
        except Refusal as refusal:
            if refusal.status not in ASKED_AGAIN and refusal.status < SERVERS_FAULT:
                self.runs.pass_over(call, refusal.detail)
            raise

    def _sweep(self) -> None:
        while not self._ended.wait(self._sweep_s):
            try:
                self.tidy(time.time())
            except OSError as error:  # a disk that is full, or gone for a moment
                self.say(complaint("tidying up", error, trace=self.debug))

    def tidy(self, now_s: float) -> None:
        """End who is silent, and take away what is over."""
        self.sessions.end_silent()
        self.checkpoints.sweep()
        self.runs.prune(now_s - LISTED_S)
        self.sessions.prune(now_s - LISTED_S, {each.session_id for each in self.runs.newest_first()})


def table(parts: Parts) -> tuple[Route, ...]:
    checkpoint = r"/training_runs/([^/]+)/checkpoints/(weights|sampler_weights|external_weights)/([^/]+)"
    rows: tuple[tuple[str, str, Callable[[Call], Reply]], ...] = (
        ("GET", "/healthz", greeting.health),
        ("POST", "/client/config", greeting.flags),
        ("POST", "/client/dynamic_config", greeting.later_flags),
        ("POST", "/telemetry", greeting.telemetry),
        ("GET", "/auth/apikey/me", greeting.whose_key),
        ("DELETE", "/auth/apikey/me", greeting.forget_key),
        ("GET", "/get_server_capabilities", parts.listings.capabilities),
        ("POST", "/create_session", parts.sessions.create),
        ("POST", "/session_heartbeat", parts.sessions.beat),
        ("POST", "/sessions/([^/]+)/finish", parts.sessions.finish),
        ("GET", "/sessions", parts.listings.sessions),
        ("GET", "/sessions/([^/]+)", parts.listings.session),
        ("POST", "/create_model", parts.runs.create),
        ("POST", "/load_weights", parts.runs.load),
        ("POST", "/get_info", parts.steps.info),
        ("POST", "/forward_backward", parts.steps.forward_backward),
        ("POST", "/optim_step", parts.steps.optim_step),
        ("POST", "/save_weights", parts.saving.state),
        ("POST", "/save_weights_for_sampler", parts.saving.for_sampler),
        ("POST", "/save_weights_external", parts.saving.external),
        ("POST", "/copy_weights", parts.saving.copy),
        ("POST", "/create_sampling_session", parts.samplers.create),
        ("POST", "/join_sampling_session", parts.samplers.join),
        ("GET", "/samplers/([^/]+)", parts.samplers.described),
        ("POST", "/asample", parts.samplers.sample),
        ("POST", "/retrieve_future", parts.futures.retrieve),
        ("POST", "/cancel_future", parts.futures.cancel),
        ("POST", "/weights_info", parts.listings.weights),
        ("GET", "/training_runs", parts.listings.runs),
        ("GET", "/training_runs/([^/]+)", parts.listings.run),
        ("GET", "/training_runs/([^/]+)/checkpoints", parts.listings.checkpoints_of_run),
        ("GET", "/checkpoints", parts.listings.checkpoints),
        ("DELETE", checkpoint, parts.upkeep.delete),
        ("PUT", checkpoint + "/ttl", parts.upkeep.set_life),
        ("POST", checkpoint + "/publish", parts.upkeep.publish),
        ("DELETE", checkpoint + "/publish", parts.upkeep.unpublish),
        ("GET", checkpoint + "/external_weights_urls", parts.files.urls),
        ("GET", r"/_files/(\d+)/([0-9a-f]{64})/([^/]+)/([^/]+)/([^/]+)/([^/]+)", parts.files.download),
        ("POST", "/_fault", parts.faults.add),
        ("DELETE", "/_fault", parts.faults.clear),
        ("GET", "/_calls", parts.faults.calls),
    )
    return tuple(Route(method, re.compile(path), handle) for method, path, handle in rows)


def find(routes: tuple[Route, ...], method: str, path: str) -> tuple[Route, tuple[str, ...]]:
    """The route of a path below the API, and the parts of the path that it leaves open."""
    others = []
    for route in routes:
        matched = route.path.fullmatch(path)
        if matched and route.method == method:
            return route, matched.groups()
        if matched:
            others.append(route.method)
    if others:
        raise Refusal(405, f"{path} is asked with {' or '.join(others)}, not {method}")
    raise Refusal(
        404, f"this local server has no {method} {path}: labctl tinker serve-local --help tells what it lacks"
    )
