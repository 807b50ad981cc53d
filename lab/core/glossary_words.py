"""The nouns by which the lab talks of itself, and the roles that runs are named by. Pure."""

from __future__ import annotations

_LOOK = "labctl show ID"
NOUNS = {
    "lab": ("the folder that holds everything: experiments, runs, decisions, pages; also called the data root",
            "$LAB_DATA_ROOT names it, else $HERMES_LAB_DATA_ROOT, else it is ./lab-data", "labctl init makes one"),
    "experiment": ("a SPEC.yaml and its runs", "something has a metric, something to vary and a way to run it",
                   "labctl create makes one; labctl list shows them"),
    "run": ("one attempt; it is sealed, and changes no more, once SEAL.json is in its folder",
            "a turn of cron, a burst, a word of a person or a worker made it", "labctl show RUN"),
    "bundle": ("the folder of a run: what it was given, what it wrote, what came of it", "each run gets one of its own",
               "labctl show RUN says where it is; do not edit it"),
    "outcome": ("how a run ended: success, failed, timeout, crash or cancelled", "its program and its budget say so",
                "labctl explain with that word says more"),
    "trial": ("what a strategy sees of a run: parameters, a value or none, how it ended; counted from 0",
              "a search learns from the runs before", "labctl top ID lists the best"),
    "proposal": ("parameters that somebody offers for a run, with a reason; or a move that waits for a person",
                 "a strategy, a person or an agent made it", "labctl approvals shows what waits"),
    "executor": ("what turns a run into a process and reads what came of it",
                 "`executor` of the SPEC: command, training, reference, tinker, or one of yours",
                 "labctl validate ID says whether it would run"),
    "engine": ("where the process of a run lives: local, slurm or ray", "`engine` of the SPEC, else this machine",
               "labctl doctor says which are here"),
    "strategy": ("what proposes the next parameters of a search",
                 "`strategy` of the SPEC, else portfolio where there is a search space",
                 "labctl burst --help says which there are"),
    "claim": ("a numbered file by which one process takes an experiment; whoever creates the next number has it",
              "two who run the same experiment would disturb each other", "labctl lease show ID"),
    "generation": ("the number of a claim; a holder with an older one can seal nothing any more",
                   "somebody took over from one that was gone or silent", "labctl lease show ID"),
    "lease": ("the right to run an experiment now; it lasts as long as its holder lives and renews it",
              "a claim was made", "labctl lease show ID says who has it"),
    "view": ("what the sealed runs and the decisions of an experiment add up to", "every page and verb reads it",
             _LOOK),
    "page": ("text made from a view, such as LAB-STATUS.md; it can be deleted and is made again",
             "a run or a decision changed what it tells", "labctl refresh makes all of them"),
    "tier": ("how much is spent on a run: a cheap proxy first, then validation, then final",
             "`fidelity_tiers` of the SPEC; one that names none has a single tier",
             "labctl show ID says which it is in"),
    "package": ("a run that was handed over as files below dispatch/, for a worker to take",
                "labctl dispatch-ready made it", "labctl status says what waits"),
}  # fmt: skip
_NAMED = "in a sweep it is a part of a run's name, and no more"
_TURNS = "`worker_roles` of the SPEC, by turns, one a run; its program reads it as LAB_ROLE"
_MORE = "nothing; `worker_roles: [NAME]` names the runs otherwise"
ROLES = {
    "scout": (f"a role: whoever looks around; {_NAMED}", _TURNS, _MORE),
    "researcher": (f"a role: whoever follows what is known; {_NAMED}", _TURNS, _MORE),
    "critic": (f"a role: whoever doubts what was found; {_NAMED}", _TURNS, _MORE),
    "synthesizer": (f"a role: whoever puts findings together; {_NAMED}", _TURNS, _MORE),
}
FAMILIES = {"noun": NOUNS, "role": ROLES}
