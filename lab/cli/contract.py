"""The machine contract as a value: what LAB_MANIFEST.json holds. Its JSON Schema is made from these records."""

from __future__ import annotations

from typing import Literal

import msgspec

from lab.core.inventory import Known

FORMAT: Literal[2] = 2


class Flag(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A flag of a command. A `boolean` takes no value; a `repeatable` one may be given several times."""

    flags: list[str]
    type: Literal["string", "integer", "number", "boolean"]
    help: str = ""
    takes: str = ""
    default: str | int | float | bool | None = None
    choices: list[str] = []
    required: bool = False
    repeatable: bool = False


class Argument(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A word after the verb; `many` where there may be several."""

    name: str
    type: Literal["string", "integer", "number", "boolean"]
    required: bool
    help: str = ""
    choices: list[str] = []
    many: bool = False


class Exclusive(msgspec.Struct, kw_only=True):
    """Flags, or an argument by its name, of which at most one may be given; exactly one, where `required`."""

    flags: list[str]
    required: bool


class Verb(msgspec.Struct, kw_only=True):
    """A command. `data` is the schema of what `--json` carries, in terms of the `$defs` of this document."""

    name: str
    aliases: list[str]
    group: str
    summary: str
    help: str
    sub_verbs: list[str]
    example: list[str]
    arguments: list[Argument]
    flags: list[Flag]
    exclusive: list[Exclusive]
    a_person_decides: list[str]  # forms of it that a program does not type on its own account
    exit_codes: dict[str, str]
    schema: str
    data: dict[str, object]


class Error(msgspec.Struct, kw_only=True):
    """Why nothing came of it, or what did not succeed. It is there whenever `ok` is false."""

    kind: str
    exit_code: int
    message: str
    where: str
    fix: str


class Failure(msgspec.Struct, kw_only=True):
    """A refusal under `--json`."""

    schema: str
    ok: Literal[False]
    error: Error


class ErrorKind(msgspec.Struct, kw_only=True):
    """A kind of error; `labctl explain KIND` says more."""

    exit_code: int
    means: str


class Envelope(msgspec.Struct, kw_only=True):
    """The keys of a `--json` document: done with success; done, and without (`ok` is false); refused (no `data`).

    `sometimes` are those of what was done that are there where there is something to say.
    """

    schema: str
    success: list[str]
    sometimes: list[str]
    unsuccessful: list[str]
    failure: list[str]
    error: list[str]


class Environment(msgspec.Struct, kw_only=True):
    """Variables by name, and what each is for."""

    read: dict[str, str]
    given_to_runs: dict[str, str]
    passed_to_runs: list[str]


class LabManifest(msgspec.Struct, kw_only=True):
    """LAB_MANIFEST.json."""

    manifest_format: Literal[2]
    name: Literal["labctl"]
    version: str
    read_first: list[str]
    index: dict[str, dict[str, str]]  # the verbs in a line each, by what they are for
    programs: dict[str, str]  # what the program of a run is given, and how its value is told
    envelope: Envelope
    exit_codes: dict[str, str]
    error_kinds: dict[str, ErrorKind]
    flags_everywhere: list[Flag]
    commands: list[Verb]
    files: list[Known]
    formats: dict[str, int]
    environment: Environment
    phases: dict[str, str]
    outcomes: dict[str, str]
    verdicts: dict[str, str]
    events: dict[str, str]
    schemas: dict[str, dict[str, object]]
    defs: dict[str, dict[str, object]] = msgspec.field(name="$defs")
