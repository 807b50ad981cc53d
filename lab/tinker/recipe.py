"""What every recipe file imports: what it says (`Recipe`), what it works with (`Job`), and how it is run (`main`).

Beside it there are `dataset` and `datums` (files, as tokens), `schedule`, `advantage` and `preference` (arithmetic).

from lab.tinker import recipe

class Sft(recipe.Recipe):
    metric = "nll"

    def step(self, job, step):
        told = job.train(batch_of(step), learning_rate=job.number("learning_rate", 1e-3))
        return {"nll": ...}

raise SystemExit(recipe.main(Sft()))
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core.chunk import HALTS
from lab.core.errors import BadInput, LabError
from lab.tinker import beforehand, carrying, place, used
from lab.tinker.data import Datum, Sample, Trained, rollout, supervised
from lab.tinker.estimate import Tokens
from lab.tinker.job import Job, Sampler
from lab.tinker.telling import Telling, Unwritten
from lab.tinker.training import Recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.tinker.session import Status

__all__ = ["Datum", "Job", "Recipe", "Sample", "Sampler", "Tokens", "Trained", "main", "rollout", "supervised"]


def main(recipe: Recipe, words: Sequence[str] | None = None) -> int:
    """Do the chunk that LAB_CHUNK_PATH orders: 75 more is to do, 0 the training is at its end, else it failed.

    5 says that the service was not there, 76 that the budget bears no step.

    `words` are those behind the program's name. With --check it only looks at its data, with --estimate it only counts
    tokens. What the recipe itself raises goes on up: its trace names the line.
    """
    words = sys.argv[1:] if words is None else words
    stop = place.Stop()
    stop.listen()  # before anything is loaded: a TERM in the first second must not lose what the service has
    try:
        told = place.here()
        telling = Telling(told.folder, told.report)
        return _answered(carrying.Carrying(recipe, told, telling, stop), words)
    except LabError as error:
        Telling.complain(str(error))
        return error.exit_code if error.exit_code in HALTS else carrying.FAILED
    finally:
        stop.leave()


def _answered(chunk: carrying.Carrying, words: Sequence[str]) -> int:
    status: Status = "errored"
    program = used.program(sys.argv[0])  # now: it may be edited while the chunk is under way
    try:
        if not words:
            code = chunk.run()
        elif [*words] in ([beforehand.CHECK], [beforehand.ESTIMATE]):
            ask = beforehand.check if words[0] == beforehand.CHECK else beforehand.tell
            ask(chunk.recipe, chunk.job, chunk.prepared(), chunk.telling)
            code = carrying.FINISHED
        else:
            fix = f"a recipe takes {beforehand.CHECK}, {beforehand.ESTIMATE} or nothing"
            raise BadInput(f"the recipe was given {' '.join(words)!r}", fix=fix)
        status = "interrupted" if chunk.stop.is_asked else "success"
        return code
    finally:
        if chunk.session is not None:
            chunk.session.close(status)
            chunk.session.waiting.end()
        if chunk.done:
            with suppress(Unwritten):  # a full disk, of which the rows have told
                chunk.telling.page(used.FILE, used.page({**program, **chunk.job.used}))
        chunk.telling.close()
