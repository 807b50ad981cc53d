"""Whether there is a key for a service, and where from. Pure: it is given the environment, and asks nobody.

The SDK looks in three places, in this order; what is found here is what it will find. Which key it is, is never told:
a word of ours may end in a log. Whether the service takes the key is found out when it is asked.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput, Unavailable
from lab.core.tuning import LOCAL_KEY, is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY, COMMAND, STORED = "TINKER_API_KEY", "TINKER_CREDENTIAL_CMD", "~/.tinker/credentials.json"
PREFIX = "tml-"
FIX = (
    f"set {KEY} (and name it in the SPEC's `secrets`), or {COMMAND} to a program that prints one, "
    "or store one with: tinker auth login"
)
_TOKEN_PREFIX = "eyJ"  # noqa: S105  # how a signed token begins, which a service may give instead of a key
_LARGEST_BYTES = 1 << 20


class _Key(msgspec.Struct):
    key: str


class _Stored(msgspec.Struct):
    default: str | None = None
    keys: dict[str, _Key] = {}


def check_url(url: str, where: str = "") -> None:
    """`BadInput` for no address of a service, for one with a password in it, and where a key could be read on its way.

    A password would end in logs; and a key goes along with whatever is asked.
    """
    from urllib.parse import urlsplit  # noqa: PLC0415  # and ipaddress with it; most turns of cron ask no service

    try:
        parts = urlsplit(url)
        is_one = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        raise BadInput("base_url is no address", where=where, fix="write it as https://HOST[:PORT]") from None
    if parts.username is not None or parts.password is not None:
        what = "base_url carries a user or a password, which would be in every seal and log"
        raise BadInput(what, where=where, fix=f"take it out; the key goes into {KEY}")
    if not is_one or not url.isprintable() or " " in url:
        raise BadInput(f"{url!r} is no address of a service", where=where, fix="write it as https://HOST[:PORT]")
    if parts.scheme == "http" and not is_loopback(url):
        what = f"{url} is on another machine, and a key would go there for everybody to read"
        raise BadInput(what, where=where, fix="write https://, or reach it through a tunnel that ends on 127.0.0.1")


def source(environ: Mapping[str, str]) -> str:
    """Where the SDK will find a key: KEY, COMMAND or STORED; empty where there is none.

    `BadInput` for a key that no service takes. A key in the environment that is wrong is passed over for the command,
    never for the stored one, as the SDK does it.
    """
    key, command = environ.get(KEY, ""), environ.get(COMMAND, "")
    if key and not problem(key):
        return KEY
    if command:
        return COMMAND
    if key:
        raise BadInput(f"{KEY} {problem(key)}", where="the environment", fix=FIX)
    stored = _stored(environ)
    if stored and problem(stored):
        raise BadInput(f"the key in {STORED} {problem(stored)}", where=STORED, fix="tinker auth login stores another")
    return STORED if stored else ""


def require(url: str, environ: Mapping[str, str]) -> str:
    """The place of the key for this service; empty for a local one, which needs none. `Unavailable` without one."""
    check_url(url)
    found = source(environ)
    if not found and not is_loopback(url):
        raise Unavailable(f"there is no key for {url}: not in {KEY}, {COMMAND} or {STORED}", fix=FIX)
    return found


def shown(url: str, environ: Mapping[str, str]) -> str | None:
    """What the SDK is given as a key; None where it finds one by itself, and that is the one that it takes."""
    return None if require(url, environ) else LOCAL_KEY


def problem(key: str) -> str:
    """Why no service takes this key, as the second half of a sentence that does not show it; empty if one may."""
    if not key.startswith((PREFIX, _TOKEN_PREFIX)):
        return f"does not begin with {PREFIX}"
    if not (key.isascii() and key.isprintable()) or " " in key:
        return "has blanks or other characters in it that no header can carry"
    return ""


def _stored(environ: Mapping[str, str]) -> str:
    """The default key that `tinker auth login` stored."""
    home = environ.get("HOME") or os.path.expanduser("~")
    path = f"{home}/.tinker/credentials.json"
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise Unavailable(f"the stored key cannot be read: {error.strerror}", where=path, fix=FIX) from None
    try:
        stored = msgspec.json.decode(data, type=_Stored)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadInput("the stored key cannot be read: no JSON of its shape", where=path, fix=FIX) from None
    found = stored.keys.get(stored.default) if stored.default else None
    return found.key if found else ""
