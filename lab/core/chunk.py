"""A chunk: one run of a training that is cut into several. What it is told (`Order`), and what it did (`Chunk`).

`next_step` is always the number of optimizer steps that are inside the saved state. Whatever depends on chance or on
time in a training (the order of the data, the seeds of samples, the rates) follows from the step alone, so that a
training in chunks is the same as one in one go.
"""

import msgspec

from lab.core import errors
from lab.core.parameter import Scalar
from lab.core.record import Record
from lab.core.tuning import Tuning

MORE = 75  # the exit code of a chunk that saved its state and has steps left; 0: the training is at its end
SPENT = 76  # the exit code of one that did no step, for the next would pass its budget
# What kept a chunk from its steps, which is no failure of the training: the service is asked again, the budget is used.
IS_UNAVAILABLE, IS_SPENT = "unavailable", "spent"
HALTS = {errors.UNAVAILABLE: IS_UNAVAILABLE, SPENT: IS_SPENT}  # by exit code
# Below the run's folder. Rows are appended one by one, each on disk before the next step begins.
ORDER = "chunk.json"
STEPS = "artifacts/steps.jsonl"
CHECKPOINTS = "artifacts/checkpoints.jsonl"
PAUSES = (
    "artifacts/pauses.jsonl"  # what kept it waiting: {"at", "what", "over"}; a billing pause, a server that is away
)
# Keys of a step's row that have a meaning beyond their name.
KL, TROUBLE = "kl", "trouble"


class Ends(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a finished training left: of an earlier tier, for the one that follows it."""

    state_path: str = ""
    sampler_path: str = ""
    external_path: str = ""


class Order(Record, frozen=True, kw_only=True):
    """`chunk.json`: what a chunk is to do. Written by the lab before the chunk begins, never by the chunk."""

    experiment: str
    run_id: str
    tuning: Tuning
    tokenizer: str = ""  # the folder, absolute; empty: what the service says
    tier: str = "default"
    number: int = 0  # its place in the chain, from 1; 0: a whole training in one run, of a search
    first_step: int = 0
    steps: int  # at most; 0: it is at its end, and only measured
    until: int  # the length of the whole training
    state_path: str = ""  # where it begins; empty: at the base model
    parent: str = ""  # the run of the lab that saved that state
    let_go: str = ""  # the state before its own: the service need not keep it for ever once this chunk has saved
    fixed: dict[str, str] = msgspec.field(
        default_factory=dict
    )  # models that were fixed before step 0, by name: a reference, a preference model
    earlier: dict[str, Ends] = msgspec.field(default_factory=dict)  # by tier: what the trainings before this one left
    params: dict[str, Scalar] = msgspec.field(default_factory=dict)
    seed: int = 0
    tokens_left: int | None = None  # it ends before a step that would take more than this
    usd_left: float | None = None

    def shortage(self, tokens: int, usd: float | None) -> str:
        """Why so much does not fit what may still be used; empty where it does. Money that is not known fits."""
        if self.tokens_left is not None and tokens > self.tokens_left:
            return f"{tokens:,} tokens are more than the {self.tokens_left:,} that budget_tokens leaves"
        if self.usd_left is not None and usd is not None and usd > self.usd_left:
            return f"{usd:,.4g} USD are more than the {self.usd_left:,.4g} that budget_cost leaves"
        return ""


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A row of `checkpoints.jsonl`: on disk only after the service has said that it saved."""

    name: str
    next_step: int
    state_path: str = ""  # empty in the row that only fixes models before step 0
    model_run: str = ""  # the service's name of the training run that saved it
    final: bool = False
    sampler_path: str = ""
    external_path: str = ""
    fixed: dict[str, str] = {}


class Chunk(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a chunk did. It sits in the seal, so one file tells what the chain knows."""

    number: int
    first_step: int
    next_step: int  # = first_step where no state was saved
    parent: str = ""
    model_run: str = ""
    state_path: str = ""  # empty: nothing was saved, and the chain goes on from where it was
    final: bool = False
    sampler_path: str = ""
    external_path: str = ""
    fixed: dict[str, str] = {}
    base_model: str = ""
    seed: int = 0
    params: dict[str, Scalar] = {}
    trained: int = 0  # tokens, those of steps that were lost with the run included: they were paid
    sampled: int = 0
    prefilled: int = 0
    kl: float | None = None  # the largest of its steps
    trouble: str = ""  # why no further step makes sense, such as a loss that is not finite
    paused_s: float = 0.0  # that the service let it wait: billing, capacity
    halted: str = ""  # what kept it from going on, where that is no failure: one of HALTS

    @property
    def tokens(self) -> int:
        """All of them."""
        return self.trained + self.sampled + self.prefilled
