"""The tokenizer of a model, from a folder on this machine: its tokenizer.json and what lies beside it.

Never from a hub: a run that fetches its tokenizer trains on another one the day that somebody changes it there. Whether
it is the tokenizer of the model that is trained cannot be seen from here; the wrong one trains on nonsense.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tokenizers import Tokenizer as Words

    from lab.tinker.dataset import Message

FILE = "tokenizer.json"
_CONFIG, _SPECIAL, _MODEL, _TEMPLATE = (
    "tokenizer_config.json", "special_tokens_map.json", "config.json", "chat_template.jinja",
)  # fmt: skip
_MEND = (
    "write `tokenizer: FOLDER` under `tinker:` in the SPEC: a folder on this machine with the model's tokenizer.json"
)


class _Added(msgspec.Struct):
    content: str = ""


class _Named(msgspec.Struct):
    name: str = ""
    template: str = ""


class _Settings(msgspec.Struct):
    """What is read of tokenizer_config.json, special_tokens_map.json and config.json; they hold much more."""

    eos_token: str | _Added | None = None
    bos_token: str | _Added | None = None
    chat_template: str | list[_Named] | None = None
    eos_token_id: int | list[int] | None = None


class Part(msgspec.Struct, frozen=True):
    """A stretch of a dialogue; `is_learned` where the assistant speaks."""

    tokens: list[int]
    is_learned: bool


class Tokenizer:
    """Text to tokens and back. `eos` is the token that ends an answer."""

    def __init__(self, folder: str, words: Words, settings: Sequence[_Settings], template: str) -> None:
        self.folder = folder
        self._words = words
        self._template = template
        self._bos = _first(_name(each.bos_token) for each in settings)
        self._eos = _first(_name(each.eos_token) for each in settings)
        self.eos = self._ending(settings)

    @property
    def size(self) -> int:
        """How many tokens it knows; the model may have room for more."""
        return int(self._words.get_vocab_size(with_added_tokens=True))

    def encode(self, text: str) -> list[int]:
        """The tokens of a piece of text, and no others."""
        return list(self._words.encode(text, add_special_tokens=False).ids)

    def begin(self, text: str) -> list[int]:
        """The tokens of a text that begins a sequence: with the token in front that some models begin with."""
        tokens = list(self._words.encode(text, add_special_tokens=True).ids)
        return tokens[:-1] if tokens and tokens[-1] == self.eos and not text.endswith(self._eos) else tokens

    def finish(self, text: str) -> list[int]:
        """The tokens of an answer, and the one that ends it."""
        return [*self.encode(text), self.eos]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text, without the tokens that only mark where something begins and ends."""
        return str(self._words.decode(list(tokens), skip_special_tokens=True))

    def ask(self, question: str, *, chat: bool = True) -> list[int]:
        """The tokens of a prompt. With `chat` it is what a user said, and the assistant is about to speak."""
        if not chat:
            return self.begin(question)
        return self.encode(self._rendered([{"role": "user", "content": question}], speak=True))

    def dialogue(self, messages: Sequence[Message]) -> list[Part]:
        """A dialogue as the model's template writes it, cut where the assistant begins to speak and where it ends.

        `BadInput` where the template writes an earlier answer differently once there is a later one: what would be
        learned then is never what the model has to say.
        """
        turns = [{"role": each.role, "content": each.content} for each in messages]
        parts: list[Part] = []
        done = ""
        for index, turn in enumerate(turns):
            if turn["role"] != "assistant":
                continue
            before = self._rendered(turns[:index], speak=True)
            after = self._rendered(turns[: index + 1], speak=False)
            if not (before.startswith(done) and after.startswith(before)):
                fix = "make it several lines, each of which ends with the answer to learn"
                raise BadInput("the chat template rewrites what the assistant said earlier", fix=fix)
            said, end, rest = (
                after[len(before) :].rpartition(self._eos) if self._eos else (after[len(before) :], "", "")
            )
            answer = said + end if end else rest or said
            parts.append(Part(self.encode(before[len(done) :]), is_learned=False))
            parts.append(Part(self.encode(answer), is_learned=True))
            done = before + answer
        return parts

    def _rendered(self, turns: Sequence[dict[str, str]], *, speak: bool) -> str:
        if not self._template:
            fix = f"add {_TEMPLATE}, or use lines of prompt and completion, and the parameter chat: false"
            raise BadInput("the tokenizer has no chat template", where=self.folder, fix=fix)
        from lab.tinker import chat  # noqa: PLC0415  # jinja2 takes 45 ms, and only dialogues need it

        marks = {"bos_token": self._bos, "eos_token": self._eos}
        return chat.render(self._template, turns, speak=speak, marks=marks, where=self.folder)

    def _ending(self, settings: Sequence[_Settings]) -> int:
        if self._eos:
            number = self._words.token_to_id(self._eos)
            if number is None:
                what = f"{self._eos!r} ends an answer, and is no token of {FILE}"
                raise BadInput(what, where=self.folder, fix="take both files from the same model")
            return int(number)
        for each in settings:
            match each.eos_token_id:
                case int() as number:
                    return number
                case [number, *_]:
                    return number
        fix = f'write {{"eos_token": "..."}} into {_CONFIG}'
        raise BadInput("no token is said to end an answer", where=self.folder, fix=fix)


def load(folder: str) -> Tokenizer:
    """The tokenizer in a folder of this machine."""
    path = f"{folder}/{FILE}"
    if not os.path.isdir(folder):
        raise NotFound("there is no folder of a tokenizer", where=folder, fix=_MEND)
    if not os.path.isfile(path):
        also = "; the old form (vocab.json, tokenizer.model) does not do" if _has_old(folder) else ""
        raise NotFound(f"the folder of the tokenizer has no {FILE}{also}", where=folder, fix=_MEND)
    try:
        from tokenizers import Tokenizer as Words  # noqa: PLC0415  # a recipe needs it, no verb does
    except ImportError:
        fix = "pip install 'labctl[tinker]'"
        raise NotFound("the library tokenizers is not installed", where=folder, fix=fix) from None
    text = _text(path)
    try:
        words = Words.from_str(text)
    except Exception as error:  # the library raises nothing narrower
        raise BadInput(f"{FILE} is no tokenizer: {str(error)[:300]}", where=path, fix="copy it again") from error
    words.no_truncation()
    words.no_padding()
    settings = [_settings(f"{folder}/{name}") for name in (_CONFIG, _SPECIAL, _MODEL)]
    beside = f"{folder}/{_TEMPLATE}"
    template = _text(beside) if os.path.isfile(beside) else _default(settings[0].chat_template)
    return Tokenizer(folder, words, settings, template)


def find(folder: str, served: str = "") -> Tokenizer:
    """The one in `folder`; where none is given, the one that the service names, if that is a folder of this machine."""
    if folder:
        return load(folder)
    if os.path.isabs(served) and os.path.isdir(served):
        return load(served)
    what = f"the tokenizer of the service, {served[:200]!r}, is a name on a hub, and nothing is fetched from one"
    if not served:
        what = "the service does not say which tokenizer its model has"
    elif os.path.isabs(served):
        what = f"the tokenizer of the service, {served[:200]!r}, is no folder of this machine"
    raise BadInput(what, fix=_MEND)


def _settings(path: str) -> _Settings:
    if not os.path.isfile(path):
        return _Settings()
    try:
        return msgspec.json.decode(_text(path), type=_Settings)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise BadInput(f"not what lies beside a tokenizer: {error}", where=path, fix="copy it again") from error


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        what = f"a file of the tokenizer cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}"
        raise BadInput(what, where=path, fix="copy it again") from error


def _default(given: str | list[_Named] | None) -> str:
    """The template that is meant where several are named."""
    if isinstance(given, list):
        return next((each.template for each in given if each.name == "default"), given[0].template if given else "")
    return given or ""


def _name(given: str | _Added | None) -> str:
    return given.content if isinstance(given, _Added) else given or ""


def _first(given: Iterable[str]) -> str:
    return next(filter(None, given), "")


def _has_old(folder: str) -> bool:
    return any(os.path.isfile(f"{folder}/{name}") for name in ("vocab.json", "tokenizer.model", "vocab.txt"))
