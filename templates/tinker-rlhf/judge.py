"""How the judge is asked, by the stage that trains it and by the one that obeys it: which of two answers is better."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.tinker import datums

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.tinker.job import Sampler
    from lab.tinker.tokenizer import Tokenizer

FRAME = "{prompt}\n1:{first}\n2:{second}\nbetter: "
LABELS = ("1", "2")  # each has to be one token


class Judge:
    """A model that was trained on FRAME, or that is being trained on it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.labels = [datums.label(tokenizer, text) for text in LABELS]

    def question(self, prompt: str, first: str, second: str) -> list[int]:
        """What the judge reads before it answers with a label."""
        return self.tokenizer.begin(FRAME.format(prompt=prompt, first=first, second=second))

    def verdicts(self, sampler: Sampler, questions: Sequence[list[int]]) -> list[float]:
        """What the first answer of each question gets: 1, 0, or a half where the judge says neither label."""
        answers = sampler.sample_each(questions, max_tokens=1, temperature=0.0)
        shares = dict(zip(self.labels, (1.0, 0.0), strict=True))
        return [shares.get(answer[0].tokens[0], 0.5) for answer in answers]
