"""Runs handed to workers and agents, and taken back."""
