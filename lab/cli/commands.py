"""Every verb, in the order of `labctl --help`. Nothing is scanned for, and a verb is loaded when it is used."""

from __future__ import annotations


class Command:
    """A verb's name, where it lives, and its one line of help."""

    __slots__ = ("aliases", "group", "module", "name", "summary")

    def __init__(self, name: str, module: str, group: str, summary: str, aliases: tuple[str, ...] = ()) -> None:
        self.name = name
        self.module = f"lab.cli.{module}"
        self.group = group
        self.summary = summary
        self.aliases = aliases


START, LOOK, STEER, KEEP, MORE = "start", "look", "steer", "keep in order", "more"

COMMANDS = (
    Command("init", "init", START, "make a data root"),
    Command("create", "create", START, "make an experiment from a SPEC or a template", ("add-task",)),
    Command("validate", "validate", START, "check a SPEC without creating anything"),
    Command("import-root", "import_root", START, "read a hermes-lab data root in"),
    Command("status", "status", LOOK, "what wants you, and how the lab is"),
    Command("list", "list_", LOOK, "list experiments, or the runs of one"),
    Command("show", "show", LOOK, "show one experiment or one run"),
    Command("digest", "digest", LOOK, "write the digest of a day"),
    Command("weekly-digest", "digest_weekly", LOOK, "write the digest of a week"),
    Command("pause", "pause", STEER, "start no more runs of an experiment"),
    Command("resume", "resume", STEER, "let runs of an experiment start again"),
    Command("complete", "complete", STEER, "end an experiment"),
    Command("set-fidelity", "set_fidelity", STEER, "move an experiment to another fidelity tier"),
    Command("archive", "archive", STEER, "take an experiment out of the lists, or bring it back"),
    Command("watchdog", "watchdog", KEEP, "first: look for what is wrong, and settle dead runs"),
    Command("recover", "recover", KEEP, "then, if that was not enough: bring a damaged lab back to order"),
    Command("verify", "verify", KEEP, "prove that nothing sealed was changed or lost"),
    Command("refresh", "refresh", KEEP, "write every derived page again"),
    Command("lease", "lease", KEEP, "show or break the claims on an experiment"),
    Command("completion", "completion", MORE, "print a shell's completion script"),
)


def find(word: str) -> Command | None:
    """The command of this name or alias."""
    for command in COMMANDS:
        if word == command.name or word in command.aliases:
            return command
    return None


def words() -> tuple[str, ...]:
    """Every name and alias."""
    return tuple(word for command in COMMANDS for word in (command.name, *command.aliases))
