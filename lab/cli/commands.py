"""Every verb, in the order of `labctl --help`. Nothing is scanned for, and a verb is loaded when it is used."""

from __future__ import annotations


class Command:
    """A verb's name, where it lives, and its one line of help."""

    __slots__ = ("aliases", "group", "module", "name", "summary")

    def __init__(self, name: str, module: str, group: str, summary: str, aliases: tuple[str, ...] = ()) -> None:
        self.name = name
        self.module = f"lab.cli.{module}"
        self.group = group
        self.summary = summary
        self.aliases = aliases

    @property
    def only_reads(self) -> bool:
        """Whether no run, and nothing that waits, can be left half done where it is interrupted."""
        return self.group == LOOK or self.name in _READ


START, RUN, LOOK, STEER, WORK, KEEP, MORE = "start", "run", "look", "steer", "hand out work", "keep in order", "more"
_READ = ("validate", "space", "approvals", "doctor", "verify", "schema", "explain", "completion", "tinker", "paper")

COMMANDS = (
    Command("init", "init", START, "make a data root"),
    Command("create", "create", START, "make an experiment from a SPEC or a template", ("add-task",)),
    Command("validate", "validate", START, "check a SPEC without creating anything"),
    Command("space", "space", START, "show, check or sample a search space"),
    Command("import-root", "import_root", START, "read another data root in: of hermes-lab, or of labctl"),
    Command("import", "import_", START, "read the trials of an Optuna study in"),
    Command("autoresearch", "autoresearch", START, "begin, follow and finish a loop that edits code"),
    Command("run-once", "run_once", RUN, "run what is due, once: the turn that cron takes"),
    Command("burst", "burst", RUN, "make runs of one experiment back to back, searching"),
    Command("guided", "guided", RUN, "make runs of one experiment, each after a person's word"),
    Command("swarm", "swarm", RUN, "search with several strategies that share one history"),
    Command("try", "try_", RUN, "change code by hand, and let the lab measure and judge it"),
    Command("mutate", "mutate", RUN, "let an agent change a workspace, and judge what it changed"),
    Command("replay", "replay", RUN, "run a run again: same parameters, seed and commit"),
    Command("research", "research", RUN, "carry a research project from its question to its paper"),
    Command("paper", "paper", RUN, "prove a paper: every number again, from its sealed runs"),
    Command("tinker", "tinker", RUN, "train a model remotely: check, follow, fetch, or serve it here"),
    Command("status", "status", LOOK, "what wants you, and how the lab is"),
    Command("list", "list_", LOOK, "list experiments, or the runs of one"),
    Command("show", "show", LOOK, "show one experiment or one run"),
    Command("context", "context", LOOK, "print what one needs to go on with an experiment, in one read"),
    Command("watch", "watch", LOOK, "watch it happen: a screen that renews itself, or a line an event"),
    Command("tail", "tail", LOOK, "show the end of what a run wrote"),
    Command("best", "best", LOOK, "show the run to take, and its parameters"),
    Command("top", "top", LOOK, "show the best runs of an experiment"),
    Command("params", "params_", LOOK, "show the parameters that a run was given"),
    Command("compare", "compare", LOOK, "compare two runs: numbers with intervals, parameters, code", ("diff",)),
    Command("evals", "evals", LOOK, "show how a model was scored, and whether another one is better"),
    Command("board", "board", LOOK, "show what each arm of a search brought, and what is under way"),
    Command("cost", "cost", LOOK, "show what an experiment took, and what each improvement cost"),
    Command("metrics", "metrics_", LOOK, "read a log for metrics, by the rules that runs are read by"),
    Command("report", "report", LOOK, "write what there is to see into one file for a browser"),
    Command("plot", "plot", LOOK, "draw an experiment into a PNG or SVG file"),
    Command("export", "export", LOOK, "write the runs of an experiment as CSV, Parquet or an Optuna study"),
    Command("serve", "serve", LOOK, "show the lab in a browser, and let decide there who knows the token"),
    Command("digest", "digest", LOOK, "write the digest of a day"),
    Command("weekly-digest", "digest_weekly", LOOK, "write the digest of a week"),
    Command("pause", "pause", STEER, "start no more runs of an experiment"),
    Command("resume", "resume", STEER, "let runs of an experiment start again"),
    Command("complete", "complete", STEER, "end an experiment"),
    Command("set-fidelity", "set_fidelity", STEER, "move an experiment to another fidelity tier"),
    Command("propose", "propose", STEER, "ask for a run with these parameters, or for another tier"),
    Command("approvals", "approvals", STEER, "show what waits for a person's word"),
    Command("approve", "approve", STEER, "say yes to what waits, or to an edit of it"),
    Command("reject", "reject", STEER, "say no to what waits, and why"),
    Command("cancel", "cancel", STEER, "end a run that is under way"),
    Command("steer", "steer", STEER, "tell the proposers of a code loop something"),
    Command("notify", "notify", STEER, "show or try where notices go"),
    Command("archive", "archive", STEER, "take an experiment out of the lists, or bring it back"),
    Command("dispatch-ready", "dispatch_ready", WORK, "queue what is due as packages for workers"),
    Command("dispatch-claim", "dispatch_claim", WORK, "take packages to work on"),
    Command("dispatch-work", "dispatch_work", WORK, "take packages, run them, and complete them"),
    Command("dispatch-renew", "dispatch_renew", WORK, "say that a package's worker lives"),
    Command("dispatch-complete", "dispatch_complete", WORK, "say that a package is done"),
    Command("dispatch-ingest", "dispatch_ingest", WORK, "take complete packages in: each becomes a sealed run"),
    Command("dispatch-agent-next", "dispatch_agent_next", WORK, "give an agent the next package as one JSON"),
    Command("dispatch-agent-submit", "dispatch_agent_submit", WORK, "try an agent's change, and take its run in"),
    Command("dispatch-pack", "dispatch_pack", WORK, "put a claimed package into a tar for another machine"),
    Command("dispatch-unpack", "dispatch_unpack", WORK, "bring the tar of another machine back"),
    Command("exec", "exec_", WORK, "carry out a run that an engine has: its job starts this"),
    Command("worker", "worker", WORK, "work on packages until stopped, here or where no lab is"),
    Command("courier", "courier", WORK, "send packages to a worker elsewhere, and take its answers in"),
    Command("doctor", "doctor", KEEP, "check this machine and this lab, and say what to do"),
    Command("watchdog", "watchdog", KEEP, "first: look for what is wrong, and settle dead runs"),
    Command("recover", "recover", KEEP, "then, if that was not enough: bring a damaged lab back to order"),
    Command("verify", "verify", KEEP, "prove that nothing sealed was changed or lost"),
    Command("refresh", "refresh", KEEP, "write every derived page again"),
    Command("lease", "lease", KEEP, "show or break the claims on an experiment"),
    Command("schedule", "schedule", KEEP, "let cron, systemd or launchd turn the crank"),
    Command("prune", "prune", KEEP, "move old bundles into an archive, or bring them back"),
    Command("mcp", "mcp", MORE, "let agents use the lab by the Model Context Protocol"),
    Command("schema", "schema", MORE, "print the JSON Schema of what labctl prints or keeps"),
    Command("explain", "explain", MORE, "say what an exit code, an error or another word means"),
    Command("skills", "skills", MORE, "list, show, check or install the skills for agents"),
    Command("completion", "completion", MORE, "print a shell's completion script"),
)


def find(word: str) -> Command | None:
    """The command of this name or alias."""
    for command in COMMANDS:
        if word == command.name or word in command.aliases:
            return command
    return None


def words() -> tuple[str, ...]:
    """Every name and alias."""
    return tuple(word for command in COMMANDS for word in (command.name, *command.aliases))
