"""What the program of a run is given and how it is heard, for who reads only the machine contract."""

from __future__ import annotations

PROGRAMS: dict[str, str] = {
    "command": (
        "executor_command of the SPEC, split as a shell would and started without one; `shell: true` for a shell. "
        "A program or a script with a relative path is looked for in workspace_root, then beside the SPEC"
    ),
    "folder": "it runs in the folder of the run, $LAB_RUN_DIR, sealed with all in it; workspace_root is {workspace}",
    "parameters.1": "{params.lr} in executor_command: the value of lr, one argument",
    "parameters.2": "$LAB_PARAM_LR: the name upper-cased, other signs as _",
    "parameters.3": "params.json, at $LAB_PARAMS_PATH: all of them as JSON; absent in a run without parameters",
    "parameters.4": "a .json, .yaml or .toml file that mutable_paths names: they are in it, in a copy of the workspace",
    "placeholders": (
        "also {run_dir} {run_id} {experiment} {iteration} {tier} {role} {workspace} {seed} {params_path}; "
        "other braces pass as they stand, {{run_dir}} passes one of ours"
    ),
    "value.1": 'metrics.json in its folder: {"value": 0.25}, or the SPEC\'s metric as the key; it goes first',
    "value.2": "METRIC loss=0.25 at the beginning of a printed line, loss being the SPEC's metric; the last one counts",
    "value.3": "`loss: 0.25` among the lines after a printed line ---",
    "value.4": 'the last printed line: a number, or JSON with "value"',
    "success": "exit code 0 and a finite value, within time_budget; anything else has no value",
    "curve": "a line `step value` appended to $LAB_REPORT as it goes, for early_stop and for pages",
}
