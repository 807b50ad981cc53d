"""The version, in the one place where everything else finds it. Imports nothing: it is on the path of every command."""

__version__ = "1.0.0"
