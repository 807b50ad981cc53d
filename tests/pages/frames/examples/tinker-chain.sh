# needs: torch module:tinker module:peft module:transformers
from_checkout examples/tinker-chain templates/tinker-sl
