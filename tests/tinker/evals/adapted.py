"""Makes, in a process of its own, an adapter for the last layer of a model, and questions that the model only answers
as they want with the adapter: `python adapted.py MODEL FOLDER ASKED...`. Nothing is trained: it takes seconds, no luck.

Each ASKED is evaluated after that, in the same process, which has loaded torch. Whether that went well is printed.
"""

from __future__ import annotations

import json
import os
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from lab.executors import evaluating

QUESTIONS = 24
ANSWERS = ("a", "b")


def main(base: str, folder: str) -> None:
    """An adapter, one of another model, and tasks."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(base), AutoTokenizer.from_pretrained(base)
    asked = [f"{number} is" for number in range(QUESTIONS)]
    ends, preferred = [], 0
    with torch.no_grad():
        for words in asked:
            told = model(torch.tensor([tokenizer.encode(words)]), output_hidden_states=True)
            ends.append(told.hidden_states[-1][0, -1])
            one, other = (told.logits[0, -1, tokenizer.encode(answer)[0]].item() for answer in ANSWERS)
            preferred += one > other
    right = 0 if preferred * 2 < QUESTIONS else 1  # what the model itself does not say
    mean = torch.stack(ends).mean(0)
    up = torch.zeros(model.config.vocab_size, 1)
    up[tokenizer.encode(ANSWERS[right])[0]] = 50.0
    up[tokenizer.encode(ANSWERS[1 - right])[0]] = -50.0
    adapter(f"{folder}/adapter", (mean / mean.norm() ** 2)[None], up)
    adapter(f"{folder}/adapter-of-another", torch.zeros(1, 32), torch.zeros(model.config.vocab_size, 1))
    tasks(f"{folder}/tasks", asked, right)


def adapter(folder: str, down: torch.Tensor, up: torch.Tensor) -> None:
    """As PEFT saves it. It is on lm_head, whose rows are more than the tokenizer has tokens."""
    os.makedirs(folder)
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 1, "lora_alpha": 1, "target_modules": ["lm_head"]}
    with open(f"{folder}/adapter_config.json", "w", encoding="utf-8") as file:
        json.dump(config, file)
    name = "base_model.model.lm_head.lora_{}.weight"
    save_file(
        {name.format("A"): down.contiguous(), name.format("B"): up.contiguous()}, f"{folder}/adapter_model.safetensors"
    )


def tasks(folder: str, asked: list[str], right: int) -> None:
    """Questions with the answer that is wanted, and a task whose questions are not there."""
    os.makedirs(folder)
    with open(f"{folder}/letters.jsonl", "w", encoding="utf-8") as file:
        file.writelines(json.dumps({"question": words, "choices": ANSWERS, "label": right}) + "\n" for words in asked)
    for name, data in (("letters", "letters.jsonl"), ("lost", "nowhere.jsonl")):
        with open(f"{folder}/{name}.yaml", "w", encoding="utf-8") as file:
            file.write(
                f"task: {name}\ndataset_path: json\ndataset_kwargs:\n  data_files:\n    test: {data}\n"
                "test_split: test\noutput_type: multiple_choice\ntarget_delimiter: ''\n"
                "doc_to_text: '{{question}}'\ndoc_to_choice: '{{choices}}'\ndoc_to_target: label\n"
                "metric_list:\n  - metric: acc\n    aggregation: mean\n    higher_is_better: true\n"
                "metadata:\n  version: 1.0\n"
            )


if __name__ == "__main__":
    main(*sys.argv[1:3])
    print("codes:", *(evaluating.main(["", asked]) for asked in sys.argv[3:]))  # noqa: T201  # for who started it
