"""One turn of the crank, and everything that keeps a lab in order between turns."""
