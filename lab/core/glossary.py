"""The words by which the lab tells how something went: what each means, why it happens, and what to do. Pure.

`labctl explain` prints them, the manifest lists them, and a test holds them to the code that says them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import event, view
from lab.core.run import CANCELLED, CRASH, FAILED, SUCCESS, TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

EXIT, ERROR, OUTCOME, VERDICT, PHASE, EVENT, STOPPED, DAMAGE, NOTICE, MODEL = (
    "exit code", "error", "outcome", "verdict", "phase", "event", "stopped", "damage", "notice", "model",
)  # fmt: skip


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """One word of one family. A word may be in several: `failed` is an error and an outcome."""

    code: str
    family: str
    means: str
    why: str = ""
    do: str = ""
    example: str = ""  # a command that works in a lab with an experiment lr-sweep


_EXITS = {
    "0": ("done", "what was asked for is done, or was so already", "nothing; `data` has what came of it"),
    "1": ("the run or the check failed", "labctl worked, and what it ran or looked at is not well",
          "read `data`, or `error` where nothing was done; labctl show RUN says why a run failed"),
    "2": ("usage or bad input; nothing was written", "a flag, a file, an id or a SPEC cannot be used as it is",
          "do what `fix` says and type it again; the same words will be refused again"),
    "3": ("busy: somebody alive holds it; try again later", ("an experiment is being worked on, nothing is due, nobody "
          "said yes yet, or there is nothing left to try"), "wait; or labctl lease show ID, labctl approvals"),
    "4": ("corrupt data; the file is named and was not touched", "a sealed file, a ledger line or a record was changed",
          "labctl verify names all damage; labctl recover sets aside what cannot be read"),
    "5": ("the surroundings lack something: no lab here, a full disk, a missing program",
          "the machine or the place is not as labctl needs it", "do what `fix` says; no file of the lab is at fault"),
    "9": ("drift: a paper does not say any more what its runs say",
          "a number, a row of claims.jsonl, a reference or a bundle was changed after the paper was written",
          "labctl paper verify says which line, what is there and what should be; write the phase writing again"),
    "130": ("interrupted", "a person or a signal stopped it; runs under way were sealed as cancelled",
            "type it again: it goes on where it stopped"),
}  # fmt: skip
_ERRORS = {
    "failed": ("the run or the check failed, or labctl itself did", "see `message`; a fault of labctl says so",
               "do what `fix` says; for a fault of labctl, run it with --debug and report what it prints"),
    "bad-input": ("what was given cannot be used; nothing was written", "it breaks a rule; all of it is named at once",
                  "mend what is named, then type it again"),
    "not-found": ("what was named is not there", "an id is misspelt, or belongs to another data root",
                  "labctl list shows the experiments, labctl list ID the runs of one; mind --data-root"),
    "already-decided": ("somebody has said yes or no already, and that stands", "two people, or a page and a terminal",
                        "nothing; labctl approvals lists what still waits, and the message says who decided what"),
    "busy": ("somebody alive holds it", ("a run of this experiment is under way, another "
             "command is at work on it, or a proposal waits for a person"),
             "wait, or labctl lease show ID, or labctl approvals; never delete a file in registry/locks"),
    "superseded": ("this process lost its lease: it was taken for dead, and another was let in",
                   "it was silent for longer than its lease, as after a suspended laptop or a full disk",
                   "nothing: its bundle is kept, marked, and never counted"),
    "exhausted": ("the strategy has nothing left to propose", "every point of the space was tried, or is being tried",
                  "widen the space, or labctl complete ID; labctl best ID says what was found"),
    "unadvised": ("a model has to be asked first", "the search has no advice to propose from",
                  "nothing: the model is asked, then the search goes on"),
    "taken": ("somebody else ran it meanwhile", "two processes chose the same, and the other one was first",
              "type it again: it chooses anew"),
    "corrupt": ("a file does not say what it must, or a later labctl wrote it; nothing was touched",
                "a disk, a copy or a hand changed what was sealed", ("labctl verify, then labctl recover; or upgrade "
                "labctl, where it says so")),
    "unavailable": ("the surroundings lack something", ("there is no lab here, the disk is full, a program, a right or "
                    "an optional package is missing"), "do what `fix` says, then type it again"),
    "drift": ("something is not any more as it was proved",
              "a number, a row of claims.jsonl, a reference or a bundle was changed after the paper was written",
              "labctl paper verify says which line, what is there and what should be; write the phase writing again"),
    "interrupted": ("a person or a signal stopped it", "Ctrl-C, or a TERM from a scheduler",
                    "type it again; labctl watchdog --repair settles what is left"),
}  # fmt: skip
_OUTCOMES = {
    SUCCESS: ("the program ended with 0 and left a finite value, or none was asked for", "it did what it should",
              "labctl show RUN"),
    FAILED: ("the program ended with an error, or left no value that can be read", ("an exit code that is not 0, a "
             "metric that is missing, NaN or no number"), "labctl show RUN; stderr.log in its bundle"),
    TIMEOUT: ("its wall-clock budget was used up, so it was ended", "the run is slower than time_budget allows",
              "raise time_budget in SPEC.yaml, or make the run cheaper"),
    CRASH: ("it ended with the lab: nobody brought it to an end", "a power cut, a kill -9, a machine that went away",
            "nothing: it is counted as a failure without a value, and a search tries its parameters again"),
    CANCELLED: ("a person, or a rule that stops hopeless runs, ended it", "labctl cancel, Ctrl-C, early_stop",
                "labctl show RUN says who and why; it is no failure"),
}  # fmt: skip
_VERDICTS = {
    "keep": ("the change was better and is kept", "it beat the best by the acceptance rule", "labctl best ID"),
    "discard": ("the change was not better", "its value is within noise, or worse", "nothing; try another change"),
    "crash": ("the changed code did not run to its end", "the change broke it", "labctl show RUN; stderr.log"),
    "checks_failed": ("the change ran, and broke a rule", "a check failed, or it touched what may not be changed",
                      "read RESULT.md of the run; keep to mutable_paths"),
}  # fmt: skip
_PHASES = {
    view.QUEUED: ("it may run, and has no run yet", "nobody has run it since it was made",
                  "labctl run-once, or labctl burst ID"),
    view.ACTIVE: ("it has runs, and may go on", "it has run, or was opened again after it had",
                  "labctl context ID"),
    view.AWAITING: ("no run starts until a person decides", "a rule of its SPEC, or failures in a row, handed it over",
                    "a person: labctl approvals, then labctl approve or labctl reject; an agent leaves it alone"),
    view.PAUSED: ("no run starts", "a person paused it, or too many runs in a row failed",
                  "mend the cause, then a person types labctl resume ID"),
    view.COMPLETED: ("it is at its end", "a budget is used up, its target is reached, or a person ended it",
                     "labctl best ID; labctl resume ID opens it again"),
    view.ARCHIVED: ("it is out of the lists; nothing of it is gone", "a person archived it",
                    "labctl archive ID --restore"),
}  # fmt: skip
_STOPPED = {
    "memory": ("the run used more memory than memory_limit_mb", "it grew too large", "raise the limit, or use less"),
    "limit": (
        "the time limit of the engine came before the run had ended",
        "`time` in engines.yaml is less than it needs",
        "raise `time` in engines.yaml, or lower the time budget",
    ),
    "orphaned": ("the process that supervised the run died", "a kill -9, or no memory left", "nothing; it is settled"),
    "hopeless": ("the run was worse than others at the same step", "early_stop ended it", "nothing; its curve is kept"),
}
_GONE = "somebody, a copy or a disk lost it"
_CHANGED = "somebody, a copy or a disk changed it"
_BACK = "bring it back from a copy of this lab; nothing in the lab itself can"
_ASIDE = "bring it back from a copy of this lab; else labctl recover goes on without it"
_DAMAGES = {
    "ledger-missing": ("registry/events.jsonl is gone", _GONE, _BACK),
    "kept-ledger-missing": ("the ledger of a lab whose runs were taken over is gone", _GONE, _BACK),
    "kept-ledger-edited": ("the ledger of a lab whose runs were taken over was changed", _CHANGED, _BACK),
    "ledger-chain": ("a line of the ledger does not follow from the one before", _CHANGED, _BACK),
    "sealed-twice": ("the ledger says twice that a run was sealed", "somebody wrote to the ledger by hand", _BACK),
    "ledger-cut": ("the ledger ends before what a seal or a page saw of it", _GONE, _BACK),
    "ledger-torn": ("the last line of the ledger was cut off", "a crash in the middle of writing it", "labctl recover"),
    "unrecorded": ("a sealed run has no line in the ledger", "a crash between the seal and its line", "labctl recover"),
    "seal-missing": ("the ledger says that a bundle was sealed, and it has no seal", _GONE, _BACK),
    "seal-edited": ("a seal is not the one that the ledger recorded", _CHANGED, _BACK),
    "seal-unreadable": ("a seal cannot be read", _CHANGED, _ASIDE),
    "file-missing": ("a sealed file is gone", _GONE, _BACK),
    "file-edited": ("a sealed file was changed", _CHANGED, _BACK),
    "file-added": ("a file came into a sealed bundle", "somebody put it there", "move it out of the bundle"),
    "file-unreadable": ("a sealed file cannot be read", "a right was taken away, or a disk fails", "chmod, or fsck"),
    "bundle-missing": ("the ledger tells of a bundle that is gone", _GONE, _BACK),
    "experiment-missing": ("the ledger tells of an experiment whose folder is gone", _GONE, _BACK),
    "spec-missing": ("an experiment has no SPEC.yaml", _GONE, "write it again, then labctl validate ID"),
    "unreadable": ("a folder cannot be read", "a right was taken away, or a disk fails", "chmod, or fsck"),
    "companion-missing": ("what history needs of archived runs is gone", _GONE, _BACK),
    "companion-edited": ("what history needs of archived runs was changed", _CHANGED, _BACK),
    "companion-unreadable": ("what history needs of archived runs cannot be read", _CHANGED, _ASIDE),
    "archive-edited": ("an archive is not the one that the ledger recorded", _CHANGED, _BACK),
    "ask-missing": ("the ledger tells of a question to a model whose file is gone", _GONE, _BACK),
    "ask-edited": ("a question to a model is not what the ledger recorded", _CHANGED, _BACK),
}
_NOTICES = {
    "needs-approval": ("something waits for a person's word", "a proposal, or a phase", "a person: labctl approvals"),
    "new-best": ("a run is better than every earlier one of its tier", "it was found", "labctl best ID"),
    "repeated-failure": ("several runs failed alike", "a fault that does not go away by itself", "labctl show RUN"),
    "budget": (
        "a budget is nearly used up, or is",
        "what the SPEC allows",
        "labctl context ID; raise it, or let it end",
    ),
    "integrity": ("something is not as it was sealed", "labctl verify or a turn found damage", "labctl verify"),
    "digest": ("a digest was written", "labctl digest", "read it in digests/"),
    "held-back": ("more notices than most_an_hour", "much happened at once", "labctl notify show"),
    "test": ("somebody typed labctl notify test", "to see whether it comes", "nothing"),
}
_MODELS = {
    "model-unreachable": ("no connection to the model's service, or it broke", "a wrong address, no network, no server",
                          "check llm.base_url and that the server runs"),
    "model-timeout": ("the deadline, which is labctl's, was reached", "the model is slow, or hangs",
                      "raise llm.timeout_s, or ask a faster model"),
    "model-refused": ("the service refused the request", "a wrong key, model name or option",
                      "read `what`; check api_key_env and model in the SPEC's llm"),
    "model-limited": ("too many requests for now", "the service's rate limit", "wait, or ask for more at a time"),
    "model-failing": ("the service itself failed", "a fault on its side", "wait; the declared fallback goes on"),
    "model-malformed": ("the answer is none of this service", "a proxy's page, or another protocol",
                        "check llm.transport and llm.base_url"),
    "model-truncated": ("the answer was cut off at the limit of tokens", "the model wrote too much",
                        "raise llm.max_tokens, or ask for fewer candidates"),
    "model-too-large": ("the answer has more bytes than are read", "a fault, or an attack", "ask another model"),
    "model-empty": ("a well-formed answer with nothing in it", "an agent ended with 0 and said nothing",
                    "look at the exchange that is sealed with the run"),
    "model-invalid": ("the check refused the answer, and its repair too", "values out of bounds, or the wrong shape",
                      "look at the exchange; a larger model keeps to bounds better"),
    "model-budget": ("calls or money are used up, so nothing was asked", "max_calls or max_usd of the SPEC's llm",
                     "raise it in SPEC.yaml, or go on with the fallback"),
    "model-stopped": ("a person interrupted the question", "Ctrl-C, or a cancel", "type it again"),
    "model-unconfigured": ("there is no model to ask", "no address, no model, no key, no program is named or found",
                           "labctl validate ID says what is missing"),
}  # fmt: skip
_OF_EVENTS = ("it is a line of registry/events.jsonl, written when it was decided", "nothing")
_EVENTS = {
    event.LAB_CREATED: ("labctl init", "nothing"),
    event.EXPERIMENT_CREATED: ("labctl create, or an import", "labctl context ID"),
    event.PHASE_CHANGED: (
        "pause, resume, complete, archive, or a rule of the SPEC",
        "labctl show ID: `reason` says why",
    ),
    event.TIER_CHANGED: (
        "set-fidelity, an approval, or the SPEC's promotion rule",
        "nothing; bests of two tiers stay apart",
    ),
    event.SPEC_EDITED: ("somebody edited SPEC.yaml; the next run goes by it", "labctl validate ID"),
    event.RUN_SEALED: ("a run ended", "labctl show RUN"),
    event.RUN_SUPERSEDED: (
        "its holder was silent for too long, and another was let in",
        "nothing; labctl explain superseded",
    ),
    event.RUN_REFUSED: (
        "what its SPEC asks for is missing, or cannot be",
        "labctl validate ID; the next turn looks again",
    ),
    event.LEASE_TAKEN_OVER: ("a holder died, or was silent for longer than its lease", "nothing; its run was settled"),
    event.DIGEST_WRITTEN: ("labctl digest, or a schedule", "read it in digests/"),
    event.ROOT_IMPORTED: ("labctl import-root", "nothing; the ledger of a lab is kept in registry/ledgers/"),
    event.LEDGER_MENDED: ("a crash in the middle of writing a line", "nothing; what was cut off is in `torn`"),
    event.LEDGER_CUT: ("the ledger was cut, or an old copy was put back", "labctl verify names what it can prove"),
    event.CANCEL_ASKED: ("labctl cancel, or an order", "labctl show RUN says how it ended"),
    event.COMMAND_DONE: ("a file in control/inbox", "read the answer in control/outbox"),
    event.PROPOSAL_MADE: ("propose, guided, a search, or a rule of the SPEC", "a person: labctl approvals"),
    event.PROPOSAL_APPROVED: ("labctl approve, or an order", "nothing; it is carried out"),
    event.PROPOSAL_REJECTED: ("labctl reject, an order, or time that ran out", "nothing; `reason` says why"),
    event.RUNS_ARCHIVED: ("labctl prune", "labctl prune --restore ARCHIVE brings them back"),
    event.PACKAGE_READY: ("labctl dispatch-ready", "labctl dispatch-work, or a worker's dispatch-claim"),
    event.PACKAGE_CLAIMED: ("labctl dispatch-claim or dispatch-work", "nothing; its worker renews it"),
    event.PACKAGE_COMPLETED: ("labctl dispatch-complete or dispatch-work", "labctl dispatch-ingest"),
    event.PACKAGE_INGESTED: ("labctl dispatch-ingest", "labctl show RUN"),
    event.MODEL_ASKED: (
        "a search with llm or hybrid, or the review of a chunk",
        "nothing; labctl context ID says what is left",
    ),
    event.MODEL_ANSWERED: ("the answer came, or the question failed", "labctl show ID; the exchange is in asks/"),
    event.LOOP_STEERED: ("labctl steer, or an order in control/inbox", "nothing; labctl steer ID shows what holds now"),
    event.CHUNK_DECIDED: (
        "a run of an experiment with executor tinker",
        "nothing; chunk.json in the run has the order",
    ),
    event.HYPOTHESIS_REGISTERED: ("a research project, before its first run for an idea", "nothing"),
    event.RESEARCH_STEERED: ("labctl research steer", "nothing; the next phase, or iteration, is told"),
    event.RELEASE_APPROVED: (
        "labctl research approve ID --release HASH",
        "labctl research publish ID --send, or the project's next run",
    ),
    event.RELEASE_WITHDRAWN: (
        "labctl research approve ID --release HASH --withdraw",
        "nothing; it can be approved again",
    ),
}


def words() -> Iterator[Word]:
    """All of them, a family at a time."""
    yield from told(EXIT, _EXITS)
    yield from told(ERROR, _ERRORS)
    yield from told(OUTCOME, _OUTCOMES)
    yield from told(VERDICT, _VERDICTS)
    yield from told(PHASE, _PHASES)
    for kind, means in event.MEANING.items():
        why, do = _EVENTS.get(kind, _OF_EVENTS)
        yield Word(code=kind, family=EVENT, means=means, why=why, do=do)
    yield from told(STOPPED, _STOPPED)
    yield from told(DAMAGE, _DAMAGES)
    yield from told(NOTICE, _NOTICES)
    yield from told(MODEL, _MODELS)


def told(family: str, table: dict[str, tuple[str, str, str]]) -> Iterator[Word]:
    """The words of one table."""
    for code, (means, why, do) in table.items():
        yield Word(code=code, family=family, means=means, why=why, do=do)
