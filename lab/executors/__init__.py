"""How a launch becomes a process, and what its output means."""
