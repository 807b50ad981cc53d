"""What people and models write: long notes, plans, changes of code, logs, a dozen parameters. The same each time."""

from __future__ import annotations

from random import Random

_WHY = (
    "the loss was flat for the last forty steps, so the schedule has to change before the width does",
    "as the last three keeps went this way and none of them was within the noise of the one before",
    "because the gradient norm doubles at step 120 in every run that ended above 0.3",
    "which the paper on depth-scaled initialisation says should matter more for shallow models",
)
_WHAT = ("attention", "the embedding", "the optimizer", "the schedule", "the head", "normalisation")
MORE_PARAMETERS = {
    "width": (64, 1024), "heads": (1, 16), "batch": (8, 512), "warmup": (0, 500), "layers_frozen": (0, 8),
    "rope_base": (1_000, 100_000), "window": (32, 2_048), "eval_every": (10, 200),
}  # fmt: skip
SPACE = "".join(f"  {name}: {{low: {low}, high: {high}, type: int}}\n" for name, (low, high) in MORE_PARAMETERS.items())


def note(number: int) -> str:
    """120 to 160 characters."""
    luck = Random(number)
    return f"change {luck.choice(_WHAT)} and then {luck.choice(_WHAT)} a little ({number}): {luck.choice(_WHY)}"[:160]


def params(number: int) -> dict[str, object]:
    """Values of the eight parameters more."""
    luck = Random(number)
    return {name: luck.randint(low, high) for name, (low, high) in MORE_PARAMETERS.items()}


def plan(number: int) -> bytes:
    """Two kilobytes."""
    steps = "".join(f"{step}. {note(100 * number + step)}\n" for step in range(1, 15))
    return f"# What is to be tried in {number}\n\n{steps}".encode()


def diff(number: int) -> bytes:
    """Some 18 kB: a change of two files."""
    parts = []
    for file in ("train.py", "model.py"):
        rows = "".join(
            f"-        x{row} = self.block_{row}(x)\n"
            f"+        x{row} = self.layer_{row}(x, mask=mask, scale=0.{number % 97}{row})\n"
            for row in range(95)
        )
        parts.append(f"diff --git a/{file} b/{file}\n--- a/{file}\n+++ b/{file}\n@@ -1,95 +1,95 @@\n{rows}")
    return "".join(parts).encode()


def log(number: int) -> bytes:
    """200 lines of a hundred characters."""
    rows = (
        f"step {step:5d} | loss {3.0 / (step + 1):.6f} | lr 0.00{step % 10}{number % 10} | tokens/s 123456 | "
        f"grad norm 0.{step:04d} | mem 31.2 GB | eta 0:0{step % 6}:12\n"
        for step in range(200)
    )
    return "".join(rows).encode()
