"""Where a run's process lives, when it does not live in the process that asks for it."""
