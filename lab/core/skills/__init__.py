"""Skills: what a SKILL.md says, and the rules that it is held to. Pure: reading and installing are the store's."""
