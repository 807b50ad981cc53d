"""Asking a model: what it is asked and may take, what it said, and what a search makes of that."""
