"""The forms in which a secret may come out again, for whoever blots them out of what is kept."""

from __future__ import annotations

import re

BLOT = "[redacted]"
# What a value is called that is a secret, in letters of any case, and in the plural too. Whoever goes by names begins
# with these: what one of them did not know was let through there, and blotted out elsewhere. Not `pwd`: of a variable
# it is the folder that a shell is in. Who reads texts adds it.
WORDS = ("credential", "jwt", "key", "passphrase", "passwd", "password", "secret", "token")
SHORTEST = 4  # bytes; a shorter value would blot out half of every log and give nothing away


def forms(secret: str) -> set[bytes]:
    """The value as it is, as JSON and a URL carry it, and as base64 writes it when it stands alone."""
    import base64  # noqa: PLC0415  # with the next ones 3 ms, and most runs have no secrets
    import json  # noqa: PLC0415  # as above
    from urllib.parse import quote_from_bytes  # noqa: PLC0415  # as above

    value = secret.strip().encode(errors="surrogateescape")
    if len(value) < SHORTEST:
        return set()
    spelt = {
        json.dumps(secret.strip(), ensure_ascii=plain)[1:-1].encode(errors="surrogateescape") for plain in (True, False)
    }
    encoded = {base64.b64encode(value).rstrip(b"="), base64.urlsafe_b64encode(value).rstrip(b"=")}
    return {value, quote_from_bytes(value).encode(), quote_from_bytes(value, safe="").encode(), *spelt, *encoded}


# What says by its form that it is a secret, where no values are known: a name or a flag and a value, a header,
# a password in an address, and keys that begin as those of well-known services do. Compiled when first needed.
_WORDS = "|".join(("api[_-]?key", "pwd", *WORDS))
_GUESSES = (
    rf"""((?:\b|_|-)(?:{_WORDS})s?["']?(?:=|: ?)["']?)[^\s"',;&]+""",
    rf"(--(?:[\w-]*-)?(?:{_WORDS}) )[^\s-]\S*",
    r"(\bauthorization: *\w+ )\S+",
    r"(\bbearer )[\w.~+/=-]{8,}",
    r"(\w://[^\s/:@]*:)[^\s/@]+(?=@)",
    r"(\b)(?:sk|pk|rk|ghp|gho|ghs|github_pat|glpat|hf|xox[abpr])[_-][\w-]{12,}",
    r"(\b)(?:AKIA|ASIA)[A-Z0-9]{12,}",
    r"(\b)eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?",
)


def guessed(text: str) -> str:
    """The text without what looks like a secret. A guess, for words of programs whose secrets nobody has named."""
    for each in _GUESSES:
        text = re.sub(each, rf"\1{BLOT}", text, flags=re.IGNORECASE)
    return text
