"""What `project.yaml` says: what a research project is about, who does which phase, and when a person is asked.

It lies in the project's folder, with whatever the user gave, and belongs to the user. A phase is given the keys that
its declaration names (`project:KEY`), so an edit makes those phases due again that it is about, and no other.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from lab.core import spec_text
from lab.core.errors import nearest
from lab.research import converted

FILE = "project.yaml"
PHASES = ("literature", "ideation", "implementation", "training", "evaluation", "iteration", "writing", "publishing")
LITERATURE, IDEATION, IMPLEMENTATION, TRAINING, EVALUATION, ITERATION, WRITING, PUBLISHING = PHASES
RESEARCH = "research"  # the executor of projects, who acts for one in the ledger, and the folder of what comes with it
HOSTS = ("arxiv", "openalex", "semantic_scholar")
MAX_ROUNDS = 20
Name = Literal[
    "literature", "ideation", "implementation", "training", "evaluation", "iteration", "writing", "publishing"
]
Gate = Literal["none", "approve"]
Count = Annotated[int, Meta(ge=1, le=100_000)]
Seconds = Annotated[float, Meta(ge=0, le=2_592_000)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a project. A key that is not known refuses the whole: it would be believed to be heeded.

    The descriptions are those of docs/reference/project.md.
    """


class Agent(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The agent of phases that are routed to one: an adapter of Models and agents, as a SPEC's agent_* name it."""

    provider: Annotated[
        str, Meta(description="Which agent: a name that `labctl doctor --agents` lists, or command.")
    ] = ""
    model: Annotated[str, Meta(description="Its model; none: its own choice.")] = ""
    effort: Annotated[str, Meta(description="How hard it thinks, in its own word, where it takes one.")] = ""
    command: Annotated[
        str, Meta(description="Of the provider command: the program that is the agent, with its arguments.")
    ] = ""


class Literature(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where papers come from. A key is given by the name of its variable, never by its value."""

    offline: Annotated[bool, Meta(description="No host is asked: every source is your own, and unverified.")] = False
    hosts: Annotated[
        tuple[Literal["arxiv", "openalex", "semantic_scholar"], ...],
        Meta(description="Who is asked: arxiv, openalex, semantic_scholar."),
    ] = ("arxiv",)
    queries: Annotated[
        tuple[str, ...], Meta(description="What is searched for; none: made of the topic and the hypothesis.")
    ] = ()
    own: Annotated[tuple[str, ...], Meta(description="Your own PDFs, BibTeX and notes: files of the folder.")] = ()
    most: Annotated[Count, Meta(description="How many papers of hosts it keeps at most.")] = 20
    urls: Annotated[
        dict[str, str],
        Meta(description="Host to its address, where another one answers in its place: a mirror, a test."),
    ] = {}
    keys: Annotated[
        dict[str, str],
        Meta(
            description="Host to the NAME of the variable with its key; that name also goes into `secrets` of the SPEC."
        ),
    ] = {}
    contact: Annotated[str, Meta(description="An e-mail address that the hosts are told, as they ask for.")] = ""


class Training(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    runs: Annotated[Count, Meta(description="Runs of a round; in the first the baseline is one of them.")] = 12
    min_run_s: Annotated[
        Seconds, Meta(description="Seconds below which a run is not believed that says it is done; 0 believes each.")
    ] = 0.001
    strategy: Annotated[str, Meta(description="Who searches, where the SPEC of the study names nobody.")] = "portfolio"


class Evaluation(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    seeds: Annotated[
        Annotated[int, Meta(ge=3, le=1000)], Meta(description="Measurements of the baseline and of the candidate each.")
    ] = 3
    tier: Annotated[str, Meta(description="Where what is reported is measured; none: the last tier of the study.")] = ""


class Iteration(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    max_rounds: Annotated[
        Annotated[int, Meta(ge=1, le=MAX_ROUNDS)], Meta(description="How many rounds there are at most.")
    ] = 3
    patience: Annotated[
        Annotated[int, Meta(ge=1, le=MAX_ROUNDS)], Meta(description="Rounds without a gain after which it stops.")
    ] = 2


class Paper(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    title: Annotated[
        str, Meta(description="Title of the paper; none: the topic, or the hypothesis where the study tests no topic.")
    ] = ""
    authors: Annotated[tuple[str, ...], Meta(description="Who stands below the title.")] = ()
    latex: Annotated[bool, Meta(description="Make paper.tex too.")] = True
    ai_statement: Annotated[
        str, Meta(description="Who or what did which phase, in your words; none: in those of the lab.")
    ] = ""


class Publish(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a release would go. Nothing is sent without a person's approval of its hash."""

    to: Annotated[
        Literal["", "git", "huggingface"], Meta(description="Where to; blank: it is listed, and cannot be sent.")
    ] = ""
    remote: Annotated[str, Meta(description="Of git: the URL or the path of a repository.")] = ""
    repo: Annotated[str, Meta(description="Of the hub: OWNER/NAME.")] = ""
    repo_type: Annotated[Literal["model", "dataset", "space"], Meta(description="Of the hub: what it is there.")] = (
        "model"
    )
    token: Annotated[
        str, Meta(description="The NAME of the variable with the token, which also goes into `secrets` of the SPEC.")
    ] = "HF_TOKEN"  # noqa: S105
    files: Annotated[
        tuple[str, ...],
        Meta(description="Files of the folder that go along with the paper, each by its name: no patterns."),
    ] = ()
    most_mb: Annotated[Annotated[float, Meta(gt=0, le=100_000)], Meta(description="MiB that a release may have.")] = (
        100.0
    )


class Project(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    mode: Annotated[Literal["A", "B", "C", "D", "E"], Meta(description="How it began, and so which phases there are.")]
    topic: Annotated[
        str, Meta(description="What it is about, in a sentence: for the literature, the ideas and the paper.")
    ] = ""
    hypothesis: Annotated[
        str, Meta(description="A file of the folder with an idea: what is expected, and what would prove it wrong.")
    ] = ""
    data: Annotated[str, Meta(description="A file of the folder: the data that it is about.")] = ""
    study: Annotated[
        str,
        Meta(description="A folder of it: the SPEC of what is varied and measured, and the programs that it names."),
    ] = "study"
    proceed_from: Annotated[str, Meta(description="Mode E: an experiment of this lab that has runs already.")] = ""
    routing: Annotated[
        dict[Name, str], Meta(description="Phase to who does it: agent, command, or another worker that it may have.")
    ] = {}
    agent: Annotated[Agent, Meta(description="The agent of the phases that are routed to one.")] = Agent()
    commands: Annotated[
        dict[Name, str], Meta(description="Phase to its program, of those that are routed to command.")
    ] = {}
    skip: Annotated[
        tuple[Name, ...], Meta(description="Phases that are left out, besides those that the mode leaves out.")
    ] = ()
    gates: Annotated[
        dict[Name, Gate], Meta(description="Phase to approve, where a person is asked before it, or to none.")
    ] = {}
    literature: Annotated[Literature, Meta(description="Where papers come from.")] = Literature()
    training: Annotated[Training, Meta(description="The runs of the study.")] = Training()
    evaluation: Annotated[Evaluation, Meta(description="What is reported.")] = Evaluation()
    iteration: Annotated[Iteration, Meta(description="Where the rounds end.")] = Iteration()
    paper: Annotated[Paper, Meta(description="The paper.")] = Paper()
    publish: Annotated[
        Publish, Meta(description="Where a release would go; nothing is sent before its hash is approved.")
    ] = Publish()


def parse(data: bytes, where: str = FILE) -> Project:
    """The project that a file says, or `BadInput` with the key that is wrong."""
    mapping, lines = spec_text.parse_text(data, where, least="`mode:` and `topic:`")
    return converted.record(mapping, Project, lines, where, _mend)


def _mend(path: spec_text.Path, what: str) -> str:
    known = _known(path)
    unknown = what.split("`")[1] if "unknown field" in what else ""
    near = nearest(unknown, known) if unknown else ""
    return f"did you mean {near}?" if near else f"known are {', '.join(known)}" if unknown else "mend this key"


def _known(path: spec_text.Path) -> tuple[str, ...]:
    """The keys at a place."""
    parts = {
        "agent": Agent, "literature": Literature, "training": Training, "evaluation": Evaluation,
        "iteration": Iteration, "paper": Paper, "publish": Publish,
    }  # fmt: skip
    return (parts.get(path[0], Project) if path and isinstance(path[0], str) else Project).__struct_fields__
