"""How keys look that no detector of others knows, and values that are called a key or a password.

A value counts by what it is called and by what it is: of a `token` one that nobody can have thought up, of a `password`
any that is no code. So prose about keys, and a program that passes them on, are let through. A password of plain
letters in a sentence, which nothing calls one, is not seen.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from lab.core import secret

if TYPE_CHECKING:
    from collections.abc import Iterator

# (kind, how such a key looks). Those of detect-secrets miss these, or want quotes around them.
_KEYS = (
    ("Tinker key", r"\btml-[A-Za-z0-9_-]{16,}"),
    ("Hugging Face token", r"\b(?:hf|api_org)_[A-Za-z0-9]{20,}"),
    ("Anthropic key", r"\bsk-ant-[A-Za-z0-9_-]{16,}"),
    ("OpenAI key", r"\bsk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{16,}|\bsk-[A-Za-z0-9]{32,}"),
    ("OpenRouter key", r"\bsk-or-[A-Za-z0-9_-]{16,}"),
    ("GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})"),
    ("GitLab token", r"\bgl(?:pat|ptt|dt|rt|soat)-[A-Za-z0-9_-]{16,}"),
    ("AWS key", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"),
    ("AWS secret", r"(?i)aws.{0,24}secret.{0,24}?[=:\s\"']+[A-Za-z0-9/+]{40}\b"),
    ("Google key", r"\bAIza[A-Za-z0-9_-]{30,}|\bya29\.[A-Za-z0-9_-]{20,}|\bGOCSPX-[A-Za-z0-9_-]{16,}"),
    ("private key", r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d|AGE-SECRET-KEY-1"),
    # The same without its header: how RSA, EC, Ed25519, encrypted ones and those of OpenSSH begin in base64.
    ("private key", r"\bMII[\w+/]{2}[AQgw]IBA|\bMI[GH][\w+/]AgE[AB]|\bMHcCAQEE|\bMC4CAQAwBQYDK2Vw|BgkqhkiG9w0BBQ[0w]"),
    ("private key", r"b3BlbnNzaC1rZXktdjE"),
    ("Slack token", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/[A-Za-z0-9/]{20,}"),
    ("package index token", r"\bpypi-[A-Za-z0-9_-]{40,}|\bnpm_[A-Za-z0-9]{30,}"),
    ("other service's key", r"\b(?:gsk|xai|r8|pplx|nvapi|dop_v1|shpat|sq0csp|SG|lin_api|ntn)[_.-][A-Za-z0-9_.-]{24,}"),
    ("key of payments", r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}"),
    ("JSON web token", r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*"),
    ("password in an address", r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'<>{}$]{0,80}:[^\s/@\"'<>{}$]{3,200}@"),
    ("login of a command", r"\b(?:curl|wget|https?)\b.*\s(?:-u|--\S*user)[ =]?[\"']?[^\s:\"'$<>{}]+:[^\s\"'$<>{}]{3,}"),
    ("bearer token", r"(?i)\bauthorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic|token)\s+[\w.~+/=-]{12,}"),
)  # fmt: skip
_FORMS = tuple((kind, re.compile(pattern)) for kind, pattern in _KEYS)
# Over lines: they say what they are only together.
_WHOLE = (
    ("login of a netrc file", re.compile(
        r"(?m)^\s*(?:machine\s+[\w.-]+|default)(?:\s+(?:login|account)\s+\S+)*\s+password\s+\S+")),
)  # fmt: skip
CALLED, GIVEN = "value of a key", "password in plain words"
KINDS = (*dict.fromkeys(kind for kind, _ in (*_FORMS, *_WHOLE)), CALLED, GIVEN)
_WORDS = rf"(?:{'|'.join((*secret.WORDS, 'pwd', 'pass', 'bearer'))})"
_SOUGHT = re.compile(_WORDS, re.IGNORECASE)
_PART = re.compile(
    rf"(?:api|access|account|admin|auth|client|db|encryption|license|master|private|refresh|root|secret|service|session"
    rf"|shared|signing|storage|user)?{_WORDS}s?\d{{0,3}}", re.IGNORECASE,
)  # fmt: skip
_SPLIT = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")
_ASSIGNED = re.compile(
    r"(?P<called>[A-Za-z_][\w.-]{1,80})[\"'\]]{0,2}"
    r"(?:\s*:\s*[\w.\[\]| ]{1,40}(?==))?(?P<how>\s*(?:=>|:=|=|:)\s*|\s+(?=[\"']))(?P<quote>[\"'`]?)"
    r"(?=(?P<value>[^\s\"'`]{8,400}))"  # a value may have the next one in it: ?a=b&token=c
)
_OPTION = re.compile(r"--(?P<called>[\w-]{2,60})(?P<how>[ =])(?P<quote>[\"']?)(?P<value>[^\s\"'`]{8,400})")
_OF_SHELL = re.compile(r"^\s*(?:export\s+|set\s+|ENV\s+|-e\s+|- )?[A-Z][A-Z0-9_]*=[\"']?$")
_OF_LINE = re.compile(r"^\s*(?:- )?[\"']?[\w.-]*[\"']?\s*[:=]\s*[\"']?$")
_IN_ADDRESS = re.compile(r"[a-z+]{2,20}://([^\s/@:\"'<>{}$]{16,400})@")
_CODE = frozenset("()[]{}<>$|\\")
_PIECES = re.compile(r"[^A-Za-z0-9]+")
_THOUGHT_UP = re.compile(r"(?:[a-z]+|[A-Z][a-z]*|[A-Z]+)?\d{0,4}(?:[a-z]*|[A-Z][a-z]+)|\d{0,14}")
_LONG, _SHORT, _VARIED = 16, 8, 2.8


def within(line: str) -> Iterator[tuple[str, str]]:
    """What a line has: the kind, and the value where the kind rests on what it is called."""
    known = [kind for kind, pattern in _FORMS if pattern.search(line)]
    yield from ((kind, "") for kind in known)
    if known:
        return
    yield from ((CALLED, found[1]) for found in _IN_ADDRESS.finditer(line) if is_random(found[1]))
    if not _SOUGHT.search(line):
        return
    for pattern in (_ASSIGNED, _OPTION):
        for found in pattern.finditer(line):
            kind = _judged(line, found)
            if kind:
                yield kind, found["value"]


def over_lines(text: str) -> Iterator[tuple[str, int]]:
    """What only several lines say together, and where it begins."""
    for kind, pattern in _WHOLE:
        yield from ((kind, text.count("\n", 0, found.start()) + 1) for found in pattern.finditer(text))


def _judged(line: str, found: re.Match[str]) -> str:
    words = [each for each in _SPLIT.split(found["called"]) if each]
    named = {each.lower() for each in words if _PART.fullmatch(each)}
    if not named:
        return ""
    value = found["value"].rstrip(",;.")
    if len(value) >= _LONG and is_random(value):
        return CALLED
    before = line[: found.start("value")]
    is_open = any("pass" in each or "pwd" in each or "secret" in each for each in named)
    if len(value) < _SHORT or (value.isdecimal() and not is_open):
        return ""
    if _OF_SHELL.match(before):
        is_word = value.startswith(("$", "<", "{", "%", "/", "~", "./")) or (not is_open and bool(_is_words(value)))
        return "" if is_word else GIVEN
    if not is_open or not _CODE.isdisjoint(value) or _SOUGHT.search(value):
        return ""
    mixed = any(map(str.isdigit, value)) and any(map(str.isalpha, value))
    ends = line[found.end("value") :].strip(" \t\"',;") == ""
    is_alone = bool(_OF_LINE.match(before)) and ends and "." not in value and not value.isidentifier()
    return GIVEN if mixed or is_alone else ""


def is_random(value: str) -> bool:
    """Whether nobody can have thought it up: varied, of letters and digits, and no words with a number."""
    if not _CODE.isdisjoint(value) or not (any(map(str.isdigit, value)) and any(map(str.isalpha, value))):
        return False
    counts = [value.count(each) / len(value) for each in set(value)]
    return -sum(each * math.log2(each) for each in counts) >= _VARIED and not _is_words(value)


def _is_words(value: str) -> bool:
    return all(_THOUGHT_UP.fullmatch(each) for each in _PIECES.split(value))
