"""What can be wrong with a skill: a stable code each, who minds, and how to mend it.

`labctl skills lint` prints the codes. A code keeps its meaning for ever; one that is not needed any more is not reused.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["error", "warning", "info"]
Target = Literal["agentskills", "hermes", "claude-code", "codex", "opencode", "labctl"]


class Meaning(msgspec.Struct, frozen=True, kw_only=True):
    """One code: what it means, and the mend."""

    code: str
    severity: Severity
    target: Target
    means: str
    mend: str


class Issue(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong, where. `line` counts from 1 in SKILL.md; 0 where no line is meant."""

    code: str
    severity: Severity
    target: Target
    field: str = ""
    line: int = 0
    message: str
    fix: str


def _row(code: str, severity: Severity, target: Target, means: str, mend: str) -> Meaning:
    return Meaning(code=f"SKILL_{code}", severity=severity, target=target, means=means, mend=mend)


_TABLE = (
    _row("UNREADABLE", "error", "agentskills", "SKILL.md is missing, too large, or no UTF-8 text", "write it as text"),
    _row("NO_FRONTMATTER", "error", "agentskills", "the file does not begin with a block between two lines of ---",
         "begin it with ---, name, description, ---"),
    _row("YAML", "error", "agentskills", "the frontmatter is not YAML that every client reads", "mend the line named"),
    _row("DESCRIPTION_MISSING", "error", "agentskills", "without a description no client ever picks the skill",
         "say what it does and when to use it"),
    _row("DESCRIPTION_LENGTH", "warning", "agentskills", "a description has at most 1024 characters", "shorten it"),
    _row("DESCRIPTION_WHEN", "info", "agentskills", "the description does not say when to use the skill",
         "add a sentence that begins with `Use when`"),
    _row("NAME_MISSING", "warning", "agentskills", "the frontmatter has no name", "name it as its folder is named"),
    _row("NAME_CHARSET", "warning", "agentskills",
         "a name has lower-case letters, digits, and single hyphens inside", "rename the skill and its folder"),
    _row("NAME_LENGTH", "warning", "agentskills", "a name has at most 64 characters", "shorten it"),
    _row("NAME_FOLDER", "warning", "agentskills", "the name is not the name of the folder", "give both one name"),
    _row("NAME_RESERVED", "warning", "claude-code", "the words anthropic and claude are kept for Anthropic's own",
         "rename it"),
    _row("NAME_CLASH", "warning", "labctl", "another skill of this name is found too, and one of them hides the other",
         "rename one, or remove the copy that is not meant"),
    _row("MARKUP", "warning", "claude-code", "name and description may hold no <tags>", "take the angle brackets out"),
    _row("FIELD_UNKNOWN", "warning", "agentskills", "the standard knows no such key in the frontmatter",
         "move it under metadata"),
    _row("FIELD_TYPE", "warning", "agentskills", "a value is not of the kind that the standard asks for",
         "put text in quotes; metadata is a map"),
    _row("COMPATIBILITY_LENGTH", "warning", "agentskills", "compatibility has at most 500 characters", "shorten it"),
    _row("FLOW_STYLE", "warning", "agentskills", "strict readers refuse [a, b] and {a: b} in the frontmatter",
         "write one value to a line"),
    _row("YAML_STRICT", "warning", "agentskills",
         "strict readers refuse tabs, anchors, tags, --- in a value, uneven maps and unseen characters",
         "write `key: text`, one to a line, with spaces, and maps beside each other indented alike"),
    _row("HERMES_DESCRIPTION", "info", "hermes", "Hermes wants at most 60 characters, one sentence, a full stop",
         "add metadata.short; the copy for Hermes takes it"),
    _row("HERMES_SECTIONS", "info", "hermes", "the sections do not come in the order that Hermes asks for",
         "When to Use, Prerequisites, How to Run, Quick Reference, Procedure, Pitfalls, Verification"),
    _row("CODEX_BUDGET", "info", "codex", "Codex shortens long descriptions first when its list grows",
         "keep it below 400 characters"),
    _row("LONG", "warning", "agentskills", "the body has more than 500 lines or about 5000 tokens",
         "move detail into references/"),
    _row("FENCE_OPEN", "error", "labctl", "a code block is opened and never closed", "close it"),
    _row("FENCE_TRAILING", "error", "labctl", "the last line is the end mark of a shell's here-document",
         "delete the line: whoever wrote the file left it"),
    _row("BLOCK_UNTAGGED", "info", "labctl", "a code block does not say its language",
         "tag it; `text` for what is not to be run"),
    _row("PYTHON_SYNTAX", "error", "labctl", "a Python block does not parse", "mend it, or tag it `text`"),
    _row("PYTHON_NAME", "error", "labctl", "a Python block uses a name that nothing defines",
         "define it above, or tag the block `text`"),
    _row("DATA_SYNTAX", "error", "labctl", "a JSON or TOML block does not parse", "mend it, or tag it `text`"),
    _row("SHELL_SYNTAX", "error", "labctl", "a quote in a shell block is opened and never closed", "close it"),
    _row("SHELL_INJECTION", "error", "labctl", "an f-string puts a variable into a shell command: its text can run",
         "pass a list of arguments, without a shell"),
    _row("GIT_UNREVIEWED", "error", "labctl", "everything is added, or pushed, and nobody looked at it before",
         "name the files, and show `git diff` or `git status` first"),
    _row("UNBOUNDED", "warning", "labctl", "a loop has no end", "say after how many runs, hours or failures it stops"),
    _row("MODE_EXAMPLE", "error", "labctl", "a mode is listed and no example shows it", "add one, or do not list it"),
    _row("NAME_UNRESOLVED", "error", "labctl", "a related skill does not exist here", "correct the name"),
    _row("LINK_BROKEN", "error", "labctl", "a file that is named does not lie in the skill's folder",
         "add the file, or correct the path"),
    _row("LINK_LEAVES", "error", "labctl", "a path or a link leads out of the skill's folder",
         "keep what it needs inside: the folder is copied as it is"),
    _row("RESOURCE", "warning", "labctl", "a file was not read: too large, too many, or none at all",
         "keep a skill to a few small files"),
    _row("COMMAND_UNKNOWN", "error", "labctl", "labctl has no such verb", "labctl --help lists the verbs"),
    _row("COMMAND_USAGE", "error", "labctl", "the verb does not take these words", "labctl VERB --help"),
    _row("OVERLAP", "warning", "labctl", "more than 30 % of a skill stands in another one too",
         "keep it in one, and name that one"),
)  # fmt: skip

MEANING: dict[str, Meaning] = {each.code: each for each in _TABLE}


def issue(code: str, message: str, *, line: int = 0, field: str = "", fix: str = "") -> Issue:
    """One finding; severity, target and the usual mend come from the table."""
    known = MEANING[f"SKILL_{code}"]
    return Issue(
        code=known.code, severity=known.severity, target=known.target,
        field=field, line=line, message=message, fix=fix or known.mend,
    )  # fmt: skip
