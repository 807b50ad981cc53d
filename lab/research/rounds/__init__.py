"""What a round measures, and what follows from it."""
