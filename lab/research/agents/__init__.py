"""Whoever does a phase and is no part of the lab: what it is told, where it works, and what is taken of its work."""
