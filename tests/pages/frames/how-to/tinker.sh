# needs: torch module:tinker module:peft module:transformers
