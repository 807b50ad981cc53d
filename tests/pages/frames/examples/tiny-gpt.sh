# needs: torch module:tokenizers
from_checkout examples/tiny-gpt templates/gpu-training
export PIP_NO_INDEX=1  # the data is then of the standard library, as the page says
