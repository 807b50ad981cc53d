"""The lab from Python. What is promised of it is what `lab` itself names."""
