"""What is taken for a secret by its form, and what is not."""

from __future__ import annotations

import pytest

from lab.core import secret


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("token=hunter2", "token=[redacted]"),
        ('{"api_key": "hunter2", "n": 1}', '{"api_key": "[redacted]", "n": 1}'),
        ("HF_TOKEN=hunter2 was refused", "HF_TOKEN=[redacted] was refused"),
        ("https://ann:pa55@host/x?access_token=abc&n=1", "https://ann:[redacted]@host/x?access_token=[redacted]&n=1"),
        ("curl --password hunter2 -v", "curl --password [redacted] -v"),
        ("Authorization: Basic YW5uOnBhNTU=", "Authorization: Basic [redacted]"),
        ("sent Bearer abcdef0123456789", "sent Bearer [redacted]"),
        ("no such user: sk-proj-0123456789abcdef", "no such user: [redacted]"),
        ("AKIAIOSFODNN7EXAMPLE may not", "[redacted] may not"),
    ],
)
def test_what_looks_like_a_secret_is_not_shown(said: str, shown: str) -> None:
    assert secret.guessed(said) == shown


@pytest.mark.parametrize(
    "said",
    [
        "ann@gpu: Permission denied (publickey,password).",
        "Host key verification failed.",
        'Load key "/home/ann/.ssh/id": Permission denied',
        "ssh: connect to host gpu port 22: Connection refused",
        "rsync error: error in rsync protocol data stream (code 12) at io.c(231) [sender=3.2.7]",
        "http://[::1]:8265/api: no route", "scp -i key file ann@gpu:in/", "512 tokens; sk-learn",
    ],
)  # fmt: skip
def test_what_people_need_to_read_stays(said: str) -> None:
    assert secret.guessed(said) == said
