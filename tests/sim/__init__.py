"""A seeded simulator: workers, people, crashes, clocks and disks on one data root, and what must hold at each step."""
