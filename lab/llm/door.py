"""From what a SPEC says to a model that can be asked; and why it cannot be, before anything is sent.

The environment is an argument. A key is read here, at the last moment, and goes into a header only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lab.core import secret
from lab.core.errors import Unavailable
from lab.llm import anthropic, http, openai, proxy
from lab.llm.service import Service

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.model import Model
    from lab.llm.command import Run
    from lab.llm.service import Dialect
    from lab.llm.transport import Transport

_DIALECTS: dict[str, Dialect] = {"openai": openai, "anthropic": anthropic}
_TELLS_COSTS = ("openrouter.ai",)  # in each answer, so that no prices need be written


def problems(model: Model, environ: Mapping[str, str]) -> list[str]:
    """Everything that keeps a model from being asked. Nothing is sent: whether it answers is not known."""
    if model.transport == "command":
        from lab.llm import command  # noqa: PLC0415  # agents are many files, and most SPECs name none

        return list(command.problems(model, environ))
    dialect = _DIALECTS[model.transport]
    found = []
    if not model.model.strip():
        found.append("llm.model is not set: name the model as its service does")
    where = http.address(model.base_url or dialect.BASE_URL)
    if isinstance(where, str):
        return [*found, f"llm.base_url {where}"]
    through = proxy.chosen(environ, where.scheme, where.host, where.port)
    if isinstance(through, str):
        found.append(through)
    if model.structured not in ("auto", *dialect.MODES):
        known = ", ".join(("auto", *dialect.MODES))
        found.append(f"llm.structured: {model.structured} is not spoken by {model.transport}; it knows {known}")
    if problem := _key_problem(model, dialect, environ):
        found.append(problem)
    priced = model.usd_per_mtok_in is not None and model.usd_per_mtok_out is not None
    if model.max_usd is not None and not priced and where.host not in _TELLS_COSTS:
        found.append("llm.max_usd needs usd_per_mtok_in and usd_per_mtok_out: this service does not tell its prices")
    return found


def transport(model: Model, environ: Mapping[str, str], run: Run | None = None) -> Transport:
    """The way to a model, or `Unavailable` with what `problems` says. `run` starts the programs of `command`."""
    if found := problems(model, environ):
        raise Unavailable(f"the model cannot be asked: {'; '.join(found)}", where="llm in SPEC.yaml", fix=_FIX)
    if model.transport == "command":
        from lab.llm.command import Command  # noqa: PLC0415  # as above

        if run is None:
            raise Unavailable("nothing here starts programs, so that no agent can be asked")
        return Command(model, environ, run)
    dialect = _DIALECTS[model.transport]
    where = http.address(model.base_url or dialect.BASE_URL)
    if isinstance(where, str):
        raise Unavailable(f"llm.base_url {where}", where="llm in SPEC.yaml", fix=_FIX)
    through = proxy.chosen(environ, where.scheme, where.host, where.port)
    hidden = through.secrets if isinstance(through, proxy.Proxy) else ()
    return Service(model, dialect, where, _key(model, dialect, environ), environ, hidden)


_FIX = "labctl validate says the same before a run; docs/reference/models.md has a recipe for each service"


def key_name(model: Model, dialect: Dialect) -> str:
    """The name of the variable that holds the key. Only the transport's own service is given its usual one unasked.

    A key that is meant for one service would otherwise be sent to whatever address a SPEC names.
    """
    if model.api_key_env:
        return model.api_key_env
    own = urlsplit(dialect.BASE_URL).hostname
    where = http.address(model.base_url or dialect.BASE_URL)
    return dialect.KEY_ENV if not isinstance(where, str) and where.host == own else ""


def _key(model: Model, dialect: Dialect, environ: Mapping[str, str]) -> str:
    return environ.get(key_name(model, dialect), "").strip()


def _key_problem(model: Model, dialect: Dialect, environ: Mapping[str, str]) -> str:
    name = key_name(model, dialect)
    if not name:
        return ""
    if not (name.isascii() and name.isidentifier()):
        # It may be the key itself, written where its name belongs, and must not be shown.
        return "llm.api_key_env must be the name of a variable, such as OPENAI_API_KEY, and never the key"
    key = _key(model, dialect, environ)
    if not key:
        return f"the variable {name} is not set, and it holds the key (cron reads no shell profile)"
    if len(key.encode(errors="surrogateescape")) < secret.SHORTEST:
        return f"the variable {name} holds fewer than {secret.SHORTEST} characters, which cannot be a key"
    if not (key.isascii() and key.isprintable()):
        return f"the variable {name} holds characters that no header can carry"
    return ""
