"""Whether a change is one in name only: other seeds are other luck, and luck may not be kept. Pure.

Only the lines are looked at. That nothing else was changed (a mode, a link, a file that is no text) is for the caller
to see first. A statement that was moved and got another seed on the way reads as if it had stayed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.core import constant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WHITESPACE, COMMENTS = "whitespace", "comments"
_MASK = "\0"
_LINE_CHARS = 4_000  # a longer one is data or was made by a program: it counts as a change, whatever is in it
_NUMBER = r"-?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|[0-9][0-9_]*)(?:[uU]?[lL]{0,2})"
_NAME = r"(?P<name>[A-Za-z_][\w-]*)"
_BEGINS = r"(?<![\w-])"  # else each letter of a long word would be tried, and a word of 10 kB takes seconds
# `seed = 5`, `seed: int = 5`, `seed: 5`, `"seed": 5`, `seed += 5`, `args.seed + 5`; and `--seed 5`, `"--seed", "5"`,
# but not `train(seed, 5)`.
_NAMED = re.compile(
    rf"(?P<before>{_BEGINS}(?:{_NAME}(?:[\"']\s*:|\s*:\s*\w+\s*=|:\s|\s*[=+*^-]|\s*[+*^-]=)\s*"
    r"|--?(?P<flag>[A-Za-z][\w-]*)(?:\s+|=|[\"']\s*,\s*)))(?=[\"'\w(+~.-])"
)
_FLAGGED = re.compile(rf"[\"']?{_NUMBER}(?![\w.])")  # or the first half of a learning rate would pass for a seed
# `seeds = [1, 2]`: each is other luck, and how many there are is not.
_LIST = re.compile(
    rf"(?P<before>{_BEGINS}{_NAME}[\"']?\s*[:=]\s*)"
    rf"(?P<numbers>[\[(]\s*{_NUMBER}(?:\s*,\s*{_NUMBER})*\s*+,?\s*+[\])])"
)
_CALL = re.compile(
    r"(?P<before>(?:(?:\b(?:random|rng|generator|gen|prng|g)\.|\bset\.|(?<![\w.]))seed"
    r"|\b(?:manual_seed(?:_all)?|set_seed|seed_all|seed_everything|set_random_seed|seed_from_u64|default_rng|RandomState"
    r"|SeedSequence|PRNGKey|PCG64|PCG64DXSM|MT19937|Philox|SFC64|random\.Random|new Random|srand|srandom|srand48"
    r"|mt19937(?:_64)?\s+\w+)"
    r"|\brandom\.key)\(\s*)(?=[^\s)])"
)
# A name whose last part is seed is one; unless another part says that it is a count, a limit or a switch.
_SEEDS = frozenset({"seed", "hashseed", "pythonhashseed"})
_NO_SEED = frozenset(
    {"n", "num", "number", "nb", "no", "count", "max", "min", "per", "use", "with", "has", "is", "enable", "total",
     "size", "len", "length", "every", "skip", "fix"}
)  # fmt: skip
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# A whole statement that does nothing but seed. What stands before the call is a module or a generator.
_STATEMENT = re.compile(
    rf"\s*[\"']?(?:const |let |var |int |auto |export |self\.)?(?:[A-Za-z_][\w.-]*)"
    rf"(?:[\"']?\s*(?::\s*\w+\s*)?[:=]\s*[\"']?{_MASK}[\"']?|\(\s*{_MASK}\s*\))\s*+[,;]?\s*+(?:(?:#|//).*)?"
)

_HASHED = ("py", "pyi", "sh", "bash", "yaml", "yml", "toml", "cfg", "ini", "r", "R", "rb", "pl", "cmake", "jl", "mk")
_SLASHED = (
    "c",
    "h",
    "cc",
    "cpp",
    "hpp",
    "cu",
    "cuh",
    "js",
    "mjs",
    "ts",
    "tsx",
    "jsx",
    "rs",
    "go",
    "java",
    "kt",
    "swift",
)
_NO_REMARKS = ("cfg", "ini")  # there a line is a remark as a whole, or not at all


def seed_only(lines: Iterable[tuple[str, str, str]]) -> bool:
    """Whether these changed lines (path, `+` or `-`, text) differ in nothing but the numbers of seeds.

    Said only of what is certainly so: a change of anything besides, however small, is a change.
    """
    found = False
    for path, old, new in _by_path(lines):
        before, after = _less_statements(path, old), _less_statements(path, new)
        if len(before) != len(after):
            return False
        for (was, was_masked), (now, now_masked) in zip(before, after, strict=True):
            if was == now or was_masked != now_masked:  # the very same line was moved, and that is a change
                return False
        found = found or any(_MASK in _masked(line) for line in _less_comments(path, [*old, *new]))
    return found


def cosmetic(lines: Iterable[tuple[str, str, str]]) -> str:
    """`whitespace` or `comments` where nothing else was changed; else empty. It is said, and refused by nobody.

    How far a line is indented counts as a change, and so does a line that was moved.
    """
    kinds: set[str] = set()
    for path, old, new in _by_path(lines):
        if old == new:
            return ""
        if _squeezed(old) == _squeezed(new):
            kinds.add(WHITESPACE)
        elif _squeezed(_less_comments(path, old)) == _squeezed(_less_comments(path, new)):
            kinds.add(COMMENTS)
        else:
            return ""
    return COMMENTS if COMMENTS in kinds else WHITESPACE if kinds else ""


def _by_path(lines: Iterable[tuple[str, str, str]]) -> Iterator[tuple[str, list[str], list[str]]]:
    """Runs of what went away and what came in its place."""
    path, old, new = "", list[str](), list[str]()
    for where, sign, text in lines:
        if (where != path or (sign == "-" and new)) and (old or new):
            yield path, old, new
            old, new = [], []
        path = where
        (old if sign == "-" else new).append(text)
    if old or new:
        yield path, old, new


def _less_statements(path: str, lines: list[str]) -> list[tuple[str, str]]:
    """Each line beside what it says less its seeds. What does nothing but seed may come or go by itself: left out.

    So is what is said to people alone: else a remark beside the seed would make it a change.
    """
    said = [line for line in _less_comments(path, lines) if line.strip()]
    masked = [(line, _masked(_less_remark(path, line))) for line in said]
    return [(line, bare) for line, bare in masked if not (_MASK in bare and _STATEMENT.fullmatch(bare))]


def _masked(line: str) -> str:
    """The line with every constant that is certainly a seed blotted out."""
    line = line.replace(_MASK, "?")
    if len(line) > _LINE_CHARS:
        return line
    line = _blotted(line, _CALL)
    line = _LIST.sub(_blot_list, line)
    return _blotted(line, _NAMED)


def _blotted(line: str, what: re.Pattern[str]) -> str:
    """The line less the constants that follow what is found in it."""
    parts, done = list[str](), 0
    while found := what.search(line, done):
        after = _end(line, found)
        parts.append(line[done : found.end()] + (_MASK if after else ""))
        done = after or found.end()
    return "".join(parts) + line[done:]


def _end(line: str, found: re.Match[str]) -> int | None:
    """Where the seed ends that begins after what was found; None where it is none."""
    names = found.groupdict()
    if name := names.get("flag"):  # a shell reads no sums: `--seed 5 -1` are two words
        number = _FLAGGED.match(line, found.end())
        return number.end() if number and _is_seed(name) else None
    if name := names.get("name"):
        return constant.end_of_one(line, found.end()) if _is_seed(name) else None
    return constant.end(line, found.end())


def _blot_list(found: re.Match[str]) -> str:
    name = found["name"]
    if not (name[-1] in "sS" and _is_seed(name[:-1])):
        return found[0]
    return found["before"] + re.sub(_NUMBER, _MASK, found["numbers"])


def _is_seed(name: str) -> bool:
    if name in ("random_state", "randomState"):  # so scikit-learn calls it
        return True
    parts = [part.lower() for part in _PARTS.findall(name)]
    return bool(parts) and parts[-1] in _SEEDS and _NO_SEED.isdisjoint(parts)


def _squeezed(lines: list[str]) -> list[str]:
    return [line[: len(line) - len(line.lstrip())] + " ".join(line.split()) for line in lines if line.strip()]


def _less_comments(path: str, lines: list[str]) -> list[str]:
    suffix = path.rpartition(".")[2]
    sign = "#" if suffix in _HASHED else "//" if suffix in _SLASHED else ""
    return [line for line in lines if not (sign and line.lstrip().startswith(sign))]


def _less_remark(path: str, line: str) -> str:
    """The line without the remark at its end, where that is no part of a text."""
    if len(line) > _LINE_CHARS:
        return line
    suffix = path.rpartition(".")[2]
    sign = "#" if suffix in _HASHED and suffix not in _NO_REMARKS else "//" if suffix in _SLASHED else ""
    place = -1
    while sign and (place := line.find(sign, place + 1)) > 0:
        before = line[:place]
        if before[-1].isspace() and not any(before.count(quote) % 2 for quote in "\"'`"):
            return before.rstrip()
    return line.rstrip()
