"""What `labctl watch` is made of: the news of a lab, and a screen that is renewed."""
