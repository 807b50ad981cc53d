"""What a paper may not say by itself."""

from __future__ import annotations

import pytest

from lab.core.errors import BadInput
from lab.research.paper import linting

REFUSED = [
    "## Results\n\nIt is 0.98.",
    "## Results\n\nIt is better by 3x.",
    "## Results\n\nBy 12%.",
    "## Results\n\n`0.98`",
    "## Results\n\n`@098`",
    "## Results\n\n`@` 5 `@`",
    "## Results\n\nGPT-4 won.",
    "## Results\n\nIn 2024 it was.",
    "## Results\n\n\N{ARABIC-INDIC DIGIT FIVE} of them.",
    "## Results\n\nBy \N{VULGAR FRACTION ONE HALF}.",
    "## Results\n\nx\N{SUPERSCRIPT TWO}y \N{SUPERSCRIPT TWO}",
    "## Results\n\nbest\n95. And more.",
    "## Results\n\n```\nacc 0.9\n```",
    "## Abstract\n\nBy 5 points.",
    "## Conclusion\n\n5 points.",
    "## Negative results\n\n5 failed.",
    "## Introduction\n\n5 things.",
    "## Method\n\n| lr | 0.1 |",
    "## Method\n\nTable 1: after 10 runs",
    "## Method\n\n![after 10 runs](x)",
    "## Method\n\n### Results so far\n\n5 failed.",
    "Before any heading: 5.",
    "# Better by 5\n",
    "## Method\n\n<b>bold</b>",
    "## Method\n\n&frac12;",
    "## Method\n\n<!-- hidden -->",
    "Results\n=======\n",
    "## Method\n\na\u202eb",
    "# Method\n\nBy 5 points.",
    "# A method for bowls\n\n## Performance\n\n99.9 of them.",
    "## Performance of the method\n\n99.9 of them.",
    "## Preferences\n\n99.9 of them.",
    "## Method\n\n### Performance\n\n99.9 of them.",
    "## Method\n\n#### References to what came out\n\n99.9 of them.",
    "## Results\n\n```\n## Method\n```\n\n99.9 of them.",
    "## Results\n\n- x\n  ```\n  ## Method\n  ```\n\n99.9 of them.",
    "## Results\n\n~~~\n```\n## Method\n~~~\n\n99.9 of them.",
    "## Method\n\n   ```\n## Results\n\n99.9 of them.",
    "## Method\n\n``` `x\n## Results\n\n99.9 of them.",
    "## Results\n\n### 97.35 per cent on the second data set",
    "## Results\n\n### 97 on the second data set",
    "## 9.9 of ten",
    "## 1 Results\n\n### 9.9 and more",
    "## 1 per cent is missing",
    "## Results\n\nPer cent:\n\n99. That is it.",
    "## Results\n\n| ours | `acc:0.999` |",
    "## Results\n\n`accuracy/99`",
    "## Results\n\nx99% of them, or A99 per cent.",
    "## Results\n\n\u7cbe\u5ea699%",
    "## Results\n\n\u4e5d\u5341\u4e5d",
    "## Results\n\nsee](0.99) and `[x](0.99)`",
    "## Results\n\nRUN-20260102-030405-000000-0.997",
    "## Results\n\nRUN-20260102-030405-000000-scout-0.997",
    "## Results\n\nIt is good @99.7",
    "## Results\n\nIn Table 97, or in Table 9 % of them",
    "## Method\n\n\\`<img src=x onerror=x>\\`",
    "## Method\n\n`a\nb` <img src=x> `c`",
]
ALLOWED = [
    "## 1 Introduction\n\n## 2 Results\n\n### 2.1. On the first\n\n### 2.2 On another\n\n## 3. Conclusion\n\nGood.",
    "## Results\n\n```\n<unk>\n```",
    "## **Related** work ##\n\nIn 2017 it was.",
    "## Method\n\n### Implementation details\n\nWith 3 seeds.\n\n```\n# lr 0.1\n## Results\n```\n\nAnd 5.",
    "## 1. Method\n\nWith 3 seeds.",
    "## Results\n\nAs in [@doe2017] and [@a2001; -@b-3] and @c4.",
    "## Results\n\nRUN-20260102-030405-000000-scout was better than RUN-20260102-030405-000000-scout.",
    "## Results\n\n`CIFAR10` and `lr2` and val_bpb2 and x86.",
    "## Results\n\nSee Table 1 and Figure 2.",
    "## Results\n\n[a page](https://example.org/2024/01).",
    "## Results\n\n1. first\n2. second",
    "## Method\n\nWith 3 seeds and lr 0.1.",
    "## Related work\n\nIn 2017 it was.",
    "## References\n\n- Doe. 2017.",
    '## Results\n\nIt is {{ run("RUN-1").value | fmt(".4f") }}.',
    "## Results\n\n{% if evaluation.gain > 0 %}better{% endif %}{# 5 #}",
]


@pytest.mark.parametrize("source", REFUSED)
def test_a_number_that_no_run_stands_for_is_refused_with_its_line(source: str) -> None:
    found = [each for each in linting.of_source(source) if not each.is_remark]
    assert found
    with pytest.raises(BadInput, match="line ") as refused:
        linting.refuse(found, "paper.md.j2")
    assert refused.value.where.startswith("paper.md.j2 line ")
    assert refused.value.fix


@pytest.mark.parametrize("source", ALLOWED)
def test_what_is_no_statement_may_have_numerals(source: str) -> None:
    assert [each for each in linting.of_source(source) if not each.is_remark] == []


def test_a_number_in_words_is_only_remarked() -> None:
    found = linting.of_source("## Results\n\nTwice as good, by three points.")
    assert [each.is_remark for each in found] == [True, True]
    linting.refuse(found, "paper.md.j2")


def test_every_line_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(BadInput, match=r"line 3: the number 0\.5 .*; line 5: the number 7 "):
        linting.refuse(linting.of_source("## Results\n\n0.5\n\n7\n"), "paper.md.j2")
