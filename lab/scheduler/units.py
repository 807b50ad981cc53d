"""The texts that make a schedule: a block of a crontab, two systemd units, a launchd agent. Text in, text out."""

from __future__ import annotations

import itertools
import re
import shlex
from html import escape
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput, LabError
from lab.store import shipped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CRON, SYSTEMD, LAUNCHD = "cron", "systemd", "launchd"
SCHEDULER = "LABCTL_SCHEDULER"
_MINUTE_S, _HOUR_S, _DAY_S, _WEEK_S = 60, 3600, 86_400, 604_800
_OPEN, _CLOSE = "# >>> {name}:", "# <<< {name} <<<"
_CRON_CHARS = 990  # cron takes commands of at most 999, and cuts or refuses longer ones
_JITTER_S = 60
_PLAIN = re.compile(r"[A-Za-z0-9/._+@-]+")
_OPENED = re.compile(r"# >>> (labctl-[^ :]+):")
_ASSIGNED = re.compile(r"[A-Za-z_][A-Za-z_0-9]*=")
_FIELDS = 5  # of a line of cron, before its command
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_EVERY = re.compile(r"^Description=.*, every ([0-9.e+]+)([smhd]) \(", re.MULTILINE)
_SHELL = ("/bin/sh", "-c", 'exec "$0" "$@"')


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be started, how often, and under which name. `command` begins with an absolute path."""

    name: str
    every_s: float
    command: tuple[str, ...]
    path: str  # $PATH, written out: cron's own knows neither a virtual environment nor /usr/local
    errors: str = ""  # where launchd puts what is said on stderr

    def environ(self, backend: str) -> dict[str, str]:
        return {SCHEDULER: backend, "PATH": self.path}


def plain(text: str, what: str) -> str:
    """Refuse what a line of text cannot carry."""
    if not text.isprintable():
        raise BadInput(f"{what} {text!a} has a control character in it", fix="no schedule can carry that; rename it")
    return text


# -- cron -----------------------------------------------------------------------------------------------------------


def cron_block(plan: Plan) -> str:
    """The lines of a crontab, between markers that only this lab uses."""
    assignments = [f"{key}={shlex.quote(value)}" for key, value in plan.environ(CRON).items()]
    command = " ".join((*assignments, shlex.join(plan.command))).replace("%", "\\%")  # a bare % is a newline to cron
    if len(command.encode()) > _CRON_CHARS:
        what = f"cron takes lines of up to {_CRON_CHARS} bytes; this one has {len(command.encode())}"
        raise BadInput(
            what, fix="shorten PATH for it: PATH=/usr/bin:/bin labctl schedule install; or --backend systemd"
        )
    return shipped.config("cron.txt").format(name=plan.name, times=cron_times(plan.every_s), command=command)


def cron_times(every_s: float) -> str:
    """The five fields for an interval. Cron counts from the hour and from midnight: only what divides them is even."""
    found = _cron_times().get(every_s)
    if found is None:
        nearest_s = min(_cron_times(), key=lambda known_s: abs(known_s - every_s))
        raise BadInput(
            f"cron cannot run something every {shown(every_s)}: only whole minutes that divide an hour, or hours that "
            "divide a day",
            fix=f"--every {shown(nearest_s)} is the nearest; systemd and launchd can do any: --backend systemd",
        )
    return found


def _cron_times() -> dict[float, str]:
    minutes = {n * _MINUTE_S: f"*/{n} * * * *" for n in range(2, 31) if 60 % n == 0}
    hours = {n * _HOUR_S: f"0 */{n} * * *" for n in range(2, 13) if 24 % n == 0}
    once = {_MINUTE_S: "* * * * *", _HOUR_S: "0 * * * *", _DAY_S: "0 0 * * *", _WEEK_S: "0 0 * * 0"}
    return {float(seconds): fields for seconds, fields in {**minutes, **hours, **once}.items()}


def crontab_with(before: str, block: str, name: str) -> str:
    """A crontab with our block in it; whatever else is there stays, byte for byte."""
    lines = before.splitlines(keepends=True)
    span = _span(lines, name)
    if span is None:
        return before + ("\n" if before and not before.endswith("\n") else "") + block
    first, last = span
    return "".join(lines[:first]) + block + crontab_without("".join(lines[last + 1 :]), name)


def crontab_without(before: str, name: str) -> str:
    """A crontab without our block."""
    lines = before.splitlines(keepends=True)
    span = _span(lines, name)
    if span is None:
        return before
    return "".join(lines[: span[0]]) + crontab_without("".join(lines[span[1] + 1 :]), name)


def _span(lines: list[str], name: str) -> tuple[int, int] | None:
    """The first and the last line of our block."""
    opened, closed = _OPEN.format(name=name), _CLOSE.format(name=name)
    first = next((number for number, line in enumerate(lines) if line.startswith(opened)), None)
    if first is None:
        return None
    for last in range(first + 1, len(lines)):
        if lines[last].rstrip() == closed:
            return first, last
    what = f"the crontab has the first line of {name} and not its last: nobody can tell what of it is ours"
    raise LabError(what, fix="crontab -e, take the lines of labctl out, then install again")


def cron_found(crontab: str) -> Iterator[tuple[str, float, list[str]]]:
    """What the blocks of labs in a crontab start: name, how often (0 when that is not ours), and the command."""
    lines = crontab.splitlines()
    for first, line in enumerate(lines):
        opened = _OPENED.match(line)
        if opened is None:
            continue
        closed = _CLOSE.format(name=opened[1])
        for each in lines[first + 1 :]:
            if each.rstrip() == closed:
                break
            if each.strip() and not each.lstrip().startswith("#"):
                yield (opened[1], *_cron_line(each))
                break


def _cron_line(line: str) -> tuple[float, list[str]]:
    fields = line.split(None, _FIELDS)
    times, command = " ".join(fields[:_FIELDS]), "".join(fields[_FIELDS:])
    try:
        words = shlex.split(command.replace("\\%", "%"))
    except ValueError:  # a person's hand was in it
        words = command.split()
    every_s = next((every_s for every_s, known in _cron_times().items() if known == times), 0.0)
    return every_s, list(itertools.dropwhile(_ASSIGNED.match, words))


# -- systemd --------------------------------------------------------------------------------------------------------


def service(plan: Plan) -> str:
    """The unit that takes one turn."""
    words = plan.command
    if not _PLAIN.fullmatch(words[0]):  # systemd takes no program with a quote in its name, however it is written
        words = (*_SHELL, *words)
    command = " ".join(_systemd_word(word, dollar="$$") for word in words)
    pairs = [f"{key}={value}" for key, value in plan.environ(SYSTEMD).items()]
    environment = "\n".join(f"Environment={_systemd_word(pair, dollar='$')}" for pair in pairs)
    return shipped.config("labctl.service").format(name=plan.name, command=command, environment=environment)


def timer(plan: Plan) -> str:
    """The unit that starts it. What the clock can say is caught up after a pause; the rest is counted from the last."""
    calendar = _calendar(plan.every_s)
    every = f"{plan.every_s:g}s"
    times = f"OnCalendar={calendar}\nPersistent=true" if calendar else f"OnActiveSec=1s\nOnUnitActiveSec={every}"
    jitter = f"{min(plan.every_s / 10, _JITTER_S):g}s"
    return shipped.config("labctl.timer").format(name=plan.name, times=times, jitter=jitter, every=shown(plan.every_s))


def service_command(text: str) -> list[str]:
    """What a service of ours starts."""
    line = next((each for each in text.splitlines() if each.startswith("ExecStart=")), "")
    words = [re.sub(r"\\(.)", r"\1", word).replace("%%", "%").replace("$$", "$") for word in _QUOTED.findall(line)]
    return words[len(_SHELL) :] if tuple(words[: len(_SHELL)]) == _SHELL else words


def timer_every_s(text: str) -> float:
    """How often a timer of ours says that it comes; 0 where it does not say."""
    found = _EVERY.search(text)
    units_s = {"s": 1, "m": _MINUTE_S, "h": _HOUR_S, "d": _DAY_S}
    return float(found[1]) * units_s[found[2]] if found else 0.0


def _calendar(every_s: float) -> str:
    """When the clock says so; empty for an interval that does not divide a minute, an hour or a day."""
    known = {
        **{n: f"*:*:0/{n}" for n in range(1, 31) if 60 % n == 0},
        **{n * _MINUTE_S: f"*:0/{n}" for n in range(1, 31) if 60 % n == 0},
        **{n * _HOUR_S: f"0/{n}:00" for n in range(1, 13) if 24 % n == 0},
        _DAY_S: "*-*-* 00:00",
        _WEEK_S: "Mon *-*-* 00:00",
    }
    return known.get(int(every_s), "") if every_s == int(every_s) else ""


def _systemd_word(word: str, *, dollar: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", dollar)
    return f'"{escaped}"'


# -- launchd --------------------------------------------------------------------------------------------------------


def label(plan: Plan) -> str:
    return f"org.{plan.name.replace('-', '.', 1)}"


def plist(plan: Plan) -> str:
    """The agent. launchd counts in whole seconds."""
    return shipped.config("launchd.plist").format(
        label=label(plan),
        arguments="\n".join(f"    <string>{_xml(word)}</string>" for word in plan.command),
        environment=_entries(plan.environ(LAUNCHD)),
        seconds=max(1, round(plan.every_s)),
        errors=_xml(plan.errors),
    )


def _entries(pairs: Mapping[str, str]) -> str:
    return "\n".join(f"    <key>{_xml(key)}</key>\n    <string>{_xml(value)}</string>" for key, value in pairs.items())


def _xml(text: str) -> str:
    return escape(text, quote=False)


def shown(seconds: float) -> str:
    """A length of time as --every takes it."""
    for unit_s, letter in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "m")):
        if seconds >= unit_s and seconds % unit_s == 0:
            return f"{seconds / unit_s:g}{letter}"
    return f"{seconds:g}s"
