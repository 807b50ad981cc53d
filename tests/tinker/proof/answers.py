"""What a saved model answers, asked by the SDK and not by the lab.  python answers.py TOKENIZER COUNT PROMPTS PATH...

PROMPTS is a JSON list; it prints a JSON list of all answers for each PATH. TINKER_BASE_URL says where.
"""

from __future__ import annotations

import json
import sys

import tinker
from tokenizers import Tokenizer

MOST_TOKENS = 8


def main(tokenizer: str, count: str, prompts: str, *paths: str) -> None:
    words = Tokenizer.from_file(tokenizer)
    service = tinker.ServiceClient()
    told = []
    for path in paths:
        client = service.create_sampling_client(model_path=path).result(50)
        asked = []
        for seed, prompt in enumerate(json.loads(prompts)):
            tokens = tinker.ModelInput.from_ints(words.encode(prompt).ids)
            params = tinker.SamplingParams(max_tokens=MOST_TOKENS, seed=seed)
            asked.append(client.sample(tokens, int(count), params))
        told.append([words.decode(list(each.tokens)) for answer in asked for each in answer.result(50).sequences])
    service.close("success").result(50)
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
