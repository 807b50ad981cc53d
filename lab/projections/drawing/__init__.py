"""Pictures as values: a scene of a few kinds of marks, and how it becomes SVG or PNG."""
