"""Counts words. Slower than it need be: that is what the loop is to find out, by the clock."""

from __future__ import annotations

BATCH = 64  # words that are looked at together
ORDERED = True  # keep the counts in order all the time, and not only at the end
KNOWN_FIRST = False  # look whether a word is known before it is counted


def count(words: list[str]) -> list[tuple[str, int]]:
    """The words and how often each is there, the most frequent first."""
    found: dict[str, int] = {}
    for start in range(0, len(words), BATCH):
        for word in words[start : start + BATCH]:
            if KNOWN_FIRST and word not in found:
                found[word] = 0
            found[word] = found.get(word, 0) + 1
        if ORDERED:
            found = dict(sorted(found.items()))
    return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))
