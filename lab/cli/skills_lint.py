"""`labctl skills lint`: the rules on one skill or several, with the parsers as judges of commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli import commands, skills_found
from lab.cli import parser as parsers
from lab.cli.terminal import Answer
from lab.core.errors import DONE, FAILED, BadInput, nearest
from lab.core.skills import codes, overlap, page, shell
from lab.core.skills import lint as rules
from lab.core.skills.commands import Wrong
from lab.store import skills

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.core.skills.codes import Issue
    from lab.store.skills import Place, Skill

_EARLY = frozenset({"--json", "-q", "--quiet", "--debug"})
_HELP = frozenset({"help", "-h", "--help", "-V", "--version"})
_ORDER = {"error": 0, "warning": 1, "info": 2}


def judged(skill: Skill, shadows: Sequence[Place]) -> list[Issue]:
    """Everything that is wrong with one skill."""
    beside = {place.name for place in skills.inside(skill.place.root, skill.place.scope)}
    known = frozenset(beside | {place.name for place in skills.bundled()})
    found = [*skill.issues, *rules.judge(skill.page, skill.place.name, files=skill.files, known=known, attempt=attempt)]
    if shadows:
        what = f"it hides {', '.join(skills_found.shown_path(place) for place in shadows)}"
        found.append(codes.issue("NAME_CLASH", what, field="name"))
    return found


def lint(names: Sequence[str], *, strict: bool, home_too: bool) -> Answer:
    """Judge the skills named, or all of them."""
    from msgspec import to_builtins

    found: dict[str, list[Issue]] = {}
    playbooks: dict[str, str] = {}
    for skill, shadows in _meant(names, home_too=home_too):
        key = skills_found.shown_path(skill.place)
        found[key] = judged(skill, shadows)
        playbooks[key] = skill.page.playbook
    for key, issue in overlap.judge(playbooks):
        found[key].append(issue)
    counts = {severity: _count(found, severity) for severity in _ORDER}
    is_bad = counts["error"] or (strict and counts["warning"])
    data = {
        "strict": strict,
        "skills": [{"path": key, "issues": [to_builtins(each) for each in issues]} for key, issues in found.items()],
        **{f"{severity}s": count for severity, count in counts.items()},
    }
    return Answer(data, _lines(found, counts), exit_code=FAILED if is_bad else DONE)


def _meant(names: Sequence[str], *, home_too: bool) -> Iterator[tuple[Skill, list[Place]]]:
    if not names:
        yield from ((skill, []) for skill in skills_found.everything(home_too=home_too))
    for name in names:
        several = skills.at(name) if skills_found.is_path(name) else []
        if not several:
            yield skills_found.chosen(name)
        yield from ((skills.read(place), []) for place in several)


def _count(found: dict[str, list[Issue]], severity: str) -> int:
    return sum(each.severity == severity for issues in found.values() for each in issues)


def _lines(found: dict[str, list[Issue]], counts: dict[str, int]) -> Iterator[str]:
    from lab.projections import text

    for key, issues in found.items():
        for each in sorted(issues, key=lambda issue: (_ORDER[issue.severity], issue.line)):
            where = f"{text.line(key)}/{page.NAME}:{each.line}"
            yield f"{where}: {each.severity} {each.code} [{each.target}] {text.line(each.message)}"
            yield f"\tfix: {text.line(each.fix)}"
    told = ", ".join(text.count(number, severity) for severity, number in counts.items() if severity != "info")
    yield f"{text.count(len(found), 'skill')}: {told}"


_built: dict[str, parsers.Parser] = {}


def attempt(words: Sequence[str], *, whole: bool) -> Wrong | None:
    """Whether the parsers take these words. What stands for something else (`$RUN`, `<id>`, `...`) is no fault."""
    rest = list(words)
    while rest and (rest[0] in _EARLY or rest[0].startswith("--data-root")):
        rest = rest[2:] if rest[0] == "--data-root" else rest[1:]
    if not rest or _HELP & set(rest) or _stands_for_another(rest[0]):
        return None
    command = commands.find(rest[0])
    if command is None:
        close = nearest(rest[0], commands.words())
        fix = f"did you mean: labctl {close}" if close else ""
        return Wrong(code="COMMAND_UNKNOWN", message=f"labctl has no verb {rest[0][:60]}", fix=fix)
    if command.name not in _built:
        _built[command.name] = parsers.build(command)
    built = _built[command.name]
    if any(word.startswith("-") and shell.STANDIN in word.partition("=")[0] for word in rest):
        return None  # some flag: which one is not known
    if whole:
        return _tried(built, rest)
    flags = [word.strip("[]().,;").partition("=")[0] for word in rest[1:] if word.strip("[(").startswith("-")]
    unknown = [flag for flag in flags if flag.strip("-") and flag not in built._option_string_actions]  # noqa: SLF001
    if unknown:
        what = f"labctl {command.name} has no {unknown[0][:60]}"
        return Wrong(code="COMMAND_USAGE", message=what, fix=f"labctl {command.name} --help")
    return None


def _tried(built: parsers.Parser, rest: list[str]) -> Wrong | None:
    try:
        built.read(rest[1:])
    except BadInput as refusal:
        is_open = any(_stands_for_another(word) for word in rest[1:])
        if is_open and "invalid" in refusal.what:
            return None
        return Wrong(code="COMMAND_USAGE", message=f"labctl {rest[0]}: {refusal.what}", fix=f"{built.prog} --help")
    return None


def _stands_for_another(word: str) -> bool:
    return bool(set(word) & set("$<>{}|*")) or shell.STANDIN in word or word == "..." or word.isupper()
