"""What came of an experiment: read, compared, chosen from, run again, written out and read in."""
