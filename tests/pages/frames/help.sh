# An experiment in the last of two tiers, with runs in both.
sweep_of lr-sweep 24 'fidelity_tiers: [validation, final]' 'max_iterations_total: 200'
labctl set-fidelity lr-sweep final
labctl burst lr-sweep -n 24
RUN=$(cat lab-data/experiments/lr-sweep/checkpoints/best-run.txt)
echo '{"lr": 0.02}' > params.json
mkdir -p ~/.local/share/bash-completion/completions
