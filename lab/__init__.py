"""A file-first research lab. This module imports nothing: it is on the path of every command."""

__version__ = "0.1.0"
