"""Agents as programs that the lab starts: the door to their adapters, how one is run, which there are. Decision 27."""
