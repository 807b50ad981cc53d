"""What must hold before a change is measured: every word is counted, and the order is right."""

from __future__ import annotations

import collections
import sys

import count
import measure

words = measure.text()[:5000]
expected = sorted(collections.Counter(words).items(), key=lambda pair: (-pair[1], pair[0]))
if count.count(words) != expected:
    sys.exit("the counts are wrong")
