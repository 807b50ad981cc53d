"""A small recipe, and an experiment that trains with it at a server of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.testing.files import a_root
from tests.scheduler.labs import a_lab

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.root import Root

RECIPE = '''\
"""Learn one sentence by heart."""

from lab.tinker import recipe


class Sft(recipe.Recipe):
    metric = "loss"
    rank = 8

    def prepare(self, job):
        with open(job.file("data.txt")) as file:
            self.tokens_of = [int(word) for word in file.read().split()]

    def step(self, job, step):
        datum = recipe.supervised(self.tokens_of[:2], self.tokens_of[2:])
        told = job.train([datum], learning_rate=job.number("learning_rate", 0.01))
        return {"loss": -sum(told.logprobs[0][1:]) / (len(self.tokens_of) - 2)}

    def tokens(self, job, step):
        return recipe.Tokens(trained=len(self.tokens_of) - 1)


if __name__ == "__main__":
    raise SystemExit(recipe.main(Sft()))
'''


def a_training(place: Path, url: str, base: str, tokenizer: Path | str = "", *, more: str = "") -> Root:
    """A lab with the experiment `sft`: six steps, four a chunk."""
    code = place.parent / "code"
    code.mkdir(exist_ok=True)
    (code / "recipe.py").write_text(RECIPE)
    (code / "data.txt").write_text("5 6 7 8 9 10 11")
    told = f"tinker: {{base_url: '{url}', base_model: {base}, steps: 6, chunk_steps: 4"
    told += f", tokenizer: {tokenizer}" if tokenizer else ""
    head = f"executor: tinker\nworkspace_root: {code}\nexecutor_command: recipe.py\n{told}}}\n"
    a_lab(place, "sft", more=head + more)
    return a_root(place)
