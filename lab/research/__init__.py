"""The autonomous researcher: eight phases, each of them runs of one ordinary experiment."""
