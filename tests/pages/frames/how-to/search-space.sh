# An experiment with a space of its own.
labctl init
printf '%s\n' 'id: lr-sweep' 'metric: loss' 'metric_direction: minimize' \
    'executor_command: echo METRIC loss={params.lr}' 'search_space: {lr: {low: 0.001, high: 0.1}}' > lr-sweep.yaml
labctl create lr-sweep.yaml
labctl burst lr-sweep -n 2
