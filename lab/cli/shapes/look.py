"""The answers of the verbs that look."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from lab.cli.shapes.words import Direction, Params
from lab.core.origin import Origin
from lab.core.run import Run
from lab.projections import index, status, tables
from lab.projections.calibration import Calibration  # noqa: TC001  # msgspec resolves annotations
from lab.scheduler.placing.placed import State  # noqa: TC001  # as above
from lab.scheduler.results.happened import Told  # msgspec resolves annotations


class Wish(msgspec.Struct):
    """Something that wants a person."""

    experiment: str
    what: str
    fix: str


class Active(msgspec.Struct):
    """An experiment in short. `behind` is how many events its page does not know yet.

    `partly_luck`: its metric is noisy, and `best_value` was one of several; `best` says which run to take.
    """

    id: str
    phase: str
    phase_reason: str | None
    tier: str
    run_count: int | None
    best_value: float | None
    partly_luck: bool
    found: str | None
    metric: str | None
    last_outcome: str | None
    last_unmeasured: bool
    goal: str | None
    as_of: str | None
    behind: int


class Heartbeat(msgspec.Struct):
    """When the schedule last ran; `ago_s` is null while it never did."""

    by: str
    at: str
    ago_s: float | None
    ran: int
    exit: int
    every_s: float
    late: bool


class Placed(msgspec.Struct):
    """A run that an engine has. `looked_s_ago` since somebody asked its engine; `silent_s` since its body was heard."""

    experiment: str
    run: str
    engine: str
    number: str
    state: Literal["queued", "running", "ended"]
    where: str
    since: str
    why: str
    looked_s_ago: float | None
    silent_s: float | None


class Placing(msgspec.Struct):
    """What engines have: how many, and the first of them in full."""

    queued: int
    running: int
    runs: list[Placed]
    left_out: int


class Lab(msgspec.Struct):
    """`status`. `inactive` are those that are neither active nor archived."""

    data_root: str
    experiments: int
    phases: dict[str, int]
    runs: int
    free_gb: float
    as_of: str
    wants_you: list[Wish]
    active: list[Active]
    inactive: list[Active]
    claims: dict[str, int]
    engines: Placing
    packages: dict[str, int]
    behind: int
    behind_experiments: list[str]
    heartbeat: Heartbeat | None


class ExperimentRow(index.Row, frozen=True, kw_only=True):
    """An experiment in a list: its row of LAB-INDEX.json. What is empty is left out."""

    behind: int = 0


class Experiments(msgspec.Struct):
    """`list`. `left_out` counts those that --last left out."""

    experiments: list[ExperimentRow]
    left_out: int


class RunRow(tables.Line, frozen=True, kw_only=True):
    """A line of metrics.jsonl. The run's own metrics stand beside these, by name."""

    archived: bool = False


class Runs(msgspec.Struct):
    """`list ID`."""

    experiment: str
    runs: list[RunRow]


class ToTake(msgspec.Struct):
    """The run to take."""

    run: str
    value: float | None
    params: Params | None
    chosen_by: str


class Experiment(status.Status, frozen=True, kw_only=True):
    """`show ID`: STATUS.json, less what it was folded from. With `calibration` where values were expected of runs.

    `best_run` and `best_params` are of the best number seen; `to_take` is the run that `best` recommends, where there
    is one and no more than 20,000 runs. `engines` are those of the runs under way that an engine has.
    """

    under_way: tuple[str, ...]
    to_take: ToTake | UnsetType = UNSET
    engines: tuple[State, ...] | UnsetType = UNSET
    calibration: tuple[Calibration, ...] | UnsetType = UNSET


class SealedRun(Run, frozen=True, kw_only=True):
    """`show RUN`, of a sealed run: `intact` when its files are as they were sealed. Of an archived one: where it is."""

    state: str
    generation: int
    sealed_at: str
    sealed_by: str
    params: Params | None
    files: dict[str, int]
    path: str
    imported_from: str | UnsetType = UNSET
    intact: bool | UnsetType = UNSET
    archive: str | UnsetType = UNSET
    archive_here: bool | UnsetType = UNSET


class OpenRun(msgspec.Struct):
    """`show RUN`, of a run that is not sealed. The last five are of a run that an engine has."""

    run_id: str
    experiment: str
    state: str
    path: str
    started_at: str | UnsetType = UNSET
    tier: str | UnsetType = UNSET
    role: str | UnsetType = UNSET
    engine: str | UnsetType = UNSET
    number: str | UnsetType = UNSET
    placed: Literal["queued", "running"] | UnsetType = UNSET
    where: str | UnsetType = UNSET
    why: str | UnsetType = UNSET


class Chosen(msgspec.Struct, kw_only=True):
    """A run, and what it was given."""

    run: str
    value: float | None
    params: Params | None
    origin: Origin | None
    commit: str | UnsetType = UNSET  # of a code loop


class Recommended(Chosen, kw_only=True):
    """`best`. `run` is the one to take, `best_number` the one with the best value; they differ where there is noise.

    `noise` is by repeats of so many degrees of freedom; with fewer than 4, by the model too (`noise_modelled`).
    `outside_space`: the run lies outside the space as it is now. `goes_on_from` is the run that saved the last state of
    a training in chunks; empty where it is none.
    """

    experiment: str
    tier: str
    metric: str
    direction: Direction
    scored: int
    chosen_by: str
    expected: float | None
    expected_sd: float | None
    noise: float | None
    noise_degrees_of_freedom: int
    noise_modelled: float | None
    noisy: bool | None
    outside_space: bool
    best_number: Chosen
    goes_on_from: str
    again: str


class Ranked(msgspec.Struct):
    """One of the best runs."""

    rank: int
    value: float
    run: str
    arm: str
    params: Params | None
    origin: Origin | UnsetType = UNSET
    verdict: str | UnsetType = UNSET  # of a code loop


class Top(msgspec.Struct):
    """`top`. `varying` are the parameters in which these runs differ.

    `partly_luck`: the metric is noisy, and the first was lucky as well as good; `best` says which to take.
    """

    experiment: str
    tier: str
    metric: str
    direction: Direction
    scored: int
    partly_luck: bool
    varying: list[str]
    runs: list[Ranked]


class Given(msgspec.Struct):
    """`params`."""

    run: str
    experiment: str
    params: Params


class Metrics(msgspec.Struct):
    """`metrics parse`. `problem` is why there is no value; a run would end as its SPEC says of one without."""

    metric: str
    value: float | None
    metrics: dict[str, float]
    again: list[str]
    refused: list[str]
    problem: str


class Exported(msgspec.Struct):
    """`export`: the rows, or with `--output` where they were written."""

    experiment: str
    format: str
    runs: int
    columns: list[str] | UnsetType = UNSET
    rows: list[dict[str, str | int | float | bool | None]] | UnsetType = UNSET
    studies: list[str] | UnsetType = UNSET
    path: str | UnsetType = UNSET
    bytes: int | UnsetType = UNSET


class Reported(msgspec.Struct):
    """`report`: what was written where, or with `-o -` the page itself. `runs` of `total` are in its table."""

    experiment: str
    format: str
    bytes: int
    runs: int | UnsetType = UNSET
    total: int | UnsetType = UNSET
    pages: int | UnsetType = UNSET
    path: str | UnsetType = UNSET
    files: list[str] | UnsetType = UNSET
    text: str | UnsetType = UNSET


class Watched(msgspec.Struct):
    """`watch` with an end: what happened until then. Of more than 10,000 events the first `left_out` are not here."""

    experiment: str
    ended: Literal["time", "idle"]
    events: list[Told]
    left_out: int


class Served(msgspec.Struct):
    """`serve`: where it is. Printed when it begins, and the only thing that is; the token is in none of it."""

    url: str
    port: int
    pid: int
    data_root: str
    private: bool
    token_file: str


class Plotted(msgspec.Struct):
    """`plot`: what was drawn where, or with `-o -` the SVG itself. It shows `shown` of `total` runs."""

    experiment: str
    what: str
    tier: str
    format: Literal["png", "svg"]
    width: int
    height: int
    bytes: int
    shown: int | UnsetType = UNSET
    total: int | UnsetType = UNSET
    path: str | UnsetType = UNSET
    text: str | UnsetType = UNSET


class Digest(msgspec.Struct):
    """`digest` and `weekly-digest`."""

    kind: str
    name: str
    path: str
    text: str
