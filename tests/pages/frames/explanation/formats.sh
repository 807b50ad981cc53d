# needs: jq
# A search with some runs.
sweep_of lr-sweep 5
