"""What the texts of a SPEC must obey beyond being text: names, paths, commands, and the words with a number in them."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from lab.core import cadence, ids
from lab.core.errors import BadInput, nearest
from lab.core.run import DIRECTIONS, MAXIMIZE, MINIMIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ALIASES: Mapping[str, Mapping[str, str]] = {
    "metric_direction": {
        **DIRECTIONS,
        "max": MAXIMIZE,
        "maximise": MAXIMIZE,
        "min": MINIMIZE,
        "minimise": MINIMIZE,
    },
    "promotion_strategy": {"git-apply-on-accept": "apply-on-accept"},
}
COMMANDS = (
    "executor_command", "setup_command", "baseline_command", "mutation_command", "validation_command",
    "checks_command", "holdout_command",
)  # fmt: skip
ESCALATIONS = (
    "breakthrough_found", "blocked_on_external_access", "metric_regression_3_consecutive", "new_best", "metric_drift",
    "holdout_gap", "holdout_failed",
)  # fmt: skip

_REGRESSION = re.compile(r"metric_regression_[1-9][0-9]{0,3}_consecutive")
_BATCH = re.compile(r"[1-9][0-9]{0,5}|auto(?::[1-9][0-9]{0,2})?")
_DRIVE = re.compile(r"[A-Za-z]:")
_SHOWN_CHARS = 60
_SLIP = 3  # letters by which a misspelt rule is longer or shorter
RULES = ("improve", "improve-or-simpler", "confirmed")  # those of core.verdict, which takes a while to load


def relative_path(text: str) -> str:
    """A path that stays inside the folder it is relative to, as far as its spelling tells; links are not followed."""
    parts = text.replace("\\", "/").split("/")
    if parts[0] == "" or parts[0].startswith("~") or _DRIVE.match(text):
        raise BadInput(f"{text[:_SHOWN_CHARS]!r} is not relative", fix="write the path as seen from workspace_root")
    if ".." in parts:
        raise BadInput(f"{text[:_SHOWN_CHARS]!r} leads out of the workspace", fix="leave out the '..'")
    return text


def absolute_path(text: str) -> str:
    """A folder by its whole path; `~` is the home of whoever starts the lab."""
    if not text.startswith(("/", "~/")):
        raise BadInput(f"{text[:_SHOWN_CHARS]!r} is not absolute", fix="write the whole path of the folder")
    if ".." in text.split("/"):
        raise BadInput(f"{text[:_SHOWN_CHARS]!r} has a '..'", fix="write where it really is")
    return text


def writable_path(text: str) -> str:
    """A folder that the commands of a candidate may write to. All of the machine is no fence."""
    if not absolute_path(text).strip("/."):
        raise BadInput(f"{text[:_SHOWN_CHARS]!r} is the whole machine", fix="name the folder that is meant")
    return text


def acceptance(text: str) -> str:
    """Words for people, or a rule. What comes near the name of a rule is meant as one, and would decide nothing."""
    near = "" if text in RULES or " " in text else nearest(text[:_SHOWN_CHARS].lower(), RULES)
    if near and abs(len(text) - len(near)) <= _SLIP:
        raise BadInput(f"{text[:_SHOWN_CHARS]!r} is no rule", fix=f"did you mean {near}?")
    return text


def apart(mutable: Iterable[str], read_only: Iterable[str]) -> None:
    """Refuse a path that a change may touch and may not: every change to it would be refused."""
    both = {each.strip("/ ") for each in mutable} & {each.strip("/ ") for each in read_only}
    if both:
        what = f"{min(both)[:_SHOWN_CHARS]!r} is in mutable_paths too"
        raise BadInput(what, fix="keep it in one of them")


def tag(text: str) -> str:
    """The end of a branch's name. Blank is the experiment's id."""
    return ids.name(text, "tag") if text else text


def escalation(text: str) -> str:
    if text in ESCALATIONS or _REGRESSION.fullmatch(text):
        return text
    near = nearest(text[:_SHOWN_CHARS], ESCALATIONS)
    known = ", ".join(word.replace("_3_", "_N_") for word in ESCALATIONS)
    fix = f"did you mean {near}?" if near else f"known are {known}"
    raise BadInput(f"{text[:_SHOWN_CHARS]!r} is no event", fix=fix)


def splits(command: str) -> None:
    """Refuse a command that no shell reads and that cannot be split into arguments: it would fail at every run."""
    try:
        shlex.split(command)
    except ValueError:
        fix = "close the quote, or set `shell: true`"
        raise BadInput("has a quote that is never closed", fix=fix) from None


def address(text: str) -> str:
    """The address of a service. With a key in it, it would be sealed into every bundle."""
    if not text.startswith(("http://", "https://")):
        raise BadInput(f"{text[:_SHOWN_CHARS]!r} is no address of a service", fix="begin it with http:// or https://")
    if "@" in text.split("//", 1)[1].split("/", 1)[0] or "?" in text or "#" in text:
        raise BadInput("holds more than an address", fix="leave out user, password, ? and #; name the key's variable")
    return text.rstrip("/")


def batch_size(text: str) -> str:
    """As lm_eval takes it. It reads any other word only when the model was loaded, and fails then."""
    if not _BATCH.fullmatch(text):
        raise BadInput(f"{text[:_SHOWN_CHARS]!r} is no batch size", fix="a whole number, auto, or auto:N")
    return text


def workspace_mode(text: str) -> str:
    """The mode that is meant; all that begins with git, and is none of ours, was always a clone."""
    mode = text.lower()
    return "git-clone" if mode.startswith("git") and mode != "git-worktree" else text


# Asked of the text of a field, or of each entry where the field is a list.
TEXTS: Mapping[str, Callable[[str], str]] = {
    "id": ids.experiment_id,
    "parent_experiment": ids.experiment_id,
    "cadence": lambda text: cadence.parse(text).text,
    "executor": lambda text: ids.name(text, "executor"),
    "executor_class": lambda text: ids.name(text, "class"),
    "strategy": lambda text: ids.name(text, "strategy"),
    "agent_provider": lambda text: ids.name(text, "provider"),
    "llm.base_url": address,
    "llm.api_key_env": ids.variable,
    "llm.provider": lambda text: ids.name(text, "provider"),
    "llm.fallback": lambda text: ids.name(text, "strategy"),
    "tinker.base_url": address,
    "lm_eval.batch_size": batch_size,
    "worker_roles": ids.role,
    "fidelity_tiers": ids.tier,
    "initial_fidelity_tier": ids.tier,
    "tags": lambda text: ids.name(text, "tag"),
    "env": ids.variable,
    "secrets": ids.variable,
    "mutable_paths": relative_path,
    "read_only_paths": relative_path,
    "ideas_file": relative_path,
    "writable_paths": writable_path,
    "acceptance_rule": acceptance,
    "loop_tag": tag,
    "escalate_when": escalation,
}
