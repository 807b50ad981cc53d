# needs: jq
# Experiments that are due, and a program that an agent may change.
labctl init
labctl create sweep
labctl create sweep --id sweep-too
mkdir code
echo 'LOSS = 0.5' > code/model.py
echo 'import model; print(f"METRIC loss={model.LOSS}")' > code/measure.py
printf '%s\n' 'id: speed-up' 'metric: loss' 'metric_direction: minimize' "workspace_root: $PWD/code" 'cadence: 1' \
    'mutable_paths: [model.py]' "executor_command: python3 $PWD/code/measure.py" > speed-up.yaml
labctl create speed-up.yaml
sed 's/^id: .*/id: elsewhere/' speed-up.yaml > elsewhere.yaml
labctl create elsewhere.yaml
