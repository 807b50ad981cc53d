"""Asking models and agents: what is sent, what comes back, and what counts as an answer."""
