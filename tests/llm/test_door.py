"""What keeps a model from being asked is found before anything is sent; and a key goes only where it belongs."""

from __future__ import annotations

import pytest

from lab.core.errors import Unavailable
from lab.core.model import Model
from lab.llm import door, proxy
from lab.llm.redact import Redact
from tests.llm.asking import GOOD, asked
from tests.llm.faulty import Faulty, proposes

LOCAL = "http://127.0.0.1:11434/v1"


@pytest.mark.parametrize(
    ("model", "environ", "words"),
    [
        (Model(base_url=LOCAL), {}, "llm.model is not set"),
        (Model(model="m"), {}, "OPENAI_API_KEY is not set"),
        (Model(model="m", transport="anthropic"), {}, "ANTHROPIC_API_KEY is not set"),
        (Model(model="m", base_url="https://api.openai.com/v1/"), {}, "OPENAI_API_KEY is not set"),
        (Model(model="m", base_url=LOCAL, api_key_env="MY_KEY"), {"MY_KEY": " "}, "MY_KEY is not set"),
        (Model(model="m", base_url=LOCAL, api_key_env="MY_KEY"), {"MY_KEY": "abc"}, "fewer than 4 characters"),
        (Model(model="m", base_url=LOCAL, api_key_env="MY_KEY"), {"MY_KEY": "a\nb: c"}, "no header can carry"),
        (Model(model="m", base_url=LOCAL, api_key_env="MY_KEY"), {"MY_KEY": "schlüssel"}, "no header can carry"),
        (Model(model="m", base_url=LOCAL, api_key_env="sk-abc-123"), {}, "must be the name of a variable"),
        (Model(model="m", base_url="127.0.0.1:80"), {}, "must be an address such as"),
        (Model(model="m", base_url="ftp://host/v1"), {}, "must be an address such as"),
        (Model(model="m", base_url="http://[::1"), {}, "is no address"),
        (Model(model="m", base_url="http://host:99999/v1"), {}, "is no address"),
        (Model(model="m", base_url="http://me:pw@host/v1"), {}, "may hold no password"),
        (Model(model="m", base_url="http://host/v1?key=abc"), {}, "may hold no password"),
        (Model(model="m", base_url="http://b\u00fccher/v1"), {}, "plain letters"),
        (Model(model="m", base_url=LOCAL, structured="tool", transport="anthropic"), {}, None),
        (Model(model="m", base_url=LOCAL, structured="json_schema", transport="anthropic"), {}, "is not spoken by"),
        (Model(model="m", base_url=LOCAL, max_usd=1.0), {}, "llm.max_usd needs usd_per_mtok_in"),
        (Model(model="m", base_url=LOCAL, max_usd=1.0, usd_per_mtok_in=1.0), {}, "llm.max_usd needs"),
        (Model(model="m", base_url=LOCAL, max_usd=1.0, usd_per_mtok_in=1.0, usd_per_mtok_out=0.0), {}, None),
        (Model(model="m", base_url="https://openrouter.ai/api/v1", max_usd=1.0), {}, None),
        (Model(model="m", base_url="http://far.example/v1"), {"http_proxy": "socks5://x:1"}, "speaks socks5"),
        (Model(model="m", base_url="http://far.example/v1"), {"http_proxy": "socks5://x:1", "no_proxy": "*"}, None),
        (Model(model="m", base_url=LOCAL), {"http_proxy": "socks5://x:1"}, None),
        (Model(model="m", base_url=LOCAL), {}, None),
        (Model(transport="command"), {}, "llm.provider"),
        (Model(transport="command", command="no-such-program-anywhere"), {"PATH": "/bin"}, "no-such-program-anywhere"),
    ],
)
def test_what_keeps_a_model_from_being_asked_is_told(model: Model, environ: dict[str, str], words: str | None) -> None:
    found = door.problems(model, environ)
    if words is None:
        assert found == []
        return
    assert any(words in each for each in found), found
    with pytest.raises(Unavailable, match="the model cannot be asked") as refusal:
        door.transport(model, environ)
    assert refusal.value.fix


def test_a_key_written_where_its_name_belongs_is_not_shown() -> None:
    found = door.problems(Model(model="m", base_url=LOCAL, api_key_env="sk-abc-123"), {})
    assert not any("sk-abc-123" in each for each in found)


def test_the_key_of_one_service_is_not_sent_to_another() -> None:
    with Faulty(proposes(GOOD)) as server:
        asked(server.url, api_key_env="", environ={"OPENAI_API_KEY": "sk-abcdef"})
    assert "authorization" not in server.heard[0].headers


@pytest.mark.parametrize(
    ("rule", "is_excepted"),
    [
        ("far.example", True),
        (".example", True),
        ("*.example", True),
        ("example", True),
        ("far.example:80", True),
        ("far.example:81", False),
        ("ar.example", False),
        ("near.example, far.example", True),
        (",, ,", False),
    ],
)
def test_no_proxy_is_read_as_others_read_it(rule: str, is_excepted: bool) -> None:
    found = proxy.chosen({"HTTP_PROXY": "http://p:3128", "no_proxy": rule}, "http", "far.example", 80)
    assert (found is None) == is_excepted


def test_secrets_are_taken_out_the_longest_first() -> None:
    redact = Redact(["abcd", "abcdef", "", "x"])
    assert redact("abcdef abcd x") == "[redacted] [redacted] x"
    assert Redact([])("abcd") == "abcd"
