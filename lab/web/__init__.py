"""Pages over the views: the report, a file that stands by itself, and the live page."""
