"""Stop the lab anywhere, then see that it goes on: before each write, at each system call, at a power cut."""
