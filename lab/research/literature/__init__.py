"""Papers: asking for them, keeping what was answered, and telling whether a citation is one."""
