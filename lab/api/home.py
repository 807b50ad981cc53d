"""A lab: the folder that holds everything."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.api import asked, given, markup, opened
from lab.api.experiment import Experiment
from lab.api.run import Run
from lab.cli import status
from lab.cli.index import read_index, warnings
from lab.cli.session import locate
from lab.core.errors import BadInput, NotFound
from lab.scheduler import create, sources
from lab.scheduler.control import notices
from lab.scheduler.results import located, table
from lab.store import experiments, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lab.cli.index import Row

_COLUMNS = ("id", "phase", "runs", "best", "metric", "goal")


class Lab:
    """A lab: the folder that holds everything. It holds no state: several of one folder, and the command line, agree.

    `Lab()` opens $LAB_DATA_ROOT, else $HERMES_LAB_DATA_ROOT, else ./lab-data, as every command does. A folder that is
    no lab is refused, and never made into one: that is what `Lab.init` is for.
    """

    def __init__(self, path: str | os.PathLike[str] = "") -> None:
        self._path = locate(given.path("path", path), os.environ)
        opened.root(self._path)

    @classmethod
    def init(cls, path: str | os.PathLike[str] = "") -> Lab:
        """Make the lab, or open the one that is there: nothing that is there is changed, as by `labctl init`."""
        create.make_lab(opened.root(locate(given.path("path", path), os.environ), existing=False))
        return cls(path)

    @property
    def path(self) -> str:
        """Its folder."""
        return self._path

    def create(  # what an experiment is made of
        self,
        name: str,
        *,
        source: str | os.PathLike[str] = "",
        command: str | Sequence[str] | None = None,
        metric: str = "",
        direction: str = "",
        space: Mapping[str, object] | None = None,
        **fields: object,
    ) -> Experiment:
        """Make an experiment. It is refused whole, with everything that is wrong, or made whole.

        `create("first-run")` makes it from the shipped template of that name, a SPEC file or a folder with one, like
        `labctl create`; `create("mine", source="sweep")` gives it another id.

        `create("tune", command=["python", "train.py", "--lr={params.lr}"], metric="loss", direction="minimize",
        space={"lr": {"low": 1e-5, "high": 0.1, "log": True}})` describes it here. The command is started in the current
        folder, and prints `METRIC loss=0.3`. Without a command this program makes the runs itself: `Experiment.trial`.
        `fields` are any other keys of a SPEC, such as `time_budget="5m"` or `max_parallel=4`.
        """
        root, actor = opened.root(self._path), opened.actor(self._path)
        name, told = given.path("name", given.text("name", name)), given.path("source", source)
        is_described = bool(metric or direction or fields) or command is not None or space is not None
        if is_described and told:
            raise BadInput("a source says what the experiment is, and so do the other arguments", fix="leave one out")
        if is_described:
            data = asked.spec(
                name, command=command, metric=metric, direction=direction, space=space, fields=fields
            )  # fmt: skip
            made = _unless_taken(name, lambda: create.written(root, data, os.getcwd(), actor=actor))
        else:
            new_id = name if told else sources.template(name)
            made = _unless_taken(name, lambda: create.experiment(root, told or name, new_id=new_id, actor=actor))
        copied = (f"the files of the template are in {made.copied}",) if made.copied else ()
        opened.warn((*copied, *made.notes))
        return Experiment(self._path, made.name)

    def experiments(self) -> list[Experiment]:
        """Those that are not archived, by name."""
        rows = read_index(self._path)["experiments"]
        return [Experiment(self._path, row["id"]) for row in rows if row["phase"] != "archived"]

    def run(self, run_id: str) -> Run:
        """A run that has ended, by its id, whatever experiment it is of."""
        root = opened.root(self._path)
        owner = located.sealed(root, run_id)[0].experiment
        found = table.read(root, owner)
        for line, raw in zip(found.lines, found.raw, strict=True):
            if line.run_id == run_id:
                return Run(self._path, owner, line, raw)
        raise NotFound(f"{run_id} is not in the table of {owner} yet", fix="labctl refresh")

    def status(self) -> dict[str, object]:
        """Where the lab stands, as `labctl status --json` has it: what wants a person, what is active."""
        return {**status.told(self._path, read_index(self._path))}

    def verify(self, *names: str) -> list[str]:
        """Prove that nothing sealed was changed or lost: every file is hashed again. What is wrong, a line each.

        Of the whole lab, or of the experiments that are named. An empty list is a lab in which all is as it was sealed.
        """
        root = opened.root(self._path)
        found = verify.verify(root, tuple(experiments.require(root, name) for name in names))
        if found.damage:
            opened.warn(notices.damaged(root, [(each.where, each.what) for each in found.damage]))
        return [f"{each.kind} {each.where}: {each.what}; {each.fix}" for each in found.damage]

    def __getitem__(self, name: str) -> Experiment:
        return Experiment(self._path, name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in experiments.names(opened.root(self._path))

    def __iter__(self) -> Iterator[Experiment]:
        return iter(self.experiments())

    def __len__(self) -> int:
        return len(self.experiments())

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lab) and other._path == self._path

    def __hash__(self) -> int:
        return hash(self._path)

    def __repr__(self) -> str:
        return f"<Lab {self._path}>"

    def _repr_html_(self) -> str:
        found = read_index(self._path)
        rows = [
            {"runs": row.get("run_count", 0), "best": _best(row), **row}
            for row in found["experiments"]
            if row["phase"] != "archived"
        ]
        told = "; ".join([f"{self._path}: {len(rows)} experiments", *warnings(found, self._path)])
        return markup.table(_COLUMNS, rows, told)


def _best(row: Row) -> str | float | None:
    value = row.get("best_value")
    return value if value is None or not row.get("partly_luck") else f"{value:.6g} (partly luck)"


def _unless_taken(name: str, make: Callable[[], create.Created]) -> create.Created:
    """Make it, or say in Python what to do where the cell was run before."""
    try:
        return make()
    except create.NameTaken as taken:
        fix = f"take the one that is there: lab.Lab()[{name!r}]; or give another name"
        raise BadInput(taken.what, where=taken.where, fix=fix) from None
