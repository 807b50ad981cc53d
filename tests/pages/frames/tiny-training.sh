# The template gpu-training, of which each run trains for a moment only; and `codex` as a double.
export PIP_NO_INDEX=1  # the data is then of the standard library, as the page says
mkdir gpu-training
cp "$LABCTL_CHECKOUT"/templates/gpu-training/*.* gpu-training
sed -i 's/train.py --save-at-stop off/& --budget 3steps/' gpu-training/SPEC.yaml
sed -i -e "s/python3 train.py/& --budget 3steps/; s/^agent_provider: .*/agent_provider: codex/" \
    -e "s/^baseline_repeats: .*/baseline_repeats: 2/; s/^holdout_every: .*/holdout_every: 50/" gpu-training/code-loop.yaml
