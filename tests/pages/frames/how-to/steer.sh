# Proposals that wait, a run that takes a while, and a code loop.
for each in lr-sweep wide deep; do
    sweep_of $each 0
    echo 'lr: 0.02' > params.yaml
    labctl propose $each --params params.yaml
done
printf '%s\n' 'id: slow' 'metric: loss' 'metric_direction: minimize' 'executor_command: sleep 100' > slow.yaml
labctl create slow.yaml
labctl run-once --experiment slow > slow.log 2>&1 &
until [ -n "$(ls lab-data/experiments/slow/runs)" ]; do sleep 0.1; done
. "$PAGE_TESTS/frames/my-repository.sh"
labctl autoresearch start --workspace ../my-repository --id speed-up --edit src --metric seconds --direction lower \
    --measure 'python3 bench.py' --mutate 'python3 propose.py' --yes
