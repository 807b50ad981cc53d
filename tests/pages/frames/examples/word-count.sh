from_checkout examples/word-count
