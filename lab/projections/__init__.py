"""Text made from a view: what a person or an agent reads. No IO, no clock: the same subject gives the same bytes."""
