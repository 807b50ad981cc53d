"""The loop that edits code: one candidate a run, conducted, measured and judged by the lab."""
