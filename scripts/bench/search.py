"""Measure how good the points are that a search finds: our strategies beside the samplers of optuna and nevergrad.

    python scripts/bench/search.py [--quick] [--samplers portfolio tpe] [--tasks branin2] [--seeds 0-10] [--show]

Twelve tasks with moved optima, ten seeds, the point that is recommended after 30, 100 and 200 trials, in noiseless
terms. Every search is kept as a line of --results, and what is there is not run again: stop it, and go on. --show
runs nothing. Studies: --crash 0.2, --jobs 8 (pending trials), --maximize (exact mirrors), --heavy-noise. The libraries
are those of labctl[search] and scikit-learn; gp-sampler wants torch, and gets 100 trials only. A full run of all takes
hours of CPU, --quick some minutes.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from scripts.bench.quality import race, ranking, rivals, tasks
from scripts.bench.quality.race import Conditions

OURS = ("portfolio", "bayesian", "evolution", "perturb", "tree")
QUICK_SEEDS, QUICK_TRIALS = (0, 3), 60


def main() -> None:
    """Run what is missing, then show all."""
    options = _arguments()
    rivals.quiet()
    conditions = Conditions(
        crash=options.crash, workers=options.jobs, maximize=options.maximize, noisy=True if options.noisy else None
    )
    if not options.show:
        _run(options, conditions)
    _show(options, conditions)


def _run(options: argparse.Namespace, conditions: Conditions) -> None:
    done = race.load([options.results])
    for seed in range(*options.seeds):  # outermost: what is stopped has whole seeds
        for task in options.tasks:
            for sampler in options.samplers:
                if (conditions.study, sampler, task, seed) in done:
                    continue
                result = race.search(sampler, task, seed, options.trials, conditions)
                race.keep(options.results, result)
                if result.error:
                    print(f"{sampler} on {task}, seed {seed}: {result.error}", file=sys.stderr, flush=True)


def _show(options: argparse.Namespace, conditions: Conditions) -> None:
    found = race.load([*options.beside, options.results])
    kept = {key[1:]: result for key, result in found.items() if key[0] == conditions.study}
    names = [name for name in options.samplers if any(name == sampler for sampler, _, _ in kept)]
    stops = [stop for stop in (*race.STOPS, options.trials) if stop <= options.trials]
    whole = [name for name in names if name not in rivals.SLOW]
    stops = sorted(set(stops))
    print(ranking.table(kept, whole, options.tasks, stops))
    print(ranking.by_task(kept, whole, options.tasks, stops[-1]))
    asked = [stop for stop in race.STOPS if stop <= options.trials]  # when a recommendation is asked for
    if asked and (noisy := [task for task in options.tasks if tasks.BY_NAME[task].sigma]):
        print(ranking.both_ways(kept, names, noisy, asked[-1]))
    if options.maximize:
        print(ranking.mirrored({key[1:]: result for key, result in found.items() if not key[0]}, kept))
    if len(whole) < len(names):
        short = [stop for stop in stops if stop <= min(rivals.SLOW.values())]
        print(ranking.table(kept, names, options.tasks, short))
    for (sampler, task, seed), result in sorted(kept.items()):
        if result.error and sampler in names:
            print(f"failed: {sampler} on {task}, seed {seed}: {result.error}")


def _arguments() -> argparse.Namespace:
    known = (*OURS, *rivals.RIVALS)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="four tasks, three seeds, 60 trials, no gp-sampler")
    parser.add_argument("--samplers", nargs="+", metavar="NAME", help=f"of {', '.join(known)}")
    parser.add_argument(
        "--tasks", nargs="+", choices=tasks.BY_NAME, metavar="TASK", help="of those in quality/tasks.py"
    )
    parser.add_argument("--seeds", type=_seeds, metavar="0-10", help="the second is not run any more")
    parser.add_argument("--trials", type=int, metavar="N", help="of one search (200)")
    parser.add_argument("--results", default=os.path.join(tempfile.gettempdir(), "labctl-search-quality.jsonl"))
    parser.add_argument("--beside", nargs="+", default=[], metavar="FILE", help="show these results as well")
    parser.add_argument("--show", action="store_true", help="run nothing")
    parser.add_argument("--crash", type=float, default=0.0, metavar="SHARE", help="this share of the trials fails")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="so many trials at once")
    parser.add_argument("--maximize", action="store_true", help="the negated values: ours must find the same points")
    parser.add_argument("--noisy", action="store_true", help="tell our strategies that the metric is noisy")
    parser.add_argument("--heavy-noise", action="store_true", help="the tasks with much noise")
    options = parser.parse_args()
    quick = options.quick
    chosen = [task.name for task in (tasks.HEAVY if options.heavy_noise else tasks.TASKS)]
    options.tasks = options.tasks or (list(tasks.QUICK) if quick else chosen)
    options.samplers = options.samplers or [name for name in known if not (quick and name in rivals.SLOW)]
    options.seeds = options.seeds or (QUICK_SEEDS if quick else (0, 10))
    options.trials = options.trials or (QUICK_TRIALS if quick else rivals.BUDGET)
    return options


def _seeds(text: str) -> tuple[int, int]:
    first, _, end = text.partition("-")
    return int(first), int(end)


if __name__ == "__main__":
    main()
