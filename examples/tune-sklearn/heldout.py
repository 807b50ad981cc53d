"""Whether a tuned model is better than the default one on the half that nothing was chosen by, and by more than luck.

    labctl best diabetes --json | python3 heldout.py

Luck: were the two models alike, each person's difference might as well have the other sign. `luck` is how often signs
that are drawn make as large a gain as the one that was measured.
"""

from __future__ import annotations

import json
import sys

import model  # first: it says what is missing where scikit-learn is
import numpy as np

DRAWS, SEED, RARE = 20_000, 1, 0.05


def distances(config: dict[str, float]) -> np.ndarray:
    """How far off the model is, for each person held out. It has learned from the other half."""
    measured, unseen, scores, truth = model.halves()
    return abs(model.model(config).fit(measured, scores).predict(unseen) - truth)


def main() -> None:
    """Read what `labctl best --json` says, and compare."""
    found = json.load(sys.stdin)["data"]["params"]
    with open("config.json", encoding="utf-8") as file:
        default, tuned = distances(json.load(file)), distances(found)
    gains = default - tuned
    signs = np.random.default_rng(SEED).choice([-1, 1], size=(DRAWS, len(gains)))
    luck = (1 + int(sum(signs @ gains >= gains.sum()))) / (1 + DRAWS)
    print(f"{len(gains)} people held out: the default is off by {default.mean():.2f}, the tuned by {tuned.mean():.2f}")
    if luck < RARE:
        print(f"the tuned one is better, by {gains.mean():.2f}; as much by luck: {luck:.5f}")
        return
    print(f"no gain that could not be luck: {gains.mean():.2f}; as much by luck: {luck:.2f}")
    raise SystemExit(1)


if __name__ == "__main__":
    main()
