"""A chain: what is known of a training in chunks, folded from its runs. Its size does not grow with their number."""

import msgspec

from lab.core.chunk import Chunk, Ends
from lab.core.parameter import Scalar
from lab.core.run import Run


class Chain(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The training of one experiment in one tier."""

    chunks: int = 0  # that saved a state
    begun: int = 0  # the highest number that a chunk had
    next_step: int = 0  # optimizer steps inside the state
    state_path: str = ""
    state_before: str = ""  # the one that it went on from; none where that was the end of a training
    run_id: str = ""  # the run of the lab that saved it
    model_run: str = ""  # the service's name of the training run that saved it
    final: bool = False
    measured: bool = False  # whether it is known what the state is worth
    sampler_path: str = ""
    external_path: str = ""
    fixed: dict[str, str] = {}
    base_model: str = ""  # what it was begun with; empty: nothing of it is saved yet
    seed: int = 0
    params: dict[str, Scalar] = {}  # of the last chunk that saved
    trained: int = 0
    sampled: int = 0
    prefilled: int = 0
    kl: float | None = None  # of the last chunk
    trouble: str = ""  # of the last chunk
    halted: str = ""  # of the last run
    halts: int = 0  # how many in a row were halted by that

    @property
    def tokens(self) -> int:
        """All of them."""
        return self.trained + self.sampled + self.prefilled

    @property
    def ends(self) -> Ends:
        """What it left for a training that follows it."""
        return Ends(state_path=self.state_path, sampler_path=self.sampler_path, external_path=self.external_path)


def fold(chain: Chain | None, run: Run, chunk: Chunk) -> Chain:
    """The chain after this run. Only a state that was saved moves it on; what was used up counts in any case."""
    before = chain or Chain()
    after = msgspec.structs.replace(
        before,
        trained=before.trained + chunk.trained,
        sampled=before.sampled + chunk.sampled,
        prefilled=before.prefilled + chunk.prefilled,
        halted=chunk.halted,
        halts=(before.halts if chunk.halted == before.halted else 0) + 1 if chunk.halted else 0,
    )
    if not chunk.number:  # a whole training, of a search: nothing goes on from it
        return after
    if not before.base_model and (chunk.state_path or chunk.fixed):
        after = msgspec.structs.replace(after, base_model=chunk.base_model, seed=chunk.seed)
    after = msgspec.structs.replace(
        after,
        begun=max(before.begun, chunk.number),
        fixed={**chunk.fixed, **before.fixed},
        kl=chunk.kl,
        trouble=chunk.trouble,
    )
    if not chunk.state_path or chunk.next_step < before.next_step:
        return after
    again = chunk.next_step == before.next_step and bool(before.state_path)  # it is at its end, and no step is new
    return msgspec.structs.replace(
        after,
        chunks=before.chunks + (not again),
        next_step=chunk.next_step,
        state_path=chunk.state_path,
        state_before=before.state_before if again else "" if before.final else before.state_path,
        run_id=run.run_id,
        model_run=chunk.model_run,
        final=chunk.final,
        measured=run.value is not None or (again and before.measured),
        sampler_path=chunk.sampler_path or (before.sampler_path if again else ""),
        external_path=chunk.external_path or (before.external_path if again else ""),
        params=chunk.params,
    )
