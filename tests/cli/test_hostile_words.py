"""What a person, a model or a run wrote is printed by many verbs: it steers no terminal, and does not look like us."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import pytest

from lab.cli import guided
from lab.cli.terminal import escaped, harmless
from lab.core.proposal import RUN, Proposal
from lab.projections.text import UNSEEN
from lab.scheduler import cycle, decisions
from lab.scheduler.control import approvals
from lab.scheduler.search.guided import Asking
from tests.cli.searches import a_run, made
from tests.cli.test_steer import LATER
from tests.scheduler.labs import a_lab, me, write

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.root import Root
    from tests.cli.labs import Labctl

EVIL = "a\x1b[2Jb\x1b]0;title\x07c\x9b31md\u202etxet\u202c \u2066e\x07\x7f\u200bf\rg\u2028h\nFORGED: done"
SPEAKS = re.compile(rf"{UNSEEN.pattern}|\r|^FORGED", re.MULTILINE)
WITH_BLOCKS = ("tail", "show", "report")  # a log, a RESULT.md and a <pre> have lines of their own
PARAMS: dict[str, object] = {"lr": 0.1, "depth": 3, "kind": EVIL}


@pytest.fixture
def root(place: Path) -> Root:
    """A lab in which everything that can be written freely is hostile."""
    root = a_lab(place, "sweep", more="executor: stub\n")
    for value in (0.5, 0.25):
        origin = made(int(4 * value), note=EVIL)
        a_run(root, PARAMS, value, origin=origin, note=EVIL, metrics={"loss": value, EVIL: 1.0})
    a_run(root, {**PARAMS, EVIL: 1}, None, outcome="failed", note=EVIL, reason=EVIL)
    running = cycle.begin(root, "sweep", owner=me())
    for log in ("stdout.log", "stderr.log"):
        write(f"{running.path}/{log}", EVIL.encode())
    approvals.ask(
        root, Proposal(kind=RUN, experiment="sweep", params={**PARAMS, EVIL: 2}, reason=EVIL, expires_at=LATER)
    )
    write(f"{root.layout.root}/control/approvals/sweep-9\x1b[2J\u202e.json", EVIL.encode())
    decisions.pause(root, "sweep", reason=EVIL, actor=EVIL)
    return root


def test_no_verb_lets_it_speak_to_the_terminal_or_look_like_a_line_of_ours(labctl: Labctl, root: Root) -> None:
    runs = sorted(os.listdir(root.layout.runs("sweep")))
    told, wrong = [], []
    for words in (
        "status", "list", "list sweep", "show sweep", "context sweep", "approvals", "best sweep", "top sweep", "cost",
        "cost sweep", "board sweep", "tail sweep", "tail sweep --stream stderr", "watch --plain --for 0", "lease show",
        "doctor", "watchdog", "verify", "refresh", "plot sweep -o -", "report sweep -o -", "resume sweep",
        f"compare {runs[0]} {runs[2]}", *(f"{verb} {run}" for verb in ("show", "params") for run in runs[:3]),
        "approve sweep-1", "approvals", "pause sweep --reason x", "reject nope --reason x", "burst sweep -n 1",
    ):  # fmt: skip
        said = labctl(*words.split())
        found = (UNSEEN if words.startswith(WITH_BLOCKS) else SPEAKS).search(said.all)
        wrong += [] if found is None else [(words, said.all[max(0, found.start() - 80) : found.end() + 20])]
        told.append(said.out)
    assert not wrong, "\n".join(map(repr, wrong))
    assert "abcd" in "".join(told), "nothing of it was shown at all"


def test_what_is_for_a_program_is_exact(labctl: Labctl, root: Root) -> None:
    first = min(os.listdir(root.layout.runs("sweep")))
    assert f"LAB_PARAM_KIND='{EVIL}'\n" in labctl.done("params", first, "--env").out
    assert f"'{EVIL}'" in labctl.done("params", first, "--args").out
    assert EVIL in labctl.done("export", "sweep").out
    as_text = labctl.done("params", first).out
    assert SPEAKS.search(as_text) is None
    assert json.loads(as_text) == labctl.done("params", first, "--json").data["params"] == PARAMS


def test_a_refusal_repeats_it_harmlessly(labctl: Labctl, root: Root) -> None:
    for words in (
        ("show", EVIL),
        ("list", EVIL),
        ("approve", EVIL),
        ("tail", f"RUN-{EVIL}"),
        (EVIL,),
        ("status", EVIL),
    ):
        said = labctl(*words)
        assert said.code == 2, words
        assert UNSEEN.search(said.all) is None, words


def test_a_question_at_the_terminal_shows_it_harmlessly(capsys: pytest.CaptureFixture[str]) -> None:
    guided._show(
        Asking(place=1, of=2, params={**PARAMS, EVIL: [EVIL]}, origin=made(1, note=EVIL), space=None, best=None)
    )
    asked = capsys.readouterr().err
    assert SPEAKS.search(asked) is None, asked
    assert r"\u202etxet" in asked, "whoever approves a value must see all of it"


def test_our_own_words_stay_as_they_are_laid_out() -> None:
    for ours in ("", "a\tb\n  caf\u00e9 \u2713 \u6f22 \U0001f600\n\n", "one\n"):
        assert harmless(ours) == ours
    assert harmless("x\x1b]0;\nours\ny\x07z") == "x0;\nours\nyz", "a sequence swallowed a line"
    document = json.dumps({"a": EVIL + "\U000e0041"}, ensure_ascii=False, indent=2)
    assert json.loads(escaped(document)) == json.loads(document)
    assert harmless(escaped(document)) == escaped(document)
