# needs: module:optuna
