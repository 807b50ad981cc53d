"""Programs that are agents: how each is started, and what its output means. One file an agent; nothing is run here."""
