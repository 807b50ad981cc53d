"""What `labctl tinker check` looks at, each as one line: what it found, and what to do about it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.cli import tinker_words as words
from lab.core.errors import LabError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lab.core.chunk import Order
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.store.root import Root
    from lab.tinker.capabilities import Capabilities

OK, WARNING, FAILED, ABSENT, NONE = "ok", "warning", "failed", "absent", "none"
_MODELS_SHOWN = 8


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One thing. `absent`: the surroundings lack it; `none`: there was nothing to look at."""

    name: str
    state: str
    what: str
    fix: str = ""


class Subject:
    """An experiment, and what its next chunk would be ordered to do; `refused` where it would be ordered nothing.

    `is_over`: no step is left. `is_due`: the next run measures that end.
    """

    def __init__(
        self, spec: Spec, view: View, order: Order | None, refused: LabError | None, *, is_over: bool = False
    ) -> None:
        from lab.core.tuning import Tuning

        self.spec, self.view, self.order, self.refused = spec, view, order, refused
        self.is_over, self.is_due = is_over, order is not None and not order.steps
        self.tuning = spec.tinker or Tuning()


def subject(root: Root, experiment: str, tier: str = "") -> Subject:
    """What is known of an experiment without asking anybody."""
    from lab.core import allowance
    from lab.scheduler.chaining import rehearsed
    from lab.scheduler.results import chained, table

    spec = chained.require(root, experiment)
    seen = table.read(root, experiment)
    if tier:
        table.named(experiment, spec.fidelity_tiers, tier)
    order, refused = None, None
    try:
        order = rehearsed.next_order(root, seen.view, spec, tier)
    except LabError as refusal:
        refused = refusal
    return Subject(spec, seen.view, order, refused, is_over=allowance.is_over(seen.view, spec, tier or seen.view.tier))


def is_free(url: str) -> bool:
    """Whether nobody is paid for what is asked there."""
    from lab.core.tuning import is_loopback

    return is_loopback(url)


def question(given: Subject) -> str:
    """What a person says yes to."""
    return f"Train one step of a few tokens at {given.tuning.url}? It is paid for, and is in no sum of the lab."


def of_surroundings(root: Root, url: str, *, limit_s: float, say: Callable[[str], None]) -> Iterator[Look]:
    """The SDK, the key, and the service."""
    sdk = _sdk()
    yield sdk
    yield _local()
    key = _key(url, root)
    yield key
    if sdk.state == OK and key.state == OK:
        say(f"asking {url}")
        told, look = _server(url, root, limit_s)
        yield look
        if told is not None:
            yield _models(told)


def of_experiment(root: Root, given: Subject, *, limit_s: float, say: Callable[[str], None]) -> Iterator[Look]:
    """The same for the service of an experiment; and whether its own things are in order."""
    url = given.tuning.url
    sdk = _sdk()
    yield sdk
    yield _python(root, given)
    key = _key(url, root, given)
    yield key
    told = None
    if sdk.state == OK and key.state == OK:
        say(f"asking {url}")
        told, look = _server(url, root, limit_s)
        yield look
        if told is not None:
            yield _model(told, given.tuning.base_model)
    yield _tokenizer(given, told)
    yield _budget(root, given)
    yield from _spec(root, given)
    if given.is_over:
        left = "the next run measures it" if given.is_due else "no step is left"
        yield Look(name="recipe", state=NONE, what=f"the training is at its end: {left}")
        return
    if given.order is None:
        refused = given.refused or LabError("nothing can be ordered")
        yield Look(name="order", state=FAILED, what=refused.what, fix=refused.fix)
        return
    say("asking the recipe to look at its data")
    yield _recipe(root, given, given.order)


def _spec(root: Root, given: Subject) -> Iterator[Look]:
    """Limits and steps that were changed where nobody reads them."""
    from lab.scheduler import unread

    in_vain = unread.changed(root, given.spec.id)
    if in_vain:
        yield Look(name="SPEC", state=WARNING, what=in_vain, fix=f"change {root.layout.spec(given.spec.id)}")


def _sdk() -> Look:
    """By its metadata: loading it takes a second, and says no more."""
    from importlib.metadata import PackageNotFoundError, version

    fix = "pip install 'labctl[tinker]'"
    if words.missing("tinker"):
        return Look(name="sdk", state=ABSENT, what="the SDK of the Tinker API is not installed here", fix=fix)
    try:
        found = version("tinker")
    except PackageNotFoundError:
        what = "a module `tinker` is here, and is not the SDK of the Tinker API"
        return Look(name="sdk", state=ABSENT, what=what, fix=f"remove it, and {fix}")
    parts = found.split(".")
    numbers = tuple(int(part) for part in parts[:2] if part.isdecimal())
    if not words.SDK_FROM <= numbers < words.SDK_BEFORE:
        wanted = f"{'.'.join(map(str, words.SDK_FROM))} to before {'.'.join(map(str, words.SDK_BEFORE))}"
        return Look(name="sdk", state=WARNING, what=f"tinker {found}; tested are {wanted}", fix=fix)
    return Look(name="sdk", state=OK, what=f"tinker {found}")


def _local() -> Look:
    absent = words.missing(*words.LOCAL)
    if absent:
        fix = "pip install 'labctl[tinker-local]', for a service on this machine or to merge weights"
        return Look(name="local server", state=NONE, what=f"not installed: {', '.join(absent)}", fix=fix)
    return Look(name="local server", state=OK, what="can be started here: labctl tinker serve-local")


def _python(root: Root, given: Subject) -> Look:
    """The Python that a run would take. It is another one than ours where labctl has an environment of its own."""
    from lab.executors import pythons, script, tinker

    written = script.named(given.spec.executor_command, tinker.SCRIPT)
    if not script.is_bare(written):
        return Look(name="python", state=OK, what=f"the SPEC names it: {written}")
    try:
        found = pythons.find(("tinker", "lab"), _seen(root, given), tinker.INSTALL)
    except Unavailable as absent:
        return Look(name="python", state=ABSENT, what=absent.what, fix=absent.fix)
    return Look(name="python", state=OK, what=f"recipes run with {found}")


def _seen(root: Root, given: Subject) -> Mapping[str, str]:
    """The variables that a run of it is given: a key that its SPEC does not name is not seen."""
    from lab.executors import environment

    return environment.given(given.spec, root.world.environ)


def _key(url: str, root: Root, given: Subject | None = None) -> Look:
    """Whether there is one, and where. Which it is, is never shown."""
    from lab.tinker import credentials

    seen = _seen(root, given) if given is not None else root.world.environ
    try:
        found = credentials.require(url, seen)
    except Unavailable as absent:
        return Look(name="key", state=ABSENT, what=absent.what, fix=absent.fix)
    except LabError as wrong:
        return Look(name="key", state=FAILED, what=wrong.what, fix=wrong.fix)
    return Look(name="key", state=OK, what=f"from {found}" if found else "none is needed on this machine")


def _server(url: str, root: Root, limit_s: float) -> tuple[Capabilities | None, Look]:
    from lab.tinker import capabilities

    try:
        told = capabilities.ask(url, root.world.environ, limit_s=limit_s)
    except LabError as away:
        fix = away.fix or "labctl tinker serve-local starts one here"
        return None, Look(name="service", state=ABSENT, what=f"{away.what} ({url})", fix=fix)
    return told, Look(name="service", state=OK, what=f"{url} answers, in {told.took_s:.1f} s")


def _models(told: Capabilities) -> Look:
    shown, more = ", ".join(told.models[:_MODELS_SHOWN]), len(told.models) - _MODELS_SHOWN
    what = f"{shown} and {more} more" if more > 0 else shown or "it trains none"
    return Look(name="models", state=OK if told.models else FAILED, what=what)


def _model(told: Capabilities, name: str) -> Look:
    from lab.core.errors import nearest

    if name in told.models:
        return Look(name="model", state=OK, what=f"{name} can be trained there")
    near = nearest(name, told.models)
    fix = f"did you mean {near}?" if near else "labctl tinker check --base-url URL lists what can be trained"
    return Look(name="model", state=FAILED, what=f"the service trains no {name}", fix=f"base_model in the SPEC: {fix}")


def _tokenizer(given: Subject, told: Capabilities | None) -> Look:
    from lab.tinker import tokenizer

    folder = given.order.tokenizer if given.order is not None else given.tuning.tokenizer
    if not folder:
        what = "the service is asked for it; it must be a folder of this machine"
        return Look(name="tokenizer", state=OK if told is not None else NONE, what=what)
    if not os.path.isfile(f"{folder}/{tokenizer.FILE}"):
        return Look(name="tokenizer", state=FAILED, what=f"{folder} has no {tokenizer.FILE}", fix="tinker.tokenizer")
    return Look(name="tokenizer", state=OK, what=folder)


def _budget(root: Root, given: Subject) -> Look:
    from lab.scheduler.chaining import guard

    if is_free(given.tuning.url):
        return Look(name="budget", state=OK, what="nobody is paid for a service on this machine")
    try:
        guard.require_budget(given.spec, root.world.environ)
    except Unavailable as absent:
        return Look(name="budget", state=ABSENT, what=absent.what, fix=absent.fix)
    except LabError as refused:
        return Look(name="budget", state=FAILED, what=refused.what, fix=refused.fix)
    stop = given.spec.stop_conditions
    return Look(name="budget", state=OK, what=f"it ends at {words.budget(stop.budget_tokens, stop.budget_cost)}")


def _recipe(root: Root, given: Subject, order: Order) -> Look:
    """The recipe's own look at its data and parameters. It trains nothing."""
    from lab.cli.signals import Signals
    from lab.core.errors import Interrupted
    from lab.scheduler.chaining import rehearsed
    from lab.tinker import beforehand

    signals = Signals()
    try:
        with signals:
            watch = words.until(signals)
            done = rehearsed.rehearse(root, given.view, given.spec, order, beforehand.CHECK, watch=watch)
    except LabError as refused:
        return Look(name="recipe", state=FAILED, what=refused.what, fix=refused.fix)
    if signals.came():
        raise Interrupted("interrupted; no run was touched")
    if not done.went_well:
        why = done.complaint
        return Look(name="recipe", state=FAILED, what=why.what, fix=why.fix)
    said = [line.strip() for line in done.out.splitlines() if line.strip()]
    return Look(name="recipe", state=OK, what=said[-1] if said else "it finds nothing wrong")


def trial(root: Root, given: Subject, limit_s: float) -> Iterator[Look]:
    """The way of a chunk at its shortest; each part of it is a line."""
    from lab.tinker import capabilities

    tuning = given.tuning
    try:
        told = capabilities.trial(tuning.url, tuning.base_model, _seen(root, given), limit_s=limit_s)
    except LabError as away:
        yield Look(name="trial", state=FAILED, what=away.what, fix=away.fix)
        return
    for stage in told.stages:
        name = f"trial: {stage.name}"
        if stage.problem:
            yield Look(name=name, state=FAILED, what=stage.problem, fix=stage.fix)
        else:
            yield Look(name=name, state=OK, what=f"{stage.took_s:.1f} s  {stage.told}".rstrip())
    used = f"{told.trained} tokens trained, {told.sampled} sampled, {told.prefilled} read"
    yield Look(name="trial", state=OK if told.is_good else FAILED, what=f"{used}; they are in no sum of the lab")
