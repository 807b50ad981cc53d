"""Predicts the last column of data.csv from the others, and prints how far off it is on rows that it never saw.

    python3 fit.py selection    what a search looks at
    python3 fit.py report       what no search looks at

Each row belongs to one of three parts for good, by a digest of its own cells: half are to learn from, a quarter to
choose by, a quarter to report. The part that is not asked for is let go as the file is read. The error is counted in
standard deviations of what is predicted: 1 is no better than always saying the mean.

The model is a line by ridge regression, with powers of each column, and what it leaves is mended by the mean of the
nearest rows. $LAB_SEED draws the rows that are learned from, with putting back: two seeds differ as two samples would.
Python alone; a table that it cannot use ends it with 2, and in words.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import random
import sys
from typing import NamedTuple, NoReturn

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data.csv")
LEARN, SELECTION, REPORT = "learn", "selection", "report"
SHARES = ((50, LEARN), (75, SELECTION), (100, REPORT))  # of a hundred
FEWEST, MOST_ROWS, MOST_COLUMNS = 10, 4000, 40  # of each part; of the file
LARGEST = 1e100  # the square of a number that is larger is none
# What is there to vary: the default, the least and the most. SPEC.yaml's search_space says the same.
PARAMS = {"ridge": (1.0, 1e-4, 1e3), "powers": (1, 1, 4), "local": (0.0, 0.0, 1.0), "neighbours": (10, 1, 60)}


class Row(NamedTuple):
    """What is known, and what is to be predicted."""

    known: list[float]
    wanted: float


def main(argv: list[str]) -> None:
    if len(argv) != 1 or argv[0] not in {SELECTION, REPORT}:
        refuse(f"say which rows: {SELECTION} or {REPORT}")
    params = given()
    parts = read(DATA, argv[0])
    learn, asked = scaled(parts[LEARN], parts[argv[0]])
    seed = os.environ.get("LAB_SEED", "")
    if seed:
        luck = random.Random(f"{seed} rows")
        learn = [luck.choice(learn) for _ in learn]
    error = far_off(learn, asked, params)
    if not math.isfinite(error):
        refuse("the error is not a finite number: a column of the table has values too far apart")
    print(f"learned from {len(learn)} rows, measured on {len(asked)}")
    print(f"METRIC error={error:.6f}")


def given() -> dict[str, float]:
    """The parameters of this run; the defaults where it was given none."""
    place = os.environ.get("LAB_PARAMS_PATH", "")
    told: dict[str, object] = {}
    if place:
        with open(place, encoding="utf-8") as file:
            told = json.load(file)
    found = {}
    for name, (default, least, most) in PARAMS.items():
        value = told.get(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
            refuse(f"{name} is {value!r}, and must be a number from {least:g} to {most:g}")
        found[name] = value
    return found


def read(path: str, asked: str) -> dict[str, list[Row]]:
    """The rows to learn from and those that are asked for."""
    parts: dict[str, list[Row]] = {LEARN: [], asked: []}
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, strict=True)
            names = next(lines, [])
            check_names(names)
            for cells in lines:
                if not any(cell.strip() for cell in cells):
                    continue
                if lines.line_num > MOST_ROWS + 1:
                    refuse(f"the table has more than {MOST_ROWS} rows: give a sample of it")
                row = numbers(cells, names, lines.line_num)
                part = part_of(row.known)
                if part in parts:
                    parts[part].append(row)
    except OSError as error:
        refuse(f"{path} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        refuse(f"{path} is no text in UTF-8")
    except csv.Error as error:
        refuse(f"{path} is no CSV: {error}")
    for part, rows in parts.items():
        if len(rows) < FEWEST:
            refuse(f"{len(rows)} rows are in the part {part}, and {FEWEST} are needed: give a longer table")
    if len({row.wanted for row in parts[LEARN]}) == 1:
        refuse(f"the last column, {names[-1]}, is the same in every row: there is nothing to predict")
    return parts


def check_names(names: list[str]) -> None:
    """The first line: names, of a column at least beside the last."""
    if not 1 < len(names) <= MOST_COLUMNS:
        refuse(f"the first line has {len(names)} columns, and 2 to {MOST_COLUMNS} can be used, the wanted one last")
    if any(is_number(name) for name in names):
        refuse("the first line must name the columns, and has a number in it")


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def numbers(cells: list[str], names: list[str], line: int) -> Row:
    """A row as numbers."""
    if len(cells) != len(names):
        refuse(f"line {line} has {len(cells)} cells, and the first line names {len(names)}")
    values = []
    for cell, name in zip(cells, names, strict=True):
        value = float(cell) if is_number(cell) else math.nan
        if not abs(value) < LARGEST:
            refuse(f"line {line}, column {name[:40]}: {cell[:40]!r} is no usable number; leave the row or column out")
        values.append(value)
    return Row(values[:-1], values[-1])


def part_of(known: list[float]) -> str:
    """Where a row belongs: by what is known of it, so the same case is never both learned from and asked."""
    digest = hashlib.sha256(json.dumps(known).encode()).digest()
    share = int.from_bytes(digest[:4], "big") % 100
    return next(part for below, part in SHARES if share < below)


def scaled(learn: list[Row], asked: list[Row]) -> tuple[list[Row], list[Row]]:
    """Both with every column in its own standard deviations, as the rows to learn from have them."""
    columns = [*zip(*(row.known for row in learn), strict=True), tuple(row.wanted for row in learn)]
    means = [math.fsum(column) / len(column) for column in columns]
    spreads = [
        math.sqrt(math.fsum((value - mean) ** 2 for value in column) / len(column)) or 1.0
        for column, mean in zip(columns, means, strict=True)
    ]

    def turned(row: Row) -> Row:
        values = (*row.known, row.wanted)
        new = [(value - mean) / spread for value, mean, spread in zip(values, means, spreads, strict=True)]
        return Row(new[:-1], new[-1])

    return [turned(row) for row in learn], [turned(row) for row in asked]


def far_off(learn: list[Row], asked: list[Row], params: dict[str, float]) -> float:
    """The root of the mean squared error."""
    powers = int(params["powers"])
    weights = line([terms(row.known, powers) for row in learn], [row.wanted for row in learn], params["ridge"])
    left = [row.wanted - dot(weights, terms(row.known, powers)) for row in learn]
    local, nearest = params["local"], min(int(params["neighbours"]), len(learn))
    squares = []
    for row in asked:
        told = dot(weights, terms(row.known, powers))
        if local:
            order = sorted((math.dist(row.known, other.known), at) for at, other in enumerate(learn))[:nearest]
            told += local * math.fsum(left[at] for _, at in order) / nearest
        squares.append((row.wanted - told) ** 2)
    return math.sqrt(math.fsum(squares) / len(squares))


def terms(known: list[float], powers: int) -> list[float]:
    return [1.0, *(value**power for power in range(1, powers + 1) for value in known)]


def dot(left: list[float], right: list[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def line(rows: list[list[float]], wanted: list[float], ridge: float) -> list[float]:
    """The weights with the least squared error and `ridge` times their own squares; the first, a constant, is free."""
    columns = list(zip(*rows, strict=True))
    size = len(columns)
    table = [[dot(list(a), list(b)) for b in columns] + [dot(list(a), wanted)] for a in columns]
    for at in range(size):
        table[at][at] += ridge if at else 1e-9
    for at in range(size):
        best = max(range(at, size), key=lambda row: abs(table[row][at]))
        table[at], table[best] = table[best], table[at]
        for below in range(at + 1, size):
            share = table[below][at] / table[at][at]
            if share:
                table[below] = [value - share * over for value, over in zip(table[below], table[at], strict=True)]
    weights = [0.0] * size
    for at in reversed(range(size)):
        known = dot(table[at][at + 1 : size], weights[at + 1 :])
        weights[at] = (table[at][size] - known) / table[at][at]
    return weights


def refuse(why: str) -> NoReturn:
    print(f"fit.py: {why}", file=sys.stderr)
    raise SystemExit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
