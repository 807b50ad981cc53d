"""The one import of a recipe file: what it says (`Recipe`), what it works with (`Job`), and how it is run (`main`).

from lab.tinker import recipe

class Sft(recipe.Recipe):
    metric = "nll"

    def step(self, job, step):
        told = job.train(batch_of(step), learning_rate=job.number("learning_rate", 1e-3))
        return {"nll": ...}

raise SystemExit(recipe.main(Sft()))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.errors import LabError
from lab.tinker import carrying, place
from lab.tinker.data import Datum, Sample, Trained, rollout, supervised
from lab.tinker.job import Job, Sampler
from lab.tinker.telling import Telling
from lab.tinker.training import Recipe

if TYPE_CHECKING:
    from lab.tinker.session import Status

__all__ = ["Datum", "Job", "Recipe", "Sample", "Sampler", "Trained", "main", "rollout", "supervised"]


def main(recipe: Recipe) -> int:
    """Do the chunk that LAB_CHUNK_PATH orders: 75 more is to do, 0 the training is at its end, else it failed.

    What the recipe itself raises goes on up: its trace names the line.
    """
    stop = place.Stop()
    stop.listen()  # before anything is loaded: a TERM in the first second must not lose what the service has
    try:
        told = place.here()
        telling = Telling(told.folder, told.report)
        return _carried(carrying.Carrying(recipe, told, telling, stop))
    except LabError as error:
        Telling.complain(str(error))
        return carrying.FAILED
    finally:
        stop.leave()


def _carried(chunk: carrying.Carrying) -> int:
    status: Status = "errored"
    try:
        code = chunk.run()
        status = "interrupted" if chunk.stop.is_asked else "success"
        return code
    finally:
        if chunk.session is not None:
            chunk.session.close(status)
        chunk.telling.close()
