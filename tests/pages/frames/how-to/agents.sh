# A lab with a search, a project with a program to edit, and `codex` as a double.
labctl init
labctl create sweep
echo 'print("METRIC loss=0.5")' > train.py
echo 'import train' > evaluate.py
