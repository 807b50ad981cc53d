"""Many processes on one lab at the same instant."""
