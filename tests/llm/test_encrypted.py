"""Encrypted, and through a proxy that sees nothing of it."""

from __future__ import annotations

import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest

from lab.llm import exchange
from tests.llm import faulty
from tests.llm.asking import GOOD, KEY, asked
from tests.llm.faulty import Faulty, proposes

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.needs("openssl")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For localhost and model.invalid, signed by itself; the key is in the same file."""
    folder = tmp_path_factory.mktemp("tls")
    pem, key = folder / "both.pem", folder / "key.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,DNS:model.invalid",
            "-keyout", str(key), "-out", str(pem)]  # fmt: skip
    subprocess.run(argv, check=True, capture_output=True)
    pem.write_text(pem.read_text() + key.read_text())
    return pem


def context(certificate: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate)
    return made


def test_a_service_whose_authority_is_named_is_asked(certificate: Path) -> None:
    with Faulty(proposes(GOOD), tls=context(certificate)) as server:
        told = asked(server.url, environ={"SSL_CERT_FILE": str(certificate)})
    assert told.value is not None, told.what
    assert server.heard[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_large_question_and_a_large_answer_go_through(certificate: Path) -> None:
    long = "x" * 2_000_000
    with Faulty(proposes(GOOD, reasoning=long), tls=context(certificate)) as server:
        told = asked(
            server.url,
            environ={"SSL_CERT_FILE": str(certificate)},
            question=exchange.Ask(system=long, turns=(exchange.Turn(role="user", text="Propose."),)),
        )
    assert told.value is not None, told.what
    assert len(server.heard[0].body) > 2_000_000


def test_a_stranger_is_not_given_the_key(certificate: Path) -> None:
    with Faulty(proposes(GOOD), tls=context(certificate)) as server:
        told = asked(server.url)
        assert (told.problem, server.heard, len(told.attempts)) == (exchange.UNREACHABLE, [], 1)
        assert "cannot be trusted" in told.what
        named = asked(server.url.replace("localhost", "127.0.0.1"), environ={"SSL_CERT_FILE": str(certificate)})
        assert (named.problem, server.heard) == (exchange.UNREACHABLE, [])


def test_a_proxy_only_connects(certificate: Path) -> None:
    with Faulty(proposes(GOOD), tls=context(certificate)) as server, Faulty(faulty.tunnel(server.port)) as proxy:
        environ = {"https_proxy": f"127.0.0.1:{proxy.port}", "SSL_CERT_FILE": str(certificate)}
        told = asked("https://model.invalid/v1", environ=environ)
        assert told.value is not None, told.what
        assert proxy.heard[0].path == "model.invalid:443"
        assert "authorization" not in proxy.heard[0].headers


def test_a_proxy_that_does_not_let_us_through_is_told() -> None:
    with Faulty(faulty.error(407, "who are you?")) as proxy:
        told = asked("https://model.invalid/v1", environ={"https_proxy": f"http://127.0.0.1:{proxy.port}"})
    assert told.problem == exchange.UNREACHABLE
    assert "does not let us through: it answered 407" in told.what


def test_a_handshake_that_hangs_ends_at_the_deadline(certificate: Path) -> None:
    with Faulty(faulty.hang) as server:
        url = server.url.replace("http://127.0.0.1", "https://localhost")
        told = asked(url, timeout_s=0.3, environ={"SSL_CERT_FILE": str(certificate)})
    assert told.problem == exchange.TIMEOUT


@pytest.mark.parametrize("say", [faulty.drip, faulty.hang])
def test_a_deadline_holds_inside_of_it_too(certificate: Path, say: faulty.Say) -> None:
    with Faulty(say, tls=context(certificate)) as server:
        told = asked(server.url, timeout_s=0.5, environ={"SSL_CERT_FILE": str(certificate)})
    assert told.problem == exchange.TIMEOUT


def test_an_authority_file_that_is_not_there_is_told() -> None:
    told = asked("https://127.0.0.1:9/v1", environ={"SSL_CERT_FILE": "/nowhere/at/all.pem"})
    assert told.problem == exchange.UNREACHABLE
    with Faulty(faulty.hang) as server:
        told = asked(server.url.replace("http:", "https:"), environ={"SSL_CERT_FILE": "/nowhere/at/all.pem"})
    assert told.problem == exchange.UNREACHABLE
    assert "No such file" in told.what
