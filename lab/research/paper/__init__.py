"""The paper: rendered from sealed bundles, and computed again from them."""
