# needs: jq module:optuna module:pyarrow
# Runs of two tiers, the program that they stand for, and a study of Optuna.
sweep_of lr-sweep 9 'fidelity_tiers: [quick, final]'
labctl set-fidelity lr-sweep final
labctl burst lr-sweep -n 2
echo > train.py
python3 - <<'PYTHON'
import optuna

study = optuna.create_study(storage="sqlite:///study.db", study_name="lr", direction="minimize")
study.optimize(lambda trial: (trial.suggest_float("lr", 0.001, 0.1, log=True) - 0.01) ** 2, n_trials=3)
PYTHON
