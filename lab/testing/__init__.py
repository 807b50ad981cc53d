"""Doubles and contracts that ship with the lab, for its own tests and for those of plug-ins."""
