# An experiment of the class that the page gives an engine, whose runs take a while.
labctl init
printf '%s\n' 'id: lr-sweep' 'metric: loss' 'metric_direction: minimize' 'executor_class: apart' 'shell: true' \
    'executor_command: echo it begins; sleep 100' > lr-sweep.yaml
labctl create lr-sweep.yaml
