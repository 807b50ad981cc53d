"""Begin a research project: its folder, with copies of what the user gave, and its experiment. Whole or not at all."""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

import msgspec

from lab.core import ids, layout
from lab.core.errors import BadInput, NotFound, Unavailable
from lab.executors import environment
from lab.research import declared
from lab.research import project as projects
from lab.research.ideas import accepted, tables
from lab.research.ideas import hypothesis as ideas
from lab.research.literature import own as papers
from lab.research.projects import opened, wish
from lab.research.projects.wish import STUDY
from lab.research.release import targets
from lab.research.studies import bundled, lent
from lab.research.studies import study as study_of
from lab.scheduler import create
from lab.scheduler.agents import door as agents
from lab.store import experiments, machine, reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.core.spec import Spec
    from lab.research.project import Project
    from lab.research.projects.wish import Wish
    from lab.store.root import Root

INPUTS, OWN = "inputs", "inputs/own"
README = "README.md"
MOST_BYTES = 256 << 20
_IDEA_BYTES = 1 << 20
_NOTES = (".pdf", ".bib", ".md", ".txt")
_LEFT_OUT = ("__pycache__", "node_modules")
_TIERS = 2


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What came to be, or would: `made` is False of a dry run. `files` are those of the folder."""

    name: str
    made: bool
    folder: str
    path: str
    mode: str
    phases: tuple[str, ...]
    files: tuple[str, ...]
    secrets: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class _Copy(msgspec.Struct, frozen=True):
    """A file to bring in: from where, and with which rights."""

    path: str
    mode: int
    size: int


def make(root: Root, asked: Wish, *, here: str, actor: str, dry_run: bool = False) -> Made:
    """Refuse it, with everything that can be known now, or make it.

    A folder that a crash left without its experiment is finished by the same words, where its project.yaml is the same.
    """
    name = ids.experiment_id(asked.name)
    mode = wish.require(asked)
    _refuse_inside(root, here)
    asked = msgspec.structs.replace(asked, to=_destination(asked.to, here))
    copies, brought = _gathered(root, asked)
    made = wish.written(asked, mode, brought)
    agent = _agent(made, here)
    page = wish.page(made).encode()
    if projects.parse(page) != made:
        raise BadInput("this cannot be written as a project", fix="say it in plainer words: --topic")
    folder = os.path.join(here, name)
    seen = root.world.environ
    token = (made.publish.token,) if made.publish.to == "huggingface" else ()
    hub = ("HF_ENDPOINT",) if token else ()
    named = [each for each in (*token, *hub, *agent) if len(seen.get(each, "")) >= environment.SHORTEST_SECRET]
    own = _of_study(root, asked, copies)
    hidden = {each for each in named if environment.looks_secret(each)} | {*(own.secrets if own is not None else ())}
    named += [each for each in _named_by(own) if each not in named and seen.get(each)]
    secrets = tuple(each for each in named if each in hidden)
    spec = wish.spec(name, made, folder, secrets, [each for each in named if each not in secrets]).encode()
    told = _created(root, spec, folder, actor, dry_run=True)
    files = (projects.FILE, README, *copies)
    is_left = _is_left(folder, page)
    if not is_left:
        _require_free(folder)
    notes = tuple(
        f"{each} is not set: set it, and name it in `secrets` of the SPEC" for each in token if each not in named
    )
    notes += _unused(made)
    if placeholder := bundled.said(made, _folder(asked.study)):
        notes += (f"{placeholder}; {bundled.FIX}",)
    if not dry_run:
        if not is_left:
            _lay_out(root, folder, {projects.FILE: page, README: _readme(name, made)}, copies)
        told = _created(root, spec, folder, actor)
        notes += told.notes
    return Made(
        name=name, made=not dry_run, folder=folder, path=told.path, mode=made.mode, files=tuple(sorted(files)),
        phases=tuple(each.name for each in declared.planned(made)), secrets=secrets, notes=notes,
    )  # fmt: skip


def _unused(made: Project) -> tuple[str, ...]:
    """What was given and no phase of the mode reads: silently left, it would be missed in the paper."""
    if not made.literature.own or any(each.name == projects.LITERATURE for each in declared.planned(made)):
        return ()
    what = f"--own is not read: mode {made.mode} has no literature phase, so the paper cites nothing"
    return (f"{what}; mode B or C, with what was given, reads and cites it",)


def _created(root: Root, spec: bytes, folder: str, actor: str, *, dry_run: bool = False) -> create.Created:
    """Its experiment."""
    try:
        return create.written(root, spec, folder, actor=actor, dry_run=dry_run)
    except create.NameTaken as taken:
        raise BadInput(taken.what, where=taken.where, fix="give the project another name") from None


def _destination(given: str, here: str) -> str:
    """A path is meant from where it is typed, as all others are; project.yaml has the whole of it."""
    kind, _, place = given.partition(":")
    return f"{kind}:{targets.remote(place, here)}" if kind == wish.GIT and place else given


def _of_study(root: Root, asked: Wish, copies: dict[str, _Copy]) -> Spec | None:
    """The SPEC of what is run, as it is given."""
    if asked.proceed_from:
        return experiments.load(root, asked.proceed_from).spec
    given = copies.get(f"{STUDY}/{layout.SPEC}")
    return None if given is None else experiments.parse_spec(reading.read(given.path) or b"", given.path)


def _named_by(own: Spec | None) -> tuple[str, ...]:
    """The variables that a study's runs see: they are made within runs of the project, which must see them too."""
    if own is None:
        return ()
    return tuple(each for each in dict.fromkeys((*own.secrets, *own.env)) if not each.startswith("LAB_"))


def _refuse_inside(root: Root, here: str) -> None:
    lab, real = os.path.realpath(root.layout.root), os.path.realpath(here)
    if real == lab or real.startswith(f"{lab}/"):
        what = "the folder of a project would lie in the lab"
        raise BadInput(what, where=here, fix="go to where your own files are, and type it there")


def _require_free(folder: str) -> None:
    if os.path.lexists(folder):
        what = f"there is a {os.path.basename(folder)} here already"
        raise BadInput(what, where=folder, fix="give the project another name")


def _is_left(folder: str, page: bytes) -> bool:
    return os.path.isdir(folder) and reading.read(f"{folder}/{projects.FILE}") == page


def _agent(made: Project, here: str) -> tuple[str, ...]:
    """The variables that the agent of the project may be given. `BadInput` where there is no such agent."""
    if not made.agent.provider:
        return ()
    return tuple(getattr(agents.find(made.agent.provider, made.agent.command, (here,)), "passed", ()))


# -- what was given -------------------------------------------------------------------------------------------------


def _gathered(root: Root, asked: Wish) -> tuple[dict[str, _Copy], wish.Brought]:
    """The files to copy, by where they will lie; each was looked at."""
    found: dict[str, _Copy] = {}
    hypothesis = data = ""
    if asked.hypothesis:
        path = _path(asked.hypothesis)
        _looked_at(path)
        given = reading.read_given(path, _IDEA_BYTES)
        if given is None:
            raise NotFound("there is no such file", where=path, fix="--hypothesis FILE, with a hypothesis as YAML")
        _require_idea(asked, given, path)
        hypothesis = _take(found, INPUTS, path, name=f"hypothesis{ideas.ending(path)}")
    if asked.data:
        data = _take(found, INPUTS, _path(asked.data))
        if not found[data].size:
            raise BadInput("there is nothing in this file", where=_path(asked.data), fix="--data FILE")
    own = [_own(found, each) for each in asked.own]
    study = ""
    if asked.proceed_from:
        _require_runs(root, asked.proceed_from, measured=asked.runs == 0)
    else:
        study = STUDY
        for name, copy in _study(asked.study):
            found[f"{STUDY}/{name}"] = copy
    copied = [each.size for place, each in found.items() if place == data or place.startswith(f"{STUDY}/")]
    study_of.require_size(copied, _path(asked.data or asked.study), "the study has, with the data,")
    if asked.data:
        tables.require(found[data].path, _folder(asked.study))
    if sum(each.size for each in found.values()) > MOST_BYTES:
        what = f"what was given is more than {MOST_BYTES >> 20} MiB"
        raise BadInput(what, fix="name large data by its path in the study's own SPEC")
    return found, wish.Brought(hypothesis=hypothesis, data=data, study=study, own=tuple(own))


def _own(found: dict[str, _Copy], given: str) -> str:
    """A paper or note of the user's: the name that it will have."""
    if not given.lower().endswith(_NOTES):
        raise BadInput(f"--own takes {', '.join(_NOTES)}", where=_path(given), fix="save it as one of these")
    place = _take(found, OWN, _path(given))
    if given.lower().endswith(".pdf") and reading.read_head(_path(given), len(papers.PDF)) != papers.PDF:
        raise BadInput("this is no PDF", where=_path(given), fix="save it as one, or give a note: .md, .txt")
    if found[place].size > papers.MOST_BYTES:
        what = f"this is more than {papers.MOST_BYTES >> 20} MiB, and would not be read"
        raise BadInput(what, where=_path(given), fix="give a part of it")
    return place


def _require_idea(asked: Wish, given: bytes, path: str) -> None:
    """Refuse a hypothesis that says too little for the study, by the keys that are missing; or that it cannot test."""
    study = study_of.on_disk(_folder(asked.study))
    accepted.require(ideas.read(given, path, study), study)


def _path(given: str) -> str:
    return os.path.realpath(os.path.expanduser(given))


def _take(found: dict[str, _Copy], folder: str, path: str, name: str = "") -> str:
    """Put one file on the list; the name that it will have."""
    name = name or os.path.basename(path)
    if not name.isprintable() or name.startswith(".") or "\\" in name:
        raise BadInput("a file of this name is not taken in", where=path, fix="rename it: letters, digits, . _ and -")
    place = f"{folder}/{name}"
    if place in found:
        raise BadInput(f"two files are called {name}", where=path, fix="rename one of them")
    found[place] = _looked_at(path)
    return place


def _looked_at(path: str) -> _Copy:
    try:
        told = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        raise NotFound("there is no such file", where=path, fix="look at its name") from None
    except OSError as away:
        raise Unavailable(f"this cannot be looked at: {away.strerror}", where=path, fix="see who may read it") from None
    if not stat.S_ISREG(told.st_mode):
        raise BadInput("this is no plain file", where=path, fix="name a file")
    return _Copy(path, 0o755 if told.st_mode & stat.S_IXUSR else 0o644, told.st_size)


def _folder(given: str) -> str:
    """The folder of a study: a person's, or the one that comes with labctl."""
    return _path(given) if given else declared.place(STUDY)


def _study(given: str) -> Iterator[tuple[str, _Copy]]:
    """The files of a study: all plain ones below its folder but what is hidden, or made by a tool."""
    path = _folder(given)
    if not os.path.isdir(path):
        fix = f"--study DIR, with a {layout.SPEC} in it" if given else "install labctl again: pip install ."
        raise NotFound("there is no such folder", where=path, fix=fix)
    data = reading.read_given(f"{path}/{layout.SPEC}", _IDEA_BYTES)
    if data is None:
        raise BadInput(f"this study has no {layout.SPEC}", where=path, fix="docs/how-to/research.md tells of a study")
    spec = experiments.parse_spec(data, f"{path}/{layout.SPEC}")
    if len(spec.fidelity_tiers) < _TIERS or not spec.metric:
        what = "a study has a metric and two tiers at least: what it searches in, and what it reports"
        raise BadInput(what, where=f"{path}/{layout.SPEC}", fix="fidelity_tiers: [selection, report]")
    count = 0
    for parent, folders, names in os.walk(path):
        folders[:] = sorted(each for each in folders if each not in _LEFT_OUT and not each.startswith("."))
        for name in sorted(names):
            place = os.path.join(parent, name)
            if name.startswith(".") or os.path.islink(place):
                continue
            count += 1
            if count > study_of.MOST_FILES:
                what, fix = f"more than {study_of.MOST_FILES:,} files", "keep data and results out of it"
                raise BadInput(what, where=path, fix=fix)
            yield os.path.relpath(place, path), _looked_at(place)


def _require_runs(root: Root, name: str, *, measured: bool) -> None:
    """Refuse to go on from what has not begun, is a project itself, or would make no run now.

    `measured`: none is wanted, and what it has is to be evaluated.
    """
    experiments.require(root, name)
    loaded = experiments.load(root, name)
    if loaded.spec is not None and opened.is_project(loaded.spec):
        fix = f"labctl research run {name} goes on with it"
        raise BadInput(f"{name} is a research project itself", fix=fix)
    if not any(reading.is_file(f"{each}/{layout.SEAL}") for each in _runs(root, name)):
        raise BadInput(f"{name} has no sealed run to go on from", fix=f"labctl burst {name}")
    if (found := lent.closed(root, name, measured=measured)) is not None:
        at_end = lent.closed(root, name, measured=True) is None
        raise BadInput(found[0], fix=found[1] + ("; or --runs 0: what it has is evaluated" if at_end else ""))


def _runs(root: Root, name: str) -> Iterator[str]:
    folder = root.layout.runs(name)
    if os.path.isdir(folder):
        yield from (f"{folder}/{each}" for each in os.listdir(folder))


# -- the folder -----------------------------------------------------------------------------------------------------


def _lay_out(root: Root, folder: str, pages: dict[str, bytes], copies: dict[str, _Copy]) -> None:
    """All of it under a name that nobody asks for, then one rename."""
    above, name = os.path.split(folder)
    draft = f"{above}/.{name}.{machine.here()}-{os.getpid()}-{os.urandom(4).hex()}"
    try:
        _sweep(root, above, name)
        root.files.folder(draft)
        for place, data in pages.items():
            root.files.replace(f"{draft}/{place}", data, durable=True)  # leaves no second name behind
        for place, each in copies.items():
            root.files.copy(each.path, f"{draft}/{place}", mode=each.mode)
            root.files.sync_file(f"{draft}/{place}")
        _require_free(folder)  # the rename would take an empty folder over without a word
        root.files.move(draft, folder, durable=True)
    except OSError as away:
        fix = "go to a folder that you may write, and with room for it"
        raise Unavailable(f"the project cannot be made here: {away.strerror}", where=above, fix=fix) from away
    finally:
        root.files.discard_folder(draft)


def _sweep(root: Root, above: str, name: str) -> None:
    """Remove what a `new` of this name left that was killed: a hidden folder beside the project, whose maker is gone.

    It lies in a person's own folder: whatever is not called exactly so is theirs, and stays.
    """
    ours = re.compile(rf"\.{re.escape(name)}\.([0-9a-f]{{{machine.HERE_CHARS}}})-(\d+)-[0-9a-f]{{8}}")
    for each in os.listdir(above):
        found = ours.fullmatch(each)
        if found is not None and machine.is_gone(found[1], int(found[2])):
            root.files.discard_folder(f"{above}/{each}")


def _readme(name: str, made: Project) -> bytes:
    phases: Sequence[str] = [each.name for each in declared.planned(made)]
    steps = "\n".join(f"{number}. {each}" for number, each in enumerate(phases, 1))
    return f"""\
# {name}

A research project of labctl, mode {made.mode}. This folder is yours: `{projects.FILE}`, what was given (`{INPUTS}/`),
and the study (`{STUDY}/`). An edit makes those phases due again that it is about.

```text
labctl research check {name}      # is everything there that it needs
labctl research run {name}        # go on, up to the end or to where a person is asked
labctl research status {name}     # where it stands, and what to type
```

{steps}

Its budgets and limits are in `experiments/{name}/{layout.SPEC}` of the lab.
""".encode()
