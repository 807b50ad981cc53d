"""What is kept of an exchange never holds a secret: not the key, nor what it looks like when it is sent.

By value, wherever it stands: a service may quote the key back at us, and a proxy the password in its address.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.core import secret

if TYPE_CHECKING:
    from collections.abc import Iterable

_BACKSLASHES = 16  # before a character of JSON that stands in a text of JSON, that stands in another
_ESCAPED = re.compile(rf"\\{{1,{_BACKSLASHES}}}u([0-9a-fA-F]{{4}})")
_SEVERAL = re.compile(r"\\+")


class Redact:
    r"""Takes the secrets that it was made with out of a text, also where JSON writes them with escapes of its own.

    A text is read as JSON later, and what stands in it as JSON again: `sk\u002dsecret` would come out whole then.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form.decode(errors="surrogateescape") for each in secrets for form in secret.forms(each)}
        # The longest first: of two keys the one may begin with the other.
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None
        self._forms = tuple(longest_first)
        self._bare = tuple(map(_bare, longest_first))

    def __call__(self, text: str) -> str:
        if self._pattern is None:
            return text
        plain = self._pattern.sub(secret.BLOT, text)
        if not self._is_in(plain):
            return plain
        escaped = re.compile("|".join(map(_spelt, self._forms)))  # large, and hardly ever needed
        plain = escaped.sub(secret.BLOT, plain)
        return secret.BLOT if self._is_in(plain) else plain  # spelt in a way that nobody thought of: none of it is kept

    def _is_in(self, text: str) -> bool:
        bare = _bare(text)
        return any(each in bare for each in self._bare)


def _bare(text: str) -> str:
    """A text with the escapes of JSON undone, however often they were made."""
    if "\\" not in text:
        return text
    plain = _SEVERAL.sub(r"\\", _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text))
    return plain.replace('\\"', '"').replace("\\/", "/")


def _spelt(form: str) -> str:
    """A pattern of every way in which JSON may write a form."""
    return "".join(_character(each) for each in form)


def _character(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    codes = [units[at : at + 2].hex() for at in range(0, len(units), 2)]
    escaped = "".join(rf"\\{{1,{_BACKSLASHES}}}u(?i:{code})" for code in codes)
    few = rf"\\{{0,{_BACKSLASHES}}}" if character in '"/\\' else ""
    return f"(?:{few}{re.escape(character)}|{escaped})"
