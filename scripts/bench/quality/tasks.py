"""What is searched: closed forms, two small models on data that scikit-learn carries, and noisy twins. No downloads.

The optimum of every function that sits in the middle of its box is moved by the seed, so that a sampler which starts in
the middle gets no present.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING

from lab.core import space

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.core.assignment import Params
    from lab.core.space import Space

Surface = Callable[[Mapping[str, object]], float]
Written = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, kw_only=True)
class Task:
    """One thing to minimise. `best` is the least it can be; where nobody knows it, the best that was found counts.

    Where the surface `moves` with the seed, the best of one seed says nothing about another. `twin` is the task of the
    same surface without noise.
    """

    name: str
    written: Written
    surface: Callable[[int], Surface]
    best: float | None = 0.0
    sigma: float = 0.0
    moves: bool = True
    twin: str = ""

    @property
    def space(self) -> Space:
        return space.parse(self.written, self.name)


class Measured:
    """One task and seed: the true value of a point, and what a run of it would say."""

    def __init__(self, task: Task, seed: int) -> None:
        self.true = task.surface(seed)
        self._sigma = task.sigma
        self.noisy = task.sigma > 0
        self._noise = import_module("numpy").random.RandomState(20_000 + seed)

    def __call__(self, params: Params) -> float:
        value = self.true(params)
        return value + float(self._noise.normal(0, self._sigma)) if self._sigma else value


def _real(low: float, high: float, **more: object) -> Mapping[str, object]:
    return {"type": "float", "low": low, "high": high, **more}


def _whole(low: int, high: int, **more: object) -> Mapping[str, object]:
    return {"type": "int", "low": low, "high": high, **more}


def _one_of(*choices: str) -> Mapping[str, object]:
    return {"type": "choice", "choices": list(choices)}


def _number(params: Mapping[str, object], name: str) -> float:
    value = params[name]
    assert isinstance(value, (int, float))  # noqa: S101  # what the space promises
    return float(value)


def _point(params: Mapping[str, object], count: int) -> list[float]:
    return [_number(params, f"x{index}") for index in range(count)]


def _box(name: str, count: int, reach: float, share: float, of_offset: Callable[[Sequence[float]], float]) -> Task:
    """A function of the distance to an optimum that lies up to `share` of the box away from its middle."""

    def surface(seed: int) -> Surface:
        moved = import_module("numpy").random.RandomState(10_000 + seed).uniform(-share, share, count)
        shift = [float(each) * 2 * reach * 0.9 for each in moved]
        return lambda params: of_offset([x - s for x, s in zip(_point(params, count), shift, strict=True)])

    return Task(name=name, written={f"x{index}": _real(-reach, reach) for index in range(count)}, surface=surface)


def _sphere(z: Sequence[float]) -> float:
    return sum(each * each for each in z)


def _rosen(z: Sequence[float]) -> float:
    x = [each + 1 for each in z]
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in pairwise(x))


def _ackley(z: Sequence[float]) -> float:
    square, waves = _sphere(z) / len(z), sum(math.cos(2 * math.pi * each) for each in z) / len(z)
    return -20 * math.exp(-0.2 * math.sqrt(square)) - math.exp(waves) + 20 + math.e


def _rastrigin(z: Sequence[float]) -> float:
    return sum(10 + each * each - 10 * math.cos(2 * math.pi * each) for each in z)


def _levy(z: Sequence[float]) -> float:
    w = [1 + each / 4 for each in z]
    found = math.sin(math.pi * w[0]) ** 2
    found += sum((each - 1) ** 2 * (1 + 10 * math.sin(math.pi * each + 1) ** 2) for each in w[:-1])
    return found + (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2)


def _branin(params: Mapping[str, object]) -> float:
    x, y = _point(params, 2)
    bent = y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6
    return bent * bent + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


_PEAKS = (
    (1.0, (10, 3, 17, 3.5, 1.7, 8), (1312, 1696, 5569, 124, 8283, 5886)),
    (1.2, (0.05, 10, 17, 0.1, 8, 14), (2329, 4135, 8307, 3736, 1004, 9991)),
    (3.0, (3, 3.5, 1.7, 10, 17, 8), (2348, 1451, 3522, 2883, 3047, 6650)),
    (3.2, (17, 8, 0.05, 10, 0.1, 14), (4047, 8828, 8732, 5743, 1091, 381)),
)


def _hartmann(params: Mapping[str, object]) -> float:
    x = _point(params, 6)
    return -sum(
        height * math.exp(-sum(a * (each - p / 1e4) ** 2 for each, a, p in zip(x, width, place, strict=True)))
        for height, width, place in _PEAKS
    )


_MIXED: Written = {
    "opt": _one_of("sgd", "adam", "rmsprop", "lion"),
    "lr": _real(1e-5, 1.0, log=True),
    "momentum": _real(0.0, 0.99, when={"opt": ["sgd", "rmsprop"]}),
    "beta2": _real(0.9, 0.9999, when={"opt": ["adam", "lion"]}),
    "wd": _real(1e-7, 1e-1, log=True),
    "layers": _whole(1, 8),
    "width": _whole(8, 1024, log=True),
    "dropout": _real(0.0, 0.7),
    "act": _one_of("relu", "gelu", "tanh"),
    "batch": _whole(8, 256, log=True),
}


def _mixed(seed: int) -> Surface:
    """A surface shaped like training: the best learning rate hangs on batch and depth, and too high a one diverges."""
    rng = import_module("numpy").random.RandomState(10_000 + seed)
    best = rng.randint(4)
    penalty = rng.permutation([0.0, 0.08, 0.2, 0.35])
    free = list(penalty).index(0.0)
    penalty[free], penalty[best] = penalty[best], 0.0
    rates = [rng.uniform(-2, -0.7), rng.uniform(-4, -2.5), rng.uniform(-4, -2.5), rng.uniform(-4.6, -3)]
    momentum, beta2 = rng.uniform(0.6, 0.95), rng.uniform(0.95, 0.999)
    decay, layers, width = rng.uniform(-6, -2), rng.uniform(2, 7), rng.uniform(4, 9)
    dropout, batch = rng.uniform(0.05, 0.5), rng.uniform(3.5, 7.5)
    shape = dict(zip(("relu", "gelu", "tanh"), rng.permutation([0.0, 0.04, 0.12]), strict=True))

    def value(params: Mapping[str, object]) -> float:
        at = {name: _number(params, name) for name in params if name not in ("opt", "act")}
        which = ("sgd", "adam", "rmsprop", "lion").index(str(params["opt"]))
        wide, heap = math.log2(at["width"]), math.log2(at["batch"])
        rate = math.log10(at["lr"]) - (rates[which] + 0.15 * (heap - 5) - 0.08 * (at["layers"] - 4))
        found = penalty[which] + 0.25 * (1 - math.exp(-0.5 * rate * rate)) + 0.3 * max(0.0, rate - 1.2)
        found += 0.4 * (at["momentum"] - momentum) ** 2 if which in (0, 2) else 24 * (at["beta2"] - beta2) ** 2
        found += 0.012 * (math.log10(at["wd"]) - decay) ** 2
        found += 0.008 * (at["layers"] - layers) ** 2 + 0.010 * (wide - width) ** 2
        found += 0.6 * (at["dropout"] - (dropout + 0.02 * (wide - 7))) ** 2
        return float(found + shape[str(params["act"])] + 0.004 * (heap - batch) ** 2)

    return value


@cache
def _digits() -> Surface:
    """The error rate of a support vector machine on handwritten digits, 250 to learn from and 350 to judge by."""
    numpy, bags = import_module("numpy"), import_module("sklearn.preprocessing")
    machine = import_module("sklearn.svm").SVC
    x, y = import_module("sklearn.datasets").load_digits(return_X_y=True)
    order = numpy.random.RandomState(0).permutation(len(x))
    learn, judge = order[:250], order[250:600]
    scaled = {"none": (x[learn], x[judge])}
    for name, scaler in (("std", bags.StandardScaler()), ("minmax", bags.MinMaxScaler())):
        scaler.fit(x[learn])
        scaled[name] = (scaler.transform(x[learn]), scaler.transform(x[judge]))

    def value(params: Mapping[str, object]) -> float:
        given = {name: params[name] for name in ("C", "kernel", "gamma", "degree", "coef0") if name in params}
        seen, unseen = scaled[str(params["scale"])]
        return float(1 - machine(**given, max_iter=3000).fit(seen, y[learn]).score(unseen, y[judge]))

    return value


@cache
def _diabetes() -> Surface:
    """One less R2 of boosted trees on the diabetes data, 200 to learn from and 242 to judge by; at most 3."""
    numpy, ensemble = import_module("numpy"), import_module("sklearn.ensemble")
    x, y = import_module("sklearn.datasets").load_diabetes(return_X_y=True)
    order = numpy.random.RandomState(1).permutation(len(x))
    learn, judge = order[:200], order[200:]

    def value(params: Mapping[str, object]) -> float:
        model = ensemble.GradientBoostingRegressor(
            learning_rate=params["lr"], n_estimators=params["n"], max_depth=params["depth"],
            subsample=params["subsample"], min_samples_leaf=params["leaf"], max_features=params["maxf"], random_state=0,
        )  # fmt: skip
        return min(3.0, float(1 - model.fit(x[learn], y[learn]).score(x[judge], y[judge])))

    return value


_SVM: Written = {
    "kernel": _one_of("rbf", "poly", "linear"),
    "C": _real(1e-3, 1e3, log=True),
    "gamma": _real(1e-6, 1e1, log=True, when={"kernel": ["rbf", "poly"]}),
    "degree": _whole(2, 5, when={"kernel": ["poly"]}),
    "coef0": _real(0.0, 1.0, when={"kernel": ["poly"]}),
    "scale": _one_of("none", "std", "minmax"),
}
_GBM: Written = {
    "lr": _real(1e-3, 1.0, log=True),
    "n": _whole(5, 50, log=True),
    "depth": _whole(1, 6),
    "subsample": _real(0.3, 1.0),
    "leaf": _whole(1, 40, log=True),
    "maxf": _real(0.1, 1.0),
}
_UNIT6: Written = {f"x{index}": _real(0.0, 1.0) for index in range(6)}
_HARTMANN_BEST = -3.322368011415515


def _hartmann6(name: str, sigma: float = 0.0) -> Task:
    return Task(name=name, written=_UNIT6, surface=lambda _: _hartmann, best=_HARTMANN_BEST, sigma=sigma)


TASKS = (
    _box("sphere5", 5, 5.0, 0.35, _sphere),
    _box("rosen5", 5, 2.0, 0.2, _rosen),
    _box("ackley10", 10, 15.0, 0.35, _ackley),
    _box("rastrigin5", 5, 5.12, 0.35, _rastrigin),
    _box("levy5", 5, 10.0, 0.35, _levy),
    Task(
        name="branin2", written={"x0": _real(-5.0, 10.0), "x1": _real(0.0, 15.0)}, surface=lambda _: _branin,
        best=0.39788735772973816,
    ),
    _hartmann6("hartmann6"),
    Task(name="mixed10", written=_MIXED, surface=_mixed, best=None),
    Task(name="mixed10n", written=_MIXED, surface=_mixed, best=None, sigma=0.03, twin="mixed10"),
    _hartmann6("hartmann6n", 0.15),
    Task(name="svm_digits", written=_SVM, surface=lambda _: _digits(), best=None, moves=False),
    Task(name="gbm_diab", written=_GBM, surface=lambda _: _diabetes(), best=None, moves=False),
)  # fmt: skip
HEAVY = (
    _hartmann6("hartmann6h", 0.4),
    Task(name="mixed10h", written=_MIXED, surface=_mixed, best=None, sigma=0.1, twin="mixed10"),
)
BY_NAME = {task.name: task for task in (*TASKS, *HEAVY)}
QUICK = ("branin2", "hartmann6", "mixed10", "rosen5")
