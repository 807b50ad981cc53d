"""`labctl tinker make-tiny`: a model that is small enough to try everything with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.cli import tinker_words as words
from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse

    from lab.cli.session import Session

SHARED = ()
TARGET = "a folder that is not there yet"
TARGET_FIX = "labctl tinker make-tiny tiny-model"


def arguments(parser: argparse._ArgumentGroup) -> None:
    """Nothing besides where."""


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Make it, whole or not at all."""
    words.require_extra("tinker-local", "torch", "transformers", "tokenizers", what="a model")
    place = os.path.abspath(os.path.expanduser(args.target))
    session.terminal.narrate("loading torch")
    from lab.tinker.local import tiny

    made = tiny.make_tiny(place)
    data = {"folder": place, "parameters": made.parameters, "tokens": made.tokens, "context": made.context}
    said = f"made: {place}, {made.parameters:,} parameters, a tokenizer of {made.tokens} tokens; it knows nothing yet"
    return Answer(data, [said], then=[f"labctl tinker serve-local --base lab/tiny={args.target}"])
