# An experiment with runs. The table of cron is a double's.
sweep_of lr-sweep 20
