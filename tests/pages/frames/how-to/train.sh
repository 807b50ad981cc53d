# needs: torch module:tokenizers
. "$PAGE_TESTS/frames/tiny-training.sh"
mkdir my-model
