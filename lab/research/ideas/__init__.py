"""Ideas: read from what the user wrote, or made from the study's own parameters."""
