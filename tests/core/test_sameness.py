"""A change that is other luck, and a change that only looks like it."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lab.core import sameness


def change(old: str, new: str, path: str = "train.py") -> list[tuple[str, str, str]]:
    return [(path, "-", line) for line in old.splitlines()] + [(path, "+", line) for line in new.splitlines()]


@pytest.mark.parametrize(
    "template",
    [
        "seed = {}",
        "SEED={}  # luck",
        "    random_seed: int = {}",
        "self.rngSeed = {}",
        "torch.manual_seed({})",
        "torch.cuda.manual_seed_all({})",
        "torch.manual_seed({} + rank)",
        "np.random.seed({})",
        "rng = np.random.default_rng({})",
        "model = train(data, lr=0.1, seed={}, depth=3)",
        "split(x, random_state={})",
        "key = jax.random.PRNGKey({})",
        "seeds = [{}, 7]",
        "python train.py --lr 0.1 --seed {} --depth 3",
        'args = ["--lr", "0.1", "--random-seed", "{}"]',
        "PYTHONHASHSEED={} python train.py",
        "seed: {}",
        '  "seed": {},',
        "std::mt19937 gen({});",
        "srand({});",
        "let mut rng = StdRng::seed_from_u64({});",
        "set.seed({})",
        "seed = args.seed + {}",
        "seed = {}.5",
        "rng = random.Random('{}')",
        'random.seed("the {} of them")',
        "rng = default_rng([{}, 3])",
        "seed = 0b1{}".replace("{}", "{0:b}"),
    ],
)
def test_another_number_for_a_seed_is_other_luck(template: str) -> None:
    assert sameness.seed_only(change(template.format(1337), template.format(42)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("lr = 0.1", "lr = 0.2"),
        ("seed = 1; lr = 0.1", "seed = 2; lr = 0.2"),
        ("seed = 1", "seed = 2\nlr = 0.2"),
        ("n_seeds = 3", "n_seeds = 5"),
        ("num_seed = 3", "num_seed = 5"),
        ("use_seed = 0", "use_seed = 1"),
        ("seed_lr = 3", "seed_lr = 5"),
        ("reseed_every = 100", "reseed_every = 50"),
        ("train(seed, 5)", "train(seed, 6)"),
        ("if seed == 5:", "if seed == 6:"),
        ("if seed < 5:", "if seed < 6:"),
        ("seed = [1, 2]", "seed = [1, 2, 3]"),
        ("seed = (1, 2)", "seed = (1, 2, 3)"),
        ('seed = "Once upon a time"', 'seed = "It was a dark night"'),
        ('seed = "https://one.org/"', 'seed = "https://two.org/"'),
        ("seed = time()", "seed = 3"),
        ("seed = f(1)", "seed = f(2)"),
        ("seed = 1 + rate(0.1)", "seed = 1 + rate(0.2)"),
        ("seed = 1\nx = '# a'", "seed = 2\nx = '# b'"),
        ("seed = 1\nx = 1  # a", "seed = 2\nx = 2  # a"),
        ("# seed = 1", "# seed = 2"),
        ("--seed 5 -1", "--seed 5 -2"),
        ("seed = 1 if fast else 4", "seed = 1 if fast else 5"),
        ("seeds = [1, 2]", "seeds = [1, 2, 3]"),
        ("plant.seed(3)", "plant.seed(4)"),
        ("linseed = 3", "linseed = 4"),
        ("x = f(1)", "x = f(2)"),
        ("dropout(0.1)", "manual_seed(3)"),
        ("loss.backward()\nseed = 1", "seed = 2\nloss.backward()"),
        ("step(1)\nf(seed=1)", "step(1)\nf(seed=2)"),
        ("--seed-lr 5", "--seed-lr 6"),
        ("", ""),
        ("", "\n\n"),
        ("x = 1", ""),
    ],
)
def test_whatever_else_was_changed_is_a_change(old: str, new: str) -> None:
    assert not sameness.seed_only(change(old, new))


def test_a_statement_that_does_nothing_but_seed_may_come_or_go() -> None:
    assert sameness.seed_only(change("", "torch.manual_seed(7)"))
    assert sameness.seed_only(change("import torch\n"[:0], "seed = 3\n\n"))
    assert not sameness.seed_only(change("", "model = make(seed=3)"))


@pytest.mark.parametrize(
    "new",
    [
        "1 + 4",
        'int("7")',
        "0b11",
        "1e3",
        'hash("x")',
        "-(3 * 5)",
        "0o17",
        "max(1, 2)",
        "2 ** 5 % 7",
        '"x7"',
        "~3",
        "1_000",
    ],
)
@pytest.mark.parametrize("template", ["seed = {}", "random.seed({})", "f(x, seed={}, depth=3)", "seed: int = {}"])
def test_a_constant_is_other_luck_however_it_is_spelt(template: str, new: str) -> None:
    assert sameness.seed_only(change(template.format(7), template.format(new)))


def test_a_remark_beside_a_seed_makes_it_no_change() -> None:
    assert sameness.seed_only(change("seed = 1", "# try another\n\nseed = 2"))
    assert sameness.seed_only(change("# one\nseed = 1\nx = 1  # old", "seed = 2  # two\nx = 1  # new"))
    assert sameness.seed_only(change("f(seed=1)", "f(seed=2)  # better") + change("", "# so far", "b.py"))
    assert sameness.seed_only(change("f(seed=1); // a", "f(seed=2); // b", "a.cpp"))
    assert not sameness.seed_only(change("f(seed=1)", "f(seed=2)  # better", "a.txt"))  # who knows what that is


def test_seeds_in_several_files_are_luck_and_one_change_among_them_is_none() -> None:
    several = change("seed: 1", "seed: 2", "a.yaml") + change("seed = 1", "seed = 3", "b.py")
    assert sameness.seed_only(several)
    assert not sameness.seed_only(several + change("lr: 1", "lr: 2", "c.yaml"))


def _unquoted(line: str) -> str:
    """Less what stands in quotes, which may be a seed."""
    return re.sub(r"\"[^\"]*\"|'[^']*'", "", line)


LINE = st.text(st.sampled_from("abl=+-*:(), .0159_seed\"'[]"), max_size=24)


@given(before=LINE, after=LINE, numbers=st.tuples(st.integers(0, 99), st.integers(0, 99)), rest=LINE)
@example(before="train(seed,", after=")", numbers=(1, 2), rest=")")
def test_what_differs_in_anything_but_digits_is_never_taken_for_luck(
    before: str, after: str, numbers: tuple[int, int], rest: str
) -> None:
    for old, new in (
        (f"f(x) {before}{numbers[0]}{after}", f"f(x) {before}{numbers[1]}{rest}"),
        (f"f(x) {before}", f"f(x) {rest}"),
    ):
        if sameness.seed_only(change(old, new)):
            assert "seed" in old
            assert "".join(filter(str.isalpha, _unquoted(old))) == "".join(filter(str.isalpha, _unquoted(new)))


@given(
    name=st.from_regex(r"[a-z]{1,8}(_[a-z]{1,6})?", fullmatch=True).filter(lambda name: "seed" not in name),
    numbers=st.lists(st.integers(0, 10**6), min_size=2, max_size=2, unique=True),
    template=st.sampled_from(
        ["{} = {}", "{}: {}", "f(seed=3, {}={})", "--seed 3 --{} {}", '"{}": {},', "seed, {} = 3, {}", "{}({})"]
    ),
)
def test_a_number_of_anything_else_is_never_taken_for_luck(name: str, numbers: list[int], template: str) -> None:
    if name in ("random_state", "srand", "srandom"):
        return
    old, new = (template.format(name, number) for number in numbers)
    assert not sameness.seed_only(change(old, new))
    assert not sameness.seed_only(change(f"{old}\nseed = 1", f"{new}\nseed = 2"))


def test_what_changes_nothing_for_the_machine_is_told() -> None:
    assert sameness.cosmetic(change("x = 1", "x =  1 ")) == sameness.WHITESPACE
    assert sameness.cosmetic(change("x = 1", "x = 1\n\n")) == sameness.WHITESPACE
    assert sameness.cosmetic(change("# one\nx = 1", "# two\nx =  1")) == sameness.COMMENTS
    assert sameness.cosmetic(change("// one", "// two", "a.c")) == sameness.COMMENTS
    assert sameness.cosmetic(change("#if A", "#if B", "a.c")) == ""
    assert sameness.cosmetic(change("    x = 1", "x = 1")) == ""
    assert sameness.cosmetic(change("x = 1", "x = 2")) == ""
    assert sameness.cosmetic(change("", "")) == ""


def test_a_line_that_was_moved_is_a_change() -> None:
    moved = [*change("step()", ""), *change("other()", "other( )"), *change("", "step()")]
    assert not sameness.seed_only(moved)
    assert sameness.cosmetic(moved) == ""


@pytest.mark.parametrize("piece", ["x", "a-", "seed", "seed ", "# ", "seed=(", "--s", "seeds=[1,", "a:", "1 + ", "'"])
@pytest.mark.parametrize("many", [3_900, 1_000_000])  # as long as a line that is read may be, and far longer
def test_a_line_of_data_takes_no_longer_than_it_takes_to_read(piece: str, many: int) -> None:
    line = f"seed = {piece * (many // len(piece))}"
    lines = change(f"{line}1", f"{line}2")
    assert sameness.seed_only(lines) is (piece == "1 + " and many == 3_900)  # a constant, if a long one
    assert sameness.cosmetic(lines) == ""
