"""The terminal. The only place that prints; one verb (or one noun's verbs) a file."""
