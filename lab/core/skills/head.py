"""The rules for a skill's frontmatter: the open standard's, and those of the clients that add some."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.core.skills import strict
from lab.core.skills.codes import issue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.skills.codes import Issue
    from lab.core.skills.page import Page

STANDARD = ("name", "description", "license", "compatibility", "metadata", "allowed-tools")
_HERMES = ("platforms", "required_environment_variables")  # top-level keys that Hermes reads beside them
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
_WHEN = re.compile(r"\b(?:when|whenever|if|before|after)\b", re.IGNORECASE)
_RESERVED = ("anthropic", "claude")
NAME_CHARS, DESCRIPTION_CHARS, COMPATIBILITY_CHARS = 64, 1024, 500
HERMES_CHARS, CODEX_CHARS = 60, 400


def judge(page: Page, folder: str) -> Iterator[Issue]:
    """All rules for the block between the two lines of ---. `folder` is the name that the skill goes by on disk."""
    if not page.frontmatter:  # there is none, and that was said already
        return
    yield from _name(page, folder)
    yield from _description(page)
    yield from _fields(page)
    yield from strict.judge(page.head)


def short(page: Page) -> str:
    """The description for a client that wants at most 60 characters; the whole one where no shorter is given."""
    found = page.metadata.get("short")
    return found if isinstance(found, str) and found else page.said("description")


def _name(page: Page, folder: str) -> Iterator[Issue]:
    name, line = page.said("name"), page.line("name")
    if not name:
        yield issue("NAME_MISSING", "there is no name", line=line, field="name", fix=f"name: {folder}")
        return
    if _NAME.fullmatch(name) is None:
        close = "-".join(re.findall(r"[a-z0-9]+", name.lower()))
        fix = f"rename it to {close}" if close else ""
        yield issue("NAME_CHARSET", f"{name[:80]!r} is not a name", line=line, field="name", fix=fix)
    if len(name) > NAME_CHARS:
        yield issue("NAME_LENGTH", f"the name has {len(name)} characters", line=line, field="name")
    if name != folder:
        what = f"the name is {name[:80]!r}, the folder {folder[:80]!r}"
        yield issue("NAME_FOLDER", what, line=line, field="name")
    reserved = [word for word in _RESERVED if word in name.lower()]
    if reserved:
        yield issue("NAME_RESERVED", f"the name holds {reserved[0]}", line=line, field="name")


def _description(page: Page) -> Iterator[Issue]:
    text, line = page.said("description"), page.line("description")
    if not text.strip():
        yield issue("DESCRIPTION_MISSING", "there is no description", line=line, field="description")
        return
    if len(text) > DESCRIPTION_CHARS:
        what = f"the description has {len(text)} characters"
        yield issue("DESCRIPTION_LENGTH", what, line=line, field="description")
    elif len(text) > CODEX_CHARS:
        yield issue("CODEX_BUDGET", f"the description has {len(text)} characters", line=line, field="description")
    if not _WHEN.search(text):
        yield issue("DESCRIPTION_WHEN", "it says what, not when", line=line, field="description")
    for field in ("name", "description"):
        if _TAG.search(page.said(field)):
            yield issue("MARKUP", f"{field} holds a <tag>", line=page.line(field), field=field)
    brief = short(page)
    if len(brief) > HERMES_CHARS or not brief.endswith("."):
        what = f"for Hermes the description has {len(brief)} characters" + ("" if brief.endswith(".") else ", no stop")
        yield issue("HERMES_DESCRIPTION", what, line=line, field="metadata.short")


def _fields(page: Page) -> Iterator[Issue]:
    for field, value in page.frontmatter.items():
        line = page.line(field)
        if field not in STANDARD:
            target = " (Hermes reads it)" if field in _HERMES else ""
            yield issue("FIELD_UNKNOWN", f"the standard does not know {field[:80]}{target}", line=line, field=field)
        elif field == "metadata":
            yield from _metadata(value, page)
        elif not isinstance(value, str):
            yield issue("FIELD_TYPE", f"{field} is not text", line=line, field=field)
    if len(page.said("compatibility")) > COMPATIBILITY_CHARS:
        line = page.line("compatibility")
        what = f"compatibility has {len(page.said('compatibility'))} characters"
        yield issue("COMPATIBILITY_LENGTH", what, line=line, field="compatibility")


def _metadata(value: object, page: Page) -> Iterator[Issue]:
    if not isinstance(value, dict):
        yield issue("FIELD_TYPE", "metadata is not a map", line=page.line("metadata"), field="metadata")
        return
    for name, each in value.items():
        if not isinstance(each, str | dict):  # the map `hermes` is how Hermes' own fields travel
            field = f"metadata.{name}"
            what = f"{field} is not text; strict readers take its spelling, others its value"
            yield issue("FIELD_TYPE", what, line=page.line(field), field=field, fix="put it in quotes")
