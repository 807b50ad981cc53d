"""The study of an idea: read as it was given, narrowed to the idea, laid out, frozen, and run once."""
