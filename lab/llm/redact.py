"""What is kept of an exchange never holds a secret: not the key, nor what it looks like when it is sent.

By value, wherever it stands: a service may quote the key back at us, and a proxy the password in its address.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.core import secret

if TYPE_CHECKING:
    from collections.abc import Iterable


class Redact:
    """Takes the secrets that it was made with out of a text."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form.decode(errors="surrogateescape") for each in secrets for form in secret.forms(each)}
        # The longest first: of two keys the one may begin with the other.
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def __call__(self, text: str) -> str:
        return self._pattern.sub(secret.BLOT, text) if self._pattern is not None else text
