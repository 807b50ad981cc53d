"""The code loop: a change is made, harvested, measured and judged, and what is worth it is kept."""
