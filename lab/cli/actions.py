"""Verbs that do several things: `labctl autoresearch start`, `labctl tinker check`.

Each action is a module with `arguments` (the flags that are its own), `answer`, the SHARED flags that it takes, and
TARGET: what it works on, in words; without one it takes none. TARGET_OPTIONAL: it has something to say without, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.errors import BadInput

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping
    from types import ModuleType

_EXPERIMENTS = "labctl list shows the experiments"


def refuse_strangers(
    verb: str,
    actions: Mapping[str, ModuleType],
    arguments: Callable[[argparse.ArgumentParser], None],
    args: argparse.Namespace,
) -> None:
    """Flags of another action: what was meant is not what would happen."""
    import argparse

    chosen = actions[args.action]
    target = getattr(chosen, "TARGET", "")
    if target and not args.target and not getattr(chosen, "TARGET_OPTIONAL", False):
        raise BadInput(f"{args.action} wants {target}", fix=getattr(chosen, "TARGET_FIX", _EXPERIMENTS))
    if args.target and not target:
        raise BadInput(f"{args.action} takes no {args.target[:60]!r}", fix=f"labctl {verb} {args.action} --help")
    known = set(chosen.SHARED) | _own(chosen)
    every = argparse.ArgumentParser(add_help=False)
    arguments(every)
    for action in every._actions:  # noqa: SLF001  # argparse tells it in no other way
        if not action.option_strings or action.dest in known or getattr(args, action.dest) == action.default:
            continue
        fix = f"labctl {verb} {args.action} --help"
        raise BadInput(f"{args.action} does not take {action.option_strings[-1]}", fix=fix)


def narrow(parser: argparse.ArgumentParser, verb: str, actions: Mapping[str, ModuleType], chosen: str) -> None:
    """Leave of a verb's help what one action is and takes. What `about` of its module says stands below it."""
    import argparse

    module = actions[chosen]
    of_others = set().union(*(_own(each) for each in actions.values()))
    for each in actions.values():
        of_others |= set(each.SHARED)
    for action in parser._actions:  # noqa: SLF001  # argparse tells it in no other way
        if action.dest == "action" or action.dest in of_others - _own(module) - set(module.SHARED):
            action.help = argparse.SUPPRESS
        elif action.dest == "target":
            target = getattr(module, "TARGET", "")
            action.help = f"{target}; may be left out" * getattr(module, "TARGET_OPTIONAL", False) or target
            action.help = action.help or argparse.SUPPRESS
        elif action.help:
            whose, _, own = action.help.partition(": ")
            action.help = own if own and set(whose.split(", ")) <= set(actions) else action.help
    about = getattr(module, "about", None)
    parser.prog = f"labctl {verb} {chosen}"
    parser.description = (module.__doc__ or "").strip()
    lines = [line for line in (parser.epilog or "").splitlines() if line.strip().startswith(f"{parser.prog} ")]
    below = "\n".join(["example:", *lines]) if lines else ""
    parser.epilog = "\n\n".join(filter(None, [below, about() if about else ""])) or None


def _own(module: ModuleType) -> set[str]:
    """The flags that a module makes for itself."""
    import argparse

    parser = argparse.ArgumentParser(add_help=False)
    module.arguments(parser.add_argument_group())
    return {action.dest for action in parser._actions}  # noqa: SLF001  # the same
