"""`paper.json`: what a paper is made of: the words that the project gave, and the runs that its numbers come from.

With it and the bundles the paper can be made again, byte for byte, by whoever doubts it.
"""

from __future__ import annotations

import msgspec

from lab.core.record import Record

FILE = "paper.json"


class Round(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A round that the paper is not about: what it tried stands among the negative results. Runs, empty for none.

    `idea` is the file of the idea that it was about, below ideas/ in the bundle of the run `ideation`.
    """

    number: int
    ideation: str = ""
    idea: str = ""
    training: str = ""
    evaluation: str = ""
    iteration: str = ""


class Told(Record, frozen=True, kw_only=True, omit_defaults=True):
    """`phases` are the sealed runs of the project that the paper was given; `experiments` whose runs it may name."""

    project: str
    title: str = ""
    topic: str = ""
    authors: tuple[str, ...] = ()
    statement: str = ""  # about who did what, in the user's words; none: in the lab's
    provider: str = ""  # of the agent, where phases were an agent's
    model: str = ""
    idea: str = ""  # the file of it, as above
    writer: str = ""  # who does the writing, which is not sealed as this is written
    phases: dict[str, str] = msgspec.field(default_factory=dict)
    rounds: tuple[Round, ...] = ()
    experiments: tuple[str, ...] = ()
    latex: bool = True
