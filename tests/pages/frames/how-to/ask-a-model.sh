# needs: model
# here: http://127.0.0.1:11434/v1 is $MODEL_URL
# here: max_tokens: 2000 is max_tokens: 64
