"""Ring 3: what proposes parameters. One file, one strategy; each imports its own library inside its own file."""
