"""The run of a phase: what it is given, who does it, and whether what it left may be believed."""
