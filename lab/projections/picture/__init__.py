"""What one sees of an experiment, as one value: every surface (report, live page, terminal, plot) is made from it."""
