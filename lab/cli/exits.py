"""Exit codes of verbs, where they say more than the general meaning."""

from __future__ import annotations

_RUNS = {
    1: "every run failed, or something else went wrong on the way",
    3: "no run was to be made, as data.stopped says; or --wait: somebody else was at work on it all that time",
}
_NO_VALUE = {1: "no run has a value"}
OWN: dict[str, dict[int, str]] = {
    "run-once": {
        0: "also when nothing was due",
        1: "a run failed, or something else went wrong on the way",
        3: "--now: no run came of it; data.steps say why",
    },
    "burst": _RUNS,
    "swarm": _RUNS,
    "guided": {**_RUNS, 3: "a proposal waits, and nobody said anything; or no run was to be made"},
    "replay": {1: "the run did not succeed; what came out before is beside it"},
    "research": {
        0: "run: also where a person is asked",
        1: "run, resume: a phase failed; check: an id leads to nothing, or a file is not there",
        3: "somebody else is at work on it",
        5: "check: something is not installed that a phase needs",
    },
    "paper": {
        5: "nothing drifted, and the runs could not be looked at: no lab here, and no evidence beside the paper",
        9: "something is not as it was proved: data.drifts",
    },
    "tinker": {
        0: "serve-local: also when Ctrl-C or TERM ended it",
        1: "check: something is wrong; estimate: the budget does not bear what is left",
        5: "check: the SDK, a key or the service is missing",
    },
    "best": _NO_VALUE,
    "top": _NO_VALUE,
    "params": {1: "the run was given no parameters"},
    "notify": {1: "test: a channel took nothing"},
    "propose": {3: "another of its kind waits for a word; this one was not kept"},
    "cancel": {3: "--wait: it has not ended yet; it was asked all the same"},
    "dispatch-ready": {1: "something was refused or went wrong; others are queued all the same"},
    "dispatch-claim": {1: "something was refused or went wrong; others are claimed all the same"},
    "dispatch-ingest": {1: "a package was refused, and set aside with the reason; others are taken in all the same"},
    "dispatch-work": {1: "a run did not succeed, or something else went wrong"},
    "exec": {
        0: "the run was sealed, however it ended",
        74: "the lab is not to be seen from here",
        75: "the run was taken from its engine; nothing was done",
        76: "another job has begun this run; nothing was done",
    },
    "worker": {1: "a run did not succeed, or something else went wrong; it worked on"},
    "courier": {1: "something was lost, refused or went wrong", 3: "another courier is at this folder"},
    "dispatch-agent-next": {3: "there is nothing to do; data is empty"},
    "dispatch-agent-submit": {1: "the change was tried, and did not succeed"},
    "watchdog": {1: "something wants attention: data.alerts"},
    "recover": {1: "something is left that it cannot mend: data.left, data.findings"},
    "verify": {4: "something is not as it was sealed: data.damage"},
    "serve": {0: "also when Ctrl-C or TERM ended it: that is its end"},
    "schedule": {1: "status: it is not in place as it was installed"},
}
