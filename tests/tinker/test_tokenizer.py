"""Tokenizers from folders, dialogues as a template writes them, and rows as sequences to train on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import BadInput, NotFound
from lab.tinker import dataset, datums, tokenizer
from lab.tinker.data import Datum
from lab.tinker.dataset import Demonstration, Message, Pair, Task
from lab.tinker.datums import Limits

if TYPE_CHECKING:
    from pathlib import Path

    from lab.tinker.tokenizer import Tokenizer

pytest.importorskip("tokenizers", reason="not installed: tokenizers (pip install 'labctl[tinker]')")

CHAT = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
FORGETFUL = (  # writes only the last answer with what was thought, as some models' templates do
    "{% for m in messages %}<{{ m.role }}>{% if loop.last and m.role == 'assistant' %}(thought){% endif %}"
    "{{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
LIMITS = Limits(where="train.jsonl")


def make(folder: Path, *, chat: str = "", begins: bool = False, **settings: object) -> str:
    """A tokenizer of single bytes with an end, and if it `begins` with a beginning, as the library saves one."""
    from tokenizers import Tokenizer as Words
    from tokenizers import decoders, models, pre_tokenizers, processors, trainers

    words = Words(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=258, special_tokens=["<s>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    words.train_from_iterator([], trainer)
    if begins:
        words.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
        )
    folder.mkdir()
    words.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "</s>", **settings}))
    if chat:
        (folder / "chat_template.jinja").write_text(chat)
    return str(folder)


def spelt(told: Tokenizer, tokens: list[int]) -> str:
    return "".join("$" if token == told.eos else told.decode([token]) for token in tokens)


def learned(told: Tokenizer, datum: Datum) -> str:
    """The targets, with what is not learned as dots."""
    return "".join(
        spelt(told, [target]) if weight else "."
        for target, weight in zip(datum.targets, datum.weights or [], strict=True)
    )


def test_text_goes_through_tokens_and_comes_back(tmp_path: Path) -> None:
    told = tokenizer.load(make(tmp_path / "words"))
    assert told.decode(told.finish("naïve 5€")) == "naïve 5€"
    assert told.finish("a")[-1] == told.eos == 1
    assert told.size == 258


def test_a_sequence_begins_as_the_model_wants_and_does_not_end_where_the_prompt_does(tmp_path: Path) -> None:
    told = tokenizer.load(make(tmp_path / "words", begins=True))
    assert told.begin("ab") == [0, *told.encode("ab")]
    assert told.encode("ab")[0] != 0


@pytest.mark.parametrize("given", ["</s>", {"content": "</s>", "lstrip": False}])
def test_the_end_of_an_answer_is_told_in_either_spelling(tmp_path: Path, given: object) -> None:
    assert tokenizer.load(make(tmp_path / "words", eos_token=given)).eos == 1


def test_the_end_is_found_in_the_settings_of_the_model_where_nothing_else_says_it(tmp_path: Path) -> None:
    folder = make(tmp_path / "words", eos_token=None)
    with pytest.raises(BadInput, match="no token is said to end an answer"):
        tokenizer.load(folder)
    (tmp_path / "words/config.json").write_text('{"eos_token_id": [7, 8]}')
    assert tokenizer.load(folder).eos == 7


def test_an_end_that_is_no_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="'<end>' ends an answer, and is no token"):
        tokenizer.load(make(tmp_path / "words", eos_token="<end>"))  # noqa: S106  # no password


def test_a_folder_that_will_not_do_is_told_with_what_to_write(tmp_path: Path) -> None:
    mend = "write `tokenizer: FOLDER` under `tinker:`"
    with pytest.raises(NotFound, match="no folder of a tokenizer") as caught:
        tokenizer.load(f"{tmp_path}/away")
    assert mend in str(caught.value)
    (tmp_path / "vocab.json").touch()
    with pytest.raises(NotFound, match=r"no tokenizer\.json; the old form"):
        tokenizer.load(str(tmp_path))
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BadInput, match=r"tokenizer\.json is no tokenizer"):
        tokenizer.load(str(tmp_path))


@pytest.mark.parametrize(
    ("served", "told"), [("Qwen/Qwen3-8B", "a name on a hub"), ("", "does not say"), ("/no/folder", "is no folder")]
)
def test_a_tokenizer_is_never_fetched_from_a_hub(served: str, told: str) -> None:
    with pytest.raises(BadInput, match=told) as caught:
        tokenizer.find("", served)
    assert "write `tokenizer: FOLDER`" in str(caught.value)


def test_the_folder_of_the_order_goes_before_what_the_service_says(tmp_path: Path) -> None:
    mine, theirs = make(tmp_path / "mine"), make(tmp_path / "theirs")
    assert tokenizer.find(mine, theirs).folder == mine
    assert tokenizer.find("", theirs).folder == theirs


def test_only_what_the_assistant_says_is_learned_with_its_end(tmp_path: Path) -> None:
    told = tokenizer.load(make(tmp_path / "words", chat=CHAT))
    turns = [("system", "be"), ("user", "hi"), ("assistant", "yes"), ("user", "so"), ("assistant", "no")]
    row = Demonstration(line=1, messages=tuple(Message(*turn) for turn in turns))
    (datum,) = datums.demonstrations(told, [row], LIMITS)
    assert spelt(told, datums.whole(datum)) == "<system>be$\n<user>hi$\n<assistant>yes$\n<user>so$\n<assistant>no$"
    assert learned(told, datum).replace(".", "") == "yes$no$"


def test_a_template_in_the_settings_serves_as_well(tmp_path: Path) -> None:
    named = [{"name": "tools", "template": "none"}, {"name": "default", "template": CHAT}]
    told = tokenizer.load(make(tmp_path / "words", chat_template=named))
    assert spelt(told, told.ask("hi")) == "<user>hi$\n<assistant>"
    assert spelt(told, told.ask("hi", chat=False)) == "hi"


def test_a_template_that_rewrites_what_was_said_is_refused_with_the_line(tmp_path: Path) -> None:
    told = tokenizer.load(make(tmp_path / "words", chat=FORGETFUL))
    one = [Message("user", "hi"), Message("assistant", "yes")]
    assert learned(told, datums.demonstrations(told, [Demonstration(line=1, messages=tuple(one))], LIMITS)[0]).endswith(
        "(thought)yes$"
    )
    with pytest.raises(BadInput, match="line 4: the chat template rewrites") as caught:
        datums.demonstrations(told, [Demonstration(line=4, messages=(*one, *one))], LIMITS)
    assert "make it several lines" in str(caught.value)


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('roles must take turns') }}",
        "{{ messages.__class__.__mro__[1].__subclasses__() }}",
        "{{ strftime_now('%d') }}",
        "{% for m in messages %}{{ 1 // 0 }}{% endfor %}",
        "{% if %}",
    ],
)
def test_a_template_gets_at_nothing_and_its_failure_is_told(tmp_path: Path, template: str) -> None:
    told = tokenizer.load(make(tmp_path / "words", chat=template))
    with pytest.raises(BadInput, match="the chat template fails on a dialogue"):
        told.ask("hi")


def test_without_a_template_there_are_no_dialogues(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no chat template"):
        tokenizer.load(make(tmp_path / "words")).ask("hi")


def test_a_sequence_is_shifted_by_one_and_weighed_in_its_answer(tmp_path: Path) -> None:
    told = tokenizer.load(make(tmp_path / "words"))
    (datum,) = datums.demonstrations(told, [Demonstration(line=1, prompt="ab", completion="cd")], LIMITS)
    assert spelt(told, datum.tokens) == "abcd"
    assert spelt(told, datum.targets) == "bcd$"
    assert datum.weights == [0.0, 1.0, 1.0, 1.0]


def test_pairs_come_as_the_better_and_the_worse_answer(tmp_path: Path) -> None:
    told = tokenizer.load(make(tmp_path / "words"))
    rows = [Pair(line=1, prompt="a", chosen="b", rejected="c"), Pair(line=2, prompt="d", chosen="e", rejected="f")]
    both = datums.pairs(told, rows, LIMITS)
    assert [[spelt(told, datums.whole(each)) for each in pair] for pair in both] == [["ab$", "ac$"], ["de$", "df$"]]


def test_rows_that_are_too_long_are_refused_or_cut_by_choice(tmp_path: Path) -> None:
    told = tokenizer.load(make(tmp_path / "words"))
    rows = [Demonstration(line=2, prompt="ab", completion="cdefgh"), Demonstration(line=3, prompt="ab", completion="c")]
    tight = Limits(where="train.jsonl", max_tokens=5)
    with pytest.raises(BadInput, match="line 2: 9 tokens; max_tokens is 5"):
        datums.demonstrations(told, rows, tight)
    cut = datums.demonstrations(told, rows, Limits(where="train.jsonl", max_tokens=5, long="truncate"))
    assert [learned(told, each) for each in cut] == [".cde", ".c$"]
    with pytest.raises(BadInput, match="line 2: the prompt alone takes all of max_tokens"):
        datums.demonstrations(told, rows, Limits(where="train.jsonl", max_tokens=2, long="truncate"))
    with pytest.raises(BadInput, match="did you mean truncate"):
        datums.demonstrations(told, rows, Limits(where="train.jsonl", long="trunkate"))


def test_a_prompt_is_never_cut(tmp_path: Path) -> None:
    told = tokenizer.load(make(tmp_path / "words"))
    with pytest.raises(BadInput, match="line 1: 5 tokens; max_tokens is 4"):
        datums.prompts(told, [Task(line=1, prompt="abcd", answer="e")], Limits(where="x", max_tokens=4))


def test_what_a_token_costs_is_the_same_for_every_cut_into_batches() -> None:
    data = [
        Datum(tokens=[1, 2, 3], targets=[2, 3, 4], weights=[0.0, 1.0, 1.0]),
        Datum(tokens=[1], targets=[2], weights=[1.0]),
    ]
    logprobs = [[-9.0, -1.0, -2.0], [-6.0]]
    assert datums.nll(data, logprobs) == pytest.approx(3.0)
    assert datums.score(data[0], logprobs[0]) == pytest.approx(-3.0)
    assert datums.weighed(data[0], -0.5).weights == [0.0, -0.5, -0.5]
    assert datums.whole(data[0]) == [1, 2, 3, 4]


def test_a_label_is_one_token(tmp_path: Path) -> None:
    told = tokenizer.load(make(tmp_path / "words"))
    assert [datums.label(told, "1")] == told.encode("1")
    with pytest.raises(BadInput, match="the label 'yes' is 3 tokens"):
        datums.label(told, "yes")


def test_rows_of_a_file_and_a_tokenizer_are_all_that_datums_need(tmp_path: Path) -> None:
    rows = dataset.parse(b'{"prompt": "ab", "completion": "cd"}', Demonstration, "x")
    assert len(datums.demonstrations(tokenizer.load(make(tmp_path / "words")), rows, LIMITS)) == 1
