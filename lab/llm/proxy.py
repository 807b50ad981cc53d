"""Which proxy a request goes through, as the environment says it. Pure: the environment is an argument."""

from __future__ import annotations

import base64
import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping


class Proxy(msgspec.Struct, frozen=True, kw_only=True):
    """Where it listens, and what it is told of who asks: a header's value, or nothing."""

    host: str
    port: int
    authorization: str = ""
    secrets: tuple[str, ...] = ()


def chosen(environ: Mapping[str, str], scheme: str, host: str, port: int) -> Proxy | str | None:
    """The proxy for an address, None for none; a text that says why the one that is named cannot be used.

    What runs on this machine is asked directly: a proxy of the company could not reach it.
    """
    address = next(
        (
            environ[name].strip()
            for name in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
            if environ.get(name, "").strip()
        ),
        "",
    )
    if not address or _is_loopback(host) or _is_excepted(environ, host, port):
        return None
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        found = Proxy(
            host=parts.hostname or "",
            port=parts.port or 80,
            authorization=_basic(parts.username, parts.password),
            secrets=tuple(unquote(each) for each in (parts.password,) if each),
        )
    except ValueError:
        return f"the proxy that {scheme}_proxy names has no address"
    if parts.scheme != "http" or not found.host:
        return f"the proxy of {scheme}_proxy speaks {parts.scheme or 'nothing'}; only http:// proxies are spoken to"
    return found


def _basic(name: str | None, password: str | None) -> str:
    if name is None:
        return ""
    pair = f"{unquote(name)}:{unquote(password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_excepted(environ: Mapping[str, str], host: str, port: int) -> bool:
    """Whether `no_proxy` names a host, a domain above it, or either with this port."""
    for rule in (environ.get("no_proxy") or environ.get("NO_PROXY") or "").split(","):
        name = rule.strip().lower()
        bare, _, only = name.rpartition(":") if name.rpartition(":")[2].isdecimal() else (name, "", "")
        domain = bare.removeprefix("*").removeprefix(".")
        if name == "*" or (domain and only in ("", str(port)) and (host == domain or host.endswith(f".{domain}"))):
            return True
    return False
