"""A search: which parameters a run gets, decided from sealed history alone."""
