"""How often an experiment is due: an interval or five cron fields, in UTC. Also how a length of time is written.

Pure arithmetic on aware datetimes. Nothing here reads a clock, and no zone but UTC exists: a lab whose hosts
disagree about summer time would otherwise run twice, or not at all.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

import msgspec

from lab.core.errors import BadInput

DEFAULT_TEXT = "30m"
MAX_DAYS = 3650

_LATEST = datetime.max.replace(tzinfo=UTC)
# 29 February on one given weekday comes back after 28 years, or after 40 across a century without its leap day.
_SEARCH_MONTHS = 12 * 41
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
# Compiled where they are first needed.
_SHORT = r"([0-9]{1,12}(?:\.[0-9]{1,12})?|\.[0-9]{1,12})([smhd])"
_EVERY = r"every-([0-9]{1,12})-(second|minute|hour|day)s?"
_NUMBER = r"[-+]?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:e[-+]?[0-9]{1,3})?"
_WORDS = {
    "hourly": 3600.0,
    "every-hour": 3600.0,
    "daily": 86400.0,
    "every-day": 86400.0,
    "weekly": 604800.0,
    "every-week": 604800.0,
    "every-minute": 60.0,
}
_CRON_WORDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = {
    name: n
    for n, name in enumerate(("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1)
}
_DAYS = {name: n for n, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_FORMS = (
    "a number of minutes, 30s, 5m, 2h, 1d, hourly, daily, weekly, every-10-minutes, "
    "or five cron fields in UTC such as '0 9 * * mon-fri'"
)
_CRON_FIELDS = 5
_LARGE = 10**15  # a number with more digits is shown by none of them
_SHOWN_CHARS = 60


class Cron(msgspec.Struct, frozen=True):
    """The minutes, hours and days that five cron fields allow; each in order, weekdays from Sunday = 0."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    either_day: bool

    def after(self, last: datetime) -> datetime | None:
        """Return the first moment later than `last`, or None where there is none in the 41 years that follow."""
        start = last.replace(second=0, microsecond=0)
        for ahead in range(_SEARCH_MONTHS):
            month_index = start.year * 12 + start.month - 1 + ahead
            year, month = divmod(month_index, 12)
            if year > _LATEST.year:
                return None
            if month + 1 not in self.months:
                continue
            for day in self._days_of(year, month + 1):
                found = self._first_on(datetime(year, month + 1, day, tzinfo=UTC), last)
                if found is not None:
                    return found
        return None

    def _days_of(self, year: int, month: int) -> list[int]:
        import calendar  # noqa: PLC0415  # most cadences are intervals

        first, length = calendar.monthrange(year, month)  # Monday is 0 here, and Sunday is 0 in cron
        days = range(1, length + 1)
        by_day = {day for day in days if day in self.days}
        by_weekday = {day for day in days if (first + day) % 7 in self.weekdays}
        return sorted(by_day | by_weekday if self.either_day else by_day & by_weekday)

    def _first_on(self, day: datetime, last: datetime) -> datetime | None:
        if day + timedelta(hours=23, minutes=59) <= last:
            return None
        for hour in self.hours:
            for minute in self.minutes:
                moment = day.replace(hour=hour, minute=minute)
                if moment > last:
                    return moment
        return None


class Cadence(msgspec.Struct, frozen=True):
    """How often something is due. `text` reads back as the same cadence."""

    text: str
    every_s: float = 0.0
    cron: Cron | None = None

    def next_due(self, last: datetime) -> datetime:
        """Return when it is due again after `last` (aware), in UTC. An interval of 0 is always due: `last` itself."""
        if last.tzinfo is None:
            message = "next_due needs a time with its zone"
            raise ValueError(message)
        utc = last.astimezone(UTC)
        if self.cron is not None:
            return self.cron.after(utc) or _LATEST
        try:
            return utc + timedelta(seconds=self.every_s)
        except OverflowError:
            return _LATEST


def parse(value: object) -> Cadence:
    """Return the cadence that `value` writes; nothing at all means every 30 minutes."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        minutes = _finite(value)
        # Python refuses to print an integer of some thousand digits.
        return _interval(repr(value) if abs(minutes) < 2**53 else "of that size", minutes, _UNITS["m"])
    if value is not None and not isinstance(value, str):
        raise _refusal(value)
    text = " ".join((value or "").lower().split()) or DEFAULT_TEXT
    return _simple(text) or _cron(text)


def _simple(text: str) -> Cadence | None:
    if re.fullmatch(_NUMBER, text):
        return _interval(text, float(text), _UNITS["m"])
    if text in _WORDS:
        return _interval(text, _WORDS[text], 1.0)
    if found := re.fullmatch(_SHORT, text):
        return _interval(text, float(found[1]), _UNITS[found[2]])
    if found := re.fullmatch(_EVERY, text):
        return _interval(text, float(found[1]), _UNITS[found[2][0]])
    return None


def duration_s(value: object, what: str) -> float:
    """Return a length of time in seconds from `90s`, `5m`, `1.5h`, `2d`, or a plain number of seconds."""
    seconds = math.nan
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = _finite(value)
    elif isinstance(value, str):
        text = value.strip().lower()
        if found := re.fullmatch(_SHORT, text):
            seconds = float(found[1]) * _UNITS[found[2]]
        elif re.fullmatch(_NUMBER, text):
            seconds = float(text)
    if not (math.isfinite(seconds) and seconds >= 0):
        fix = "write 90s, 5m, 1.5h, 2d, or a plain number of seconds"
        below = " below 0" if -math.inf < seconds < 0 else ""
        raise BadInput(f"{what} {_shown(value)} is{below or ' not a length of time'}", fix=fix)
    return seconds


def _finite(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer of 400 digits
        return math.inf


def _interval(text: str, count: float, unit_s: float) -> Cadence:
    every_s = count * unit_s
    if not 0 <= every_s <= MAX_DAYS * _UNITS["d"]:  # false for NaN as well
        raise BadInput(f"cadence {text[:_SHOWN_CHARS]} is not between 0 and {MAX_DAYS} days", fix=f"write {_FORMS}")
    return Cadence(text, every_s=every_s + 0.0)  # -0.0 becomes 0.0


def _cron(text: str) -> Cadence:
    fields = _CRON_WORDS.get(text, text).split()
    if text.startswith("@") and len(fields) == 1:
        raise BadInput(f"cadence {_shown(text)} is not a word of cron's", fix=f"write one of {', '.join(_CRON_WORDS)}")
    if len(fields) != _CRON_FIELDS:
        raise _refusal(text)
    minute, hour, day, month, weekday = fields
    weekdays = {n % 7 for n in _field(weekday, "weekday", 0, 7, _DAYS)}
    cron = Cron(
        minutes=_field(minute, "minute", 0, 59, {}),
        hours=_field(hour, "hour", 0, 23, {}),
        days=_field(day, "day of the month", 1, 31, {}),
        months=_field(month, "month", 1, 12, _MONTHS),
        weekdays=tuple(sorted(weekdays)),
        # Where both are restricted, cron runs on either: '0 0 13 * fri' is each 13th and each Friday.
        either_day=not day.startswith("*") and not weekday.startswith("*"),
    )
    # Asked here, once: a date such as 30 February would else be searched for in vain at every turn of the crank.
    if cron.after(datetime(2000, 1, 1, tzinfo=UTC)) is None:
        raise BadInput(f"cadence {_shown(text)} names a date that never comes", fix="choose a day that its month has")
    return Cadence(text, cron=cron)


def _field(text: str, what: str, low: int, high: int, names: dict[str, int]) -> tuple[int, ...]:
    allowed: set[int] = set()
    for part in text.split(","):
        span, slash, step_text = part.partition("/")
        first, dash, last = span.partition("-")
        step = _cron_number(step_text, what, part, {}) if slash else 1
        if span == "*":
            start, end = low, high
        else:
            start = _cron_number(first, what, part, names)
            end = _cron_number(last, what, part, names) if dash else start
            if last == "sun":
                end = 7  # Sunday opens the week as 0 and closes it as 7: fri-sun is 5-7
            if slash and not dash:
                raise _field_refusal(what, part, "a step needs '*' or a range before it, as in */5 or 10-50/5")
        if not (low <= start <= end <= high and 1 <= step <= high):
            raise _field_refusal(what, part, f"numbers go from {low} to {high}, the smaller one first")
        allowed.update(range(start, end + 1, step))
    return tuple(sorted(allowed))


def _cron_number(text: str, what: str, part: str, names: dict[str, int]) -> int:
    if text in names:
        return names[text]
    if not re.fullmatch(r"[0-9]{1,2}", text):
        raise _field_refusal(what, part, "write numbers, names such as mon or jan, '*', lists, ranges and steps")
    return int(text)


def _field_refusal(what: str, part: str, fix: str) -> BadInput:
    return BadInput(f"cadence: cron's {what} cannot be {_shown(part)}", fix=fix)


def _refusal(value: object) -> BadInput:
    return BadInput(f"cadence {_shown(value)} is not understood", fix=f"write {_FORMS}")


def _shown(value: object) -> str:
    if isinstance(value, (str, bool, float)) or (isinstance(value, int) and abs(value) < _LARGE):
        return repr(value[:_SHOWN_CHARS] if isinstance(value, str) else value)
    return "of that size" if isinstance(value, int) else f"of type {type(value).__name__}"
