# A checkout with a data root as hermes-lab leaves it, and an experiment that an agent may work on.
PYTHONPATH=$LABCTL_CHECKOUT python3 -c 'import os, pathlib; from tests.cli.hermes_root import a_hermes_root
a_hermes_root(pathlib.Path(os.path.expanduser("~/hermes-lab/lab-data")))'
echo 'print("METRIC loss=0.5")' > ~/hermes-lab/evaluate.py
echo 'print("METRIC size_kb=100")' > measure.py
mkdir tune
echo '{"x": 0.0, "y": 0.5}' > tune/config.json
printf '%s\n' 'import json' 'point = json.load(open("config.json"))' \
    'print(json.dumps({"value": (1 - point["x"]) ** 2 + 100 * (point["y"] - point["x"] ** 2) ** 2}))' > tune/evaluate.py
printf '%s\n' 'id: tune' 'metric: value' 'metric_direction: minimize' 'cadence: 0.001s' "workspace_root: $PWD/tune" \
    'executor_command: python3 evaluate.py' 'validation_command: python3 evaluate.py' 'mutable_paths: [config.json]' \
    > tune/SPEC.yaml
LAB_DATA_ROOT=~/lab labctl init
LAB_DATA_ROOT=~/lab labctl create tune/SPEC.yaml
