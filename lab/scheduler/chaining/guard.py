"""What must be so before a service that is paid for is asked for anything: a limit, a key, and a way that hides it.

A SPEC is checked for its limit when it is read; here again, because this is the last place before money is spent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core import layout, spec_tuning
from lab.core.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.spec import Spec

_ANSWERS_WITHIN_S = 2.0


def require_server(spec: Spec) -> None:
    """Refuse a training at a server of this machine that is not there, before a run is claimed.

    A chunk would wait for it and fail, and a night of that would pause the experiment. A service elsewhere may be away
    for a minute: its chunk waits, and says so.
    """
    tuning = spec.tinker
    if tuning is None or not tuning.is_local:
        return
    from lab.tinker import reaching  # noqa: PLC0415  # urllib and http: 20 ms that every other run would wait for

    try:
        reaching.reach(tuning.url, _ANSWERS_WITHIN_S)
    except Unavailable as silent:
        fix = f"start it in a terminal of its own: labctl tinker serve-local --base {tuning.base_model}=FOLDER"
        raise Unavailable(f"the local server does not answer: {silent.what}", where=tuning.url, fix=fix) from None


def require_budget(spec: Spec, environ: Mapping[str, str] | None) -> None:
    """Refuse a training whose service may cost money, and that nothing ends, or that nobody has a key for.

    `spec` is the one of the run's tier, `environ` what the lab itself was started with; None where the run happens
    elsewhere, and its key is there. A service on this machine needs neither. Whether the key is any good is found out
    when it is shown.
    """
    tuning = spec.tinker
    if tuning is None:
        return
    from lab.executors import environment  # noqa: PLC0415  # for trainings alone, as below
    from lab.tinker import credentials  # noqa: PLC0415

    credentials.check_url(tuning.url, f"tinker.base_url in experiments/{spec.id}/{layout.SPEC}")
    if tuning.is_local:
        return
    if why := spec_tuning.unfunded(spec):
        where = f"stop_conditions in experiments/{spec.id}/{layout.SPEC}"
        raise BadInput(f"{tuning.url} is paid for, and {why}", where=where, fix=f"write {spec_tuning.LIMITS}")
    if environ is None:
        return
    seen = environment.given(spec, environ)
    if credentials.source(seen):
        return
    hidden = next((name for name in (credentials.KEY, credentials.COMMAND) if environ.get(name)), "")
    if hidden:
        raise Unavailable(
            f"{hidden} is set, and a run does not see it",
            where=f"secrets in experiments/{spec.id}/{layout.SPEC}",
            fix=f"write `{'secrets' if hidden == credentials.KEY else 'env'}: [{hidden}]`",
        )  # fmt: skip
    credentials.require(tuning.url, seen)
