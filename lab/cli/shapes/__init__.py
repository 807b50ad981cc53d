"""What the `data` of every verb's `--json` looks like, as records. Only JSON Schemas are made of them."""
