"""Which phase of a project comes next, by what its sealed runs left."""
