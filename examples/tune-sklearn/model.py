"""How far the predictions of a model are off, by cross-validation, for the numbers in config.json.

The data comes with scikit-learn: 442 people with diabetes, ten measurements of each, and a score of how far the disease
had come a year later (25 to 346). Half of the people are held out: they are not looked at here. heldout.py looks once.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

try:
    from sklearn.datasets import load_diabetes
    from sklearn.model_selection import cross_val_score, train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVR
except ModuleNotFoundError as missing:
    print(f"model.py: {missing.name} is not installed for {sys.executable}", file=sys.stderr)
    print(f"  fix: {sys.executable} -m pip install scikit-learn", file=sys.stderr)
    raise SystemExit(5) from None

if TYPE_CHECKING:
    import numpy as np
    from sklearn.pipeline import Pipeline

FOLDS, SPLIT_SEED = 5, 0


def halves() -> list[np.ndarray]:
    """Measurements to learn from, those held out, and the scores of each. The same halves whenever it is asked."""
    measured, scores = load_diabetes(return_X_y=True)
    return train_test_split(measured, scores, test_size=0.5, random_state=SPLIT_SEED)


def model(config: dict[str, float]) -> Pipeline:
    """A support vector regression, not fitted yet."""
    return make_pipeline(StandardScaler(), SVR(C=config["C"], gamma=config["gamma"], epsilon=config["epsilon"]))


def main() -> None:
    """Tell the lab one number: the mean distance between score and prediction, over the folds."""
    with open("config.json", encoding="utf-8") as file:
        config = json.load(file)
    measured, _, scores, _ = halves()
    distance = -cross_val_score(model(config), measured, scores, cv=FOLDS, scoring="neg_mean_absolute_error")
    print(f"METRIC distance={distance.mean():.4f}")


if __name__ == "__main__":
    main()
