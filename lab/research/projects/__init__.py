"""A project as people begin it, look at it, check it and carry it on."""
