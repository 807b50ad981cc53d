# ruff: noqa: E501  # an input or a row of a table stands on one line
"""One target under atheris, in a process of its own: what brings new edges of the lab is kept and changed further.

    python -m scripts.trial.fuzzing.guided MODULE NAME SECONDS SEED FOLDER

Inputs that broke a promise go to FOLDER/broken.jsonl, the first of each kind and place; the corpus to FOLDER/corpus.
"""

from __future__ import annotations

import json
import os
import random
import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scripts.trial.fuzzing.target import Target

LIMIT_S = 20.0  # the code that counts edges is several times slower
HANGS_S, MEMORY_MB = 60, 2_048
_OURS = 0.6  # of the mutations; the rest are libFuzzer's


def main(module: str, name: str, seconds: str, seed: str, folder: str) -> None:
    """Never returns: libFuzzer ends the process."""
    atheris = import_module("atheris")  # has no types, and is where somebody installed it
    with atheris.instrument_imports(include=["lab"]):
        from scripts.trial.fuzzing import mutate, target  # noqa: PLC0415  # what is imported here is counted

        targets: tuple[Target, ...] = import_module(module).TARGETS
    one = next(each for each in targets if each.name == name)
    words = tuple(word.encode() for word in one.words)
    seen: set[str] = set()

    def judge(data: bytes) -> None:
        wrong = target.judged(one, data[: one.most], limit_s=LIMIT_S)
        where = wrong.rpartition(" at ")[2] if " at " in wrong else wrong[:30]
        if wrong and where not in seen:
            seen.add(where)
            with open(f"{folder}/broken.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps({"wrong": wrong, "input": data[: one.most].hex()}) + "\n")

    def change(data: bytes, most: int, chance_of: int) -> bytes:
        chance = random.Random(chance_of)
        if chance.random() > _OURS:
            return bytes(atheris.Mutate(data, most))
        other = chance.choice(one.seeds)[one.head :]
        return (data[: one.head] + mutate.changed(data[one.head :], chance, words, (other,)))[:most]

    corpus = f"{folder}/corpus"
    os.makedirs(corpus, exist_ok=True)
    for number, data in enumerate(one.seeds):
        with open(f"{corpus}/seed-{number}", "wb") as file:
            file.write(data)
    flags = [
        f"-max_total_time={seconds}", f"-seed={seed}", f"-max_len={one.most}", f"-timeout={HANGS_S}", "-print_final_stats=1",
        f"-rss_limit_mb={MEMORY_MB}", f"-artifact_prefix={folder}/", "-len_control=0",
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], corpus, *flags], judge, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
