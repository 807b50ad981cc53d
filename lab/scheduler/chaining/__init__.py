"""Trainings in chunks: what the next chunk is ordered to do, with which parameters, and why."""
