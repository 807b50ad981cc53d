# An experiment with runs.
# needs: curl
sweep_of lr-sweep 24
