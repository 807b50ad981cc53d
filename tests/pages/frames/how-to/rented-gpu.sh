# An experiment with its code; `rsync` and `rclone` are doubles, for which every machine is this one, and so is the worker.
sweep_of lr-sweep 0
mkdir model
echo 'print("METRIC loss=0.5")' > model/train.py
labctl worker --inbox ~/inbox > worker.log 2>&1 &
until [ -d ~/inbox/out ]; do sleep 0.1; done
