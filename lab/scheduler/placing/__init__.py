"""Runs in the hands of engines: handed over, looked after, carried out by their bodies, taken back. Decision 41."""
