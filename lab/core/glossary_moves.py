"""Why an experiment moved or rests: the words of `phase_reason`, of a phase_changed event and of `escalate_when`. Pure.

`core.policy` says them, often with a number or a name in between; here they stand without.
"""

from __future__ import annotations

from lab.core import cost, loop, policy
from lab.core.candidate import HOLDOUT_FAILED

_RESUME = "raise it in SPEC.yaml, then: labctl resume ID; or labctl best ID"
_WAITS = "nothing; what is under way decides"
_LOOKS = "a person looks at the run that is named, then: labctl resume ID"
ENDS = {
    "max iterations": ("as many runs were made as it may have", "max_iterations_total of its SPEC", _RESUME),
    "target reached": ("a run is as good as was asked for", "stop_conditions.target of its SPEC", "labctl best ID"),
    "plateau": ("many runs in a row brought no new best",
                "stop_conditions.plateau_after_consecutive_low_signal_runs", _RESUME),
    "saturated": ("many candidates in a row brought no gain beyond the noise", "stop_conditions.saturation",
                  "labctl autoresearch report ID; or try ideas of another kind"),
    "hard stop": ("it is as old as it may get", "stop_conditions.hard_stop_after_days", _RESUME),
    "time budget used": ("its runs took the hours that it has", "stop_conditions.budget_hours", _RESUME),
    "cost budget used": ("its runs cost what it may cost, or what is left does not pay for one more",
                         "stop_conditions.budget_cost; set aside for a run is cost_per_run, else the dearest so far",
                         _RESUME),
    "token budget used": ("its proposers and trainings took the tokens that it has", "stop_conditions.budget_tokens",
                          _RESUME),
    "step budget used": ("the training has done all of its steps, and its recipe has not ended it",
                         "`steps` of the SPEC's tinker", _RESUME),
    "the training is finished": ("its last step is done, and its state is saved", "`steps` of the SPEC's tinker",
                                 "labctl tinker download ID"),
    "the training in the tier": ("all steps of a tier are done", "`steps` of that tier's tinker",
                                 "labctl approvals, where the next tier waits for a word"),
    "every point of the search space was tried": ("there is nothing left to propose", "the space is small, and finite",
                                                  "labctl best ID; or widen the space, then labctl resume ID"),
}  # fmt: skip
RESTS = {
    policy.FAILED_TOO_OFTEN: ("runs in a row failed, as many as its SPEC bears",
                              "stop_conditions.max_consecutive_failures",
                              "labctl list ID --outcome failed; mend the cause, then: labctl resume ID"),
    "failures in a row": ("runs in a row failed: three ask a person, five pause it; of a search ten and fifteen",
                          "a fault that does not go away by itself", "mend the cause, then: labctl resume ID"),
    "runs in a row had no value": ("runs in a row came to nothing, and some of them were not even begun",
                                   "changes that were discarded before they were measured, and failures",
                                   "labctl show RUN of the last one; then: labctl resume ID"),
    "runs in a row were lost": ("runs in a row ended with the machine or the job that ran them",
                                "too little memory there, a queue that ends jobs, a disk that is full",
                                "labctl show RUN of the last one; then: labctl resume ID"),
    "candidates in a row were not kept": ("as many changes in a row brought nothing as its SPEC bears",
                                          "pause_after_unkept", "new ideas, then: labctl resume ID"),
    "the service was not there": ("a remote training found no service, or had no answer from it",
                                  "it is away, or busy, or its account is not paid for",
                                  "labctl tinker check ID; it is asked again, after eight times a person is"),
    "the training is in trouble": ("its last chunk says that it goes wrong", "a loss that is no number, or explodes",
                                   "labctl tinker runs ID; mend the recipe or its parameters, then: labctl resume ID"),
    "kl is above its limit": ("the model has moved too far from where it began", "kl_limit of the SPEC's tinker",
                              "lower the learning rate or raise the limit, then: labctl resume ID"),
    "it runs only when asked (autonomous: false)": ("each run of it wants a person's word", "`autonomous` of its SPEC",
                                                    "labctl approve, labctl guided ID, or labctl resume ID"),
    "is not in the SPEC any more": ("it stands in a tier that its SPEC does not name", "fidelity_tiers was edited",
                                    "labctl set-fidelity ID TIER, then: labctl resume ID"),
    "makes its runs": ("a research project has borrowed it: nobody else begins its runs", "it is that project's study",
                       "nothing; or labctl resume ID takes it from the project"),
    "not due yet": ("it has run, and its cadence says when next", "`cadence` of its SPEC",
                    "nothing; or labctl burst ID -n 1 for a run now"),
    cost.UNKNOWN: ("runs at the same time wait for the first, which tells what one costs",
                          "a cost budget, and no stop_conditions.cost_per_run", _WAITS),
    cost.DAY_USED: ("its runs cost what they may cost in a day of UTC",
                                           "stop_conditions.budget_cost_per_day", "nothing; it goes on the next day"),
    cost.NO_DAY_PAYS: (
        "no day pays for one run", "stop_conditions.budget_cost_per_day", "raise it, then: labctl resume ID"),
    "its last runs are under way": ("what runs now uses up its max_iterations_total", "runs at the same time", _WAITS),
    "what is under way will use": ("what runs now will use a budget up, as far as runs before it tell",
                                   "stop_conditions of its SPEC", _WAITS),
}  # fmt: skip
GOES_ON = {
    "success streak with a new best": ("it moves to its next tier", "promote_after_successes runs in a row were good",
                                       "nothing; bests of two tiers stay apart"),
}  # fmt: skip
ASKS = {
    "new_best": ("a run is better than every earlier one of its tier", "escalate_when names it", _LOOKS),
    "breakthrough_found": ("the run itself said so, in `signals` of its metrics", "escalate_when names it", _LOOKS),
    "blocked_on_external_access": ("the run itself said that it needs something it has no access to",
                                   "escalate_when names it", "give it the access, then: labctl resume ID"),
    "metric_regression_3_consecutive": ("so many runs in a row were each worse than the one before",
                                        "escalate_when names it, with its number", _LOOKS),
    loop.METRIC_DRIFT: ("what measures has moved: the same code does not measure what it did",
                 "a machine that is busy, or warmer, or other data", "labctl autoresearch report ID; then resume it"),
    loop.HOLDOUT_GAP: ("candidates gain, and the held-out measurement does not", "the loop fits what it is measured by",
               "look at the kept changes; a second evaluator in holdout_command cannot be fitted"),
    HOLDOUT_FAILED: ("the held-out measurement gave no value", "holdout_command failed",
                     "labctl show RUN; stderr.log in its bundle"),
}  # fmt: skip
EVERY = {**ENDS, **RESTS, **GOES_ON, **ASKS}
