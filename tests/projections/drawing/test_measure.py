"""How wide words are at most: compared with fonts that a picture may be drawn in."""

from __future__ import annotations

import os
import string

import pytest

from lab.projections.drawing import measure

_SIGNS = "\u2212\u2026\u00b1\u00d7\u2192\u00b7\u2013\u2014\u00e9\u00fc\u00c5\u00b5"
_FOLDER = "/usr/share/fonts/truetype"
_FONTS = {
    "dejavu": ("dejavu/DejaVuSans.ttf", "dejavu/DejaVuSans-Bold.ttf"),
    "liberation": ("liberation/LiberationSans-Regular.ttf", "liberation/LiberationSans-Bold.ttf"),
}


@pytest.mark.parametrize("bold", [False, True])
@pytest.mark.parametrize("name", ["inside Pillow", *_FONTS])
def test_no_letter_is_wider_than_is_reckoned(name: str, bold: bool) -> None:
    fonts = pytest.importorskip("PIL.ImageFont")
    if name in _FONTS:
        path = os.path.join(_FOLDER, _FONTS[name][bold])
        if not os.path.exists(path):
            pytest.skip(f"there is no {path}")
        font = fonts.truetype(path, 1_000)
    else:
        font = fonts.load_default(1_000)
    letters = [letter for letter in string.printable if letter.isprintable()] + list(_SIGNS)
    told = {letter: (font.getlength(letter), measure.width(letter, 1_000, bold=bold)) for letter in letters}
    assert {letter: both for letter, both in told.items() if both[0] > both[1] + 1e-6} == {}
    sentence = "optimizer sgd -> adam, lr 0.01 -> 0.003, +2 more: noise not known, 120 runs"
    most = 1.05 if name == "dejavu" else 1.35
    assert measure.width(sentence, 1_000, bold=bold) < most * font.getlength(sentence)


def test_a_text_that_fits_exactly_is_not_cut() -> None:
    for text in ("61% (37% to 85%)", "k b -> a, +1 more", "学习率"):
        assert measure.fitted(text, 11, measure.width(text, 11)) == text
    assert measure.fitted("warm the learning rate up", 11, 60).endswith("…")
    assert measure.width(measure.fitted("W" * 50, 11, 60, bold=True), 11, bold=True) <= 60
