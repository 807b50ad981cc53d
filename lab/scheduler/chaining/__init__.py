"""A training in chunks: what the next one is to do, who reviews the last one, and what may be spent."""
