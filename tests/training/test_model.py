"""The model, its slopes by hand, and the optimizer, against plain torch."""

from __future__ import annotations

import dataclasses
import math

import kernels
import pytest
import torch
import train
from torch.nn.attention.flex_attention import create_mask
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

SHAPE = train.Shape(
    vocab=256, depth=3, width=64, head_dim=32, context=32, windows=(8, 32, 32), softcap=15.0, rope_base=1e4,
    qk_scale=1.15, smear=True,
)  # fmt: skip
HERE = torch.device("cpu")


def model_of(
    shape: train.Shape = SHAPE, *, checkpointing: bool = False, dtype: torch.dtype = torch.float32
) -> train.GPT:
    """One whose weights are no longer those of the start, where most slopes are zero."""
    model = train.GPT(shape, checkpointing=checkpointing, dtype=dtype).begin(3).ready(HERE, 2 * shape.context)
    chance = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=chance) * 0.1)
    return model


def rows_of(count: int, shape: train.Shape = SHAPE) -> tuple[torch.Tensor, torch.Tensor]:
    rows = torch.randint(0, shape.vocab, (count, shape.context + 1), generator=torch.Generator().manual_seed(1))
    return rows[:, :-1], rows[:, 1:]


def slopes(model: train.GPT, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


def far(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / (other.norm() + 1e-12))


def test_slopes_by_hand_are_those_of_plain_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (tokens, targets) = model_of(), rows_of(4)
    by_hand = slopes(model, model.loss(tokens, targets))
    monkeypatch.setattr(kernels, "by_hand", lambda _: False)
    plain = slopes(model, cross_entropy(model.logits(tokens).flatten(0, 1), targets.flatten(), reduction="sum"))
    assert by_hand.keys() == plain.keys() == dict(model.named_parameters()).keys()
    assert {name: far(by_hand[name], plain[name]) for name in plain if far(by_hand[name], plain[name]) > 1e-4} == {}


@pytest.mark.parametrize("size", [1e-4, 1e-3, 1.0])
def test_what_is_nearly_zero_has_the_norm_that_torch_gives_it(size: float) -> None:
    x, slope = (torch.randn(3, 16, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    by_hand, plain = ((x * size).requires_grad_() for _ in range(2))
    found, expected = kernels.norm(by_hand), torch.nn.functional.rms_norm(plain, (16,), eps=1e-6)
    found.backward(slope)
    expected.backward(slope)
    assert by_hand.grad is not None
    assert plain.grad is not None
    assert far(found.detach(), expected.detach()) < 1e-6
    assert far(by_hand.grad, plain.grad) < 1e-5


def test_the_loss_is_the_cross_entropy_of_the_logits() -> None:
    model, (tokens, targets) = model_of(), rows_of(4)
    expected = cross_entropy(model.logits(tokens).flatten(0, 1), targets.flatten(), reduction="sum")
    assert float(model.loss(tokens, targets).detach()) == pytest.approx(float(expected.detach()), rel=1e-6)


def test_the_pieces_of_the_loss_add_up_whatever_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (tokens, targets) = model_of(), rows_of(5)
    whole = slopes(model, model.loss(tokens, targets))
    monkeypatch.setattr(kernels, "head_rows", lambda *_: 17)
    monkeypatch.setattr(kernels, "PIECE", 13)
    pieces = slopes(model, model.loss(tokens, targets))
    assert max(far(pieces[name], whole[name]) for name in whole) < 1e-5


def test_gradient_checkpointing_changes_no_bit() -> None:
    tokens, targets = rows_of(3)
    plain, kept = model_of(), model_of(checkpointing=True)
    one, other = slopes(plain, plain.loss(tokens, targets)), slopes(kept, kept.loss(tokens, targets))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("at", [0, 9, 31])
def test_no_token_sees_what_comes_after_it(at: int) -> None:
    model, (tokens, _) = model_of(), rows_of(1)
    other = tokens.clone()
    other[0, at] = (other[0, at] + 1) % SHAPE.vocab
    with torch.no_grad():
        moved = (model.logits(tokens) != model.logits(other)).any(-1)[0]
    assert not moved[:at].any()
    assert moved[at:].any()


def test_a_short_window_ends_where_it_says() -> None:
    shape = dataclasses.replace(SHAPE, depth=1, windows=(8,), smear=False)
    model, (tokens, _) = model_of(shape), rows_of(1)
    other = tokens.clone()
    other[0, 4] = (other[0, 4] + 1) % shape.vocab
    with torch.no_grad():
        moved = (model.logits(tokens) - model.logits(other)).abs().amax(-1)[0] > 0
    assert moved.nonzero().flatten().tolist() == list(range(4, 12))


def test_a_longer_row_than_in_training_is_looked_at_whole() -> None:
    model = model_of()
    rows = torch.randint(0, 256, (2, 2 * SHAPE.context), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert torch.allclose(model.logits(rows)[:, : SHAPE.context], model.logits(rows[:, : SHAPE.context]), atol=1e-4)


def test_flash_attention_is_asked_for_the_same_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def flash(
        q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, softmax_scale: float, causal: bool,
        window_size: tuple[int, int],
    ) -> torch.Tensor:  # fmt: skip
        """As flash-attn documents its own: a side of -1 has no end, and `causal` leaves nothing that comes later."""
        asked.append((causal, *window_size))
        back = torch.arange(q.size(1))[:, None] - torch.arange(k.size(1))
        far = window_size[0] if window_size[0] >= 0 else q.size(1)
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) * softmax_scale
        scores = scores.masked_fill((back < 0) | (back > far), -torch.inf)
        return torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), v)

    monkeypatch.setattr(train, "flash_attention", lambda: flash)
    model, (tokens, _) = model_of(), rows_of(2)
    with torch.no_grad():
        expected = model.logits(tokens)
        model.attention = "flash"
        assert torch.allclose(model.logits(tokens), expected, atol=1e-4)
    assert asked == [(True, 7, 0), (True, -1, -1), (True, -1, -1)]


def test_where_attention_is_misread_it_is_given_masks_and_computes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (tokens, targets) = model_of(), rows_of(3)
    expected = slopes(model, model.loss(tokens, targets))
    monkeypatch.setattr(train, "misread", lambda _: True)
    careful = model_of()
    assert set(careful.masks) == {(64, 8), (64, 64)}
    found = slopes(careful, careful.loss(tokens, targets))
    assert max(far(found[name], expected[name]) for name in expected) < 1e-4


def test_only_masks_that_are_read_are_made() -> None:
    short, width = {(32, 8), (64, 8)}, 2 * SHAPE.context
    assert set(train.GPT(SHAPE).ready(HERE, SHAPE.context, width).masks) == short
    assert set(train.GPT(SHAPE, attention="flex").ready(HERE, SHAPE.context, width).masks) == short
    assert not train.GPT(SHAPE, attention="flash").ready(HERE, SHAPE.context).masks


def test_the_masks_of_flex_and_of_plain_attention_leave_the_same_keys() -> None:
    plain, flex = (train.GPT(SHAPE, attention=kind).mask(32, 8, HERE) for kind in ("sdpa", "flex"))
    assert torch.equal(create_mask(flex.mask_mod, None, None, 32, 32, device="cpu")[0, 0], plain)
    assert plain.sum(1).tolist() == [*range(1, 8), *[8] * 25]


def test_positions_count_only_by_their_distance() -> None:
    model, chance = model_of(), torch.Generator().manual_seed(1)
    q, k = (torch.randn(1, 1, 1, 32, generator=chance) for _ in range(2))

    def score(at: int, back: int) -> float:
        turn = [kernels.turned(one, model.waves[:, place : place + 1]) for one, place in ((q, at), (k, at - back))]
        return float((turn[0] * turn[1]).sum())

    assert score(3, 2) == pytest.approx(score(40, 2), abs=1e-4)
    assert score(3, 2) != pytest.approx(score(40, 20), abs=1e-2)


def test_the_operations_that_a_budget_counts_are_those_of_the_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "by_hand", lambda _: False)  # torch does not count what is written in place
    model, (tokens, targets) = model_of(), rows_of(4)
    with FlopCounterMode(display=False) as counter:
        model.loss(tokens, targets).backward()
    by_kind = {str(name): count for name, count in counter.get_flop_counts()["Global"].items()}
    products = sum(count for name, count in by_kind.items() if "attention" not in name)
    seen = (8 * 9 / 2 + 24 * 8) / 32 + 2 * (32 * 33 / 2) / 32  # keys of a token, over the three layers
    assert products == pytest.approx((SHAPE.flops() - 12 * SHAPE.width * seen) * tokens.numel(), rel=0.01)


@pytest.mark.parametrize(
    ("depth", "width", "head_dim", "windows"), [(1, 32, 32, "S"), (2, 48, 16, "L"), (5, 64, 8, "SL")]
)
def test_models_of_every_form_have_slopes_for_all_their_weights(
    depth: int, width: int, head_dim: int, windows: str
) -> None:
    config = train.Config(depth=depth, width=width, head_dim=head_dim, context=32, windows=windows, batch_tokens=64)
    shape = train.shape_of(config, 100)
    model, (tokens, targets) = model_of(shape), rows_of(2, shape)
    assert shape.windows[-1] == 32
    assert all(float(one.abs().sum()) > 0 for one in slopes(model, model.loss(tokens, targets)).values())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_types_lose_little(dtype: torch.dtype) -> None:
    tokens, targets = rows_of(4)
    wide, narrow = model_of(), model_of(dtype=dtype)
    expected, found = slopes(wide, wide.loss(tokens, targets)), slopes(narrow, narrow.loss(tokens, targets))
    with torch.no_grad():
        assert float(narrow.loss(tokens, targets)) == pytest.approx(float(wide.loss(tokens, targets)), rel=0.02)
    assert all(one.dtype == torch.float32 for one in found.values())
    assert max(far(found[name], expected[name]) for name in ("mixing", "mlp", "head", "embedding")) < 0.1


def test_a_seed_is_a_model() -> None:
    one, same, other = (train.GPT(SHAPE).begin(seed) for seed in (1, 1, 2))
    assert torch.equal(one.mlp, same.mlp)
    assert not torch.equal(one.mlp, other.mlp)


def test_steps_of_matrices_are_orthogonal() -> None:
    step = train.orthogonal(torch.randn(3, 64, 16, generator=torch.Generator().manual_seed(1)))
    sizes = torch.linalg.svdvals(step)
    assert float(sizes.min()) > 0.7
    assert float(sizes.max()) < 1.3


def test_decay_holds_back_only_what_the_step_draws_in_as_well() -> None:
    chance = torch.Generator().manual_seed(1)
    weight, slope = torch.randn(1, 8, 8, generator=chance), torch.randn(1, 8, 8, generator=chance)

    def stepped(decay: float) -> torch.Tensor:
        new, state = weight.clone(), (torch.zeros(1, 8, 8), torch.zeros(1, 8, 1))
        train.muon_step(new, slope.clone(), *state, torch.tensor(0.1), 0.9, decay, torch.float32)
        return new

    plain, decayed = stepped(0.0), stepped(0.5)
    drawn_in = (weight - plain) * weight > 0
    assert torch.allclose(decayed[drawn_in], (plain - 0.05 * weight)[drawn_in], atol=1e-6)
    assert torch.equal(decayed[~drawn_in], plain[~drawn_in])


def test_a_scalar_without_a_slope_stays_where_it_is() -> None:
    weight, state = torch.ones(2), (torch.zeros(2), torch.zeros(2))
    train.adam_step(weight, torch.full((2,), 1e-12), *state, 0.5, 0.8, (0.8, 0.95))
    assert weight.tolist() == pytest.approx([1.0, 1.0], abs=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_first_step_moves_no_scalar_whose_slope_is_rounding(dtype: torch.dtype) -> None:
    """At the start no block gives anything. AdamW makes a whole step of the smallest slope."""
    config = train.Config(depth=3, width=64, head_dim=32, context=32, scalar_lr=0.5)
    model = train.GPT(SHAPE, dtype=dtype).begin(1).ready(HERE, SHAPE.context)
    optimizer, (tokens, targets) = train.Optimizer(model, config), rows_of(4)
    for moved in (False, True):
        model.loss(tokens, targets).backward()
        optimizer.step(0.0)
        assert bool(model.beginning.abs().sum() > 0) == moved
        assert bool((model.residual != 1.0).any()) == moved


def test_the_rates_rise_stay_and_fall_by_the_share_of_the_budget() -> None:
    config = train.Config(warmup=0.1, warmdown=0.5, final_lr=0.1)
    assert [round(train.rate_at(config, share), 6) for share in (0.05, 0.1, 0.5, 0.75, 1.0)] == [
        0.5,
        1.0,
        1.0,
        0.55,
        0.1,
    ]
    assert train.rate_at(train.Config(warmup=0.0, warmdown=0.0), 1.0) == 1.0
    assert math.isclose(train.rate_at(train.Config(warmdown=1.0, final_lr=0.0), 0.25), 0.75)
