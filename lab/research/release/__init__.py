"""What leaves the lab: listed, scanned, approved by its hash, sent once."""
