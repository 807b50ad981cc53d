"""What people say to the lab, and what it says to them."""
