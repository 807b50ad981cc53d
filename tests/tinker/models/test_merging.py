"""A merged model computes what base and adapter compute together, and is there whole or not at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from lab.core.errors import BadInput, Corrupt, LabError, NotFound
from lab.tinker.local.models import LocalModels
from lab.tinker.local.training import Lora
from lab.tinker.merging import merge
from tests.tinker.models import asked

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

LORA = Lora(rank=4, seed=7)
TOKENS = torch.tensor([asked.PROMPT])


def trained(base: Path, folder: Path, lora: Lora = LORA) -> Path:
    """An adapter that has learnt something, on the base in that folder."""
    trainer = LocalModels({"b": str(base)}).trainer("b", lora)
    asked.learn(trainer, 5)
    folder.mkdir()
    trainer.save(str(folder), optimizer=True)
    return folder


@pytest.fixture(scope="module")
def adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tiny_model, tmp_path_factory.mktemp("merging") / "adapter")


def variant(
    tiny: Path, folder: Path, *, dtype: torch.dtype = torch.float32, tied: bool = False, shard: str = "1GB"
) -> Path:
    """The tiny model saved in another way."""
    model = AutoModelForCausalLM.from_pretrained(str(tiny), dtype=dtype)
    if tied:  # its last layer is its first from here on
        model.lm_head.weight = model.get_input_embeddings().weight
        model.config.tie_word_embeddings = True
    model.save_pretrained(str(folder), max_shard_size=shard)
    AutoTokenizer.from_pretrained(str(tiny)).save_pretrained(str(folder))
    return folder


def logits(folder: Path) -> Tensor:
    with torch.no_grad():
        model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32)
        return model(input_ids=TOKENS).logits[0]  # type: ignore[no-any-return]


def with_adapter(base: Path, adapter: Path) -> Tensor:
    models = LocalModels({"b": str(base)})
    sampler = models.sampler("b", str(adapter))
    with torch.no_grad():
        return models._base("b").logits(asked.PROMPT, sampler._adapter)


def apart(one: Tensor, two: Tensor) -> float:
    return float((one - two).abs().max())


@pytest.mark.filterwarnings("ignore:.*:FutureWarning")  # peft calls what transformers has renamed
def test_the_merged_weights_are_those_that_peft_makes(tiny_model: Path, adapter: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    done = merge(str(tiny_model), str(adapter), str(tmp_path / "merged"))
    model = AutoModelForCausalLM.from_pretrained(str(tiny_model), dtype=torch.float32)
    theirs = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload().state_dict()
    ours = load_file(tmp_path / "merged" / "model.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert (done.layers, done.rank) == (15, 4)


def test_the_merged_model_computes_what_base_and_adapter_do(tiny_model: Path, adapter: Path, tmp_path: Path) -> None:
    merge(str(tiny_model), str(adapter), str(tmp_path / "merged"))
    assert apart(logits(tmp_path / "merged"), with_adapter(tiny_model, adapter)) < 1e-4
    assert apart(logits(tmp_path / "merged"), logits(tiny_model)) > 0.1


def test_everything_but_the_weights_and_the_page_of_the_base_comes_along(
    tiny_model: Path, adapter: Path, tmp_path: Path
) -> None:
    base = variant(tiny_model, tmp_path / "base")
    (base / "README.md").write_text("the base")
    (base / "LICENSE").write_text("terms")
    (base / "pytorch_model.bin").write_bytes(b"the same weights again")
    merge(str(base), str(adapter), str(tmp_path / "merged"))
    names = {path.name for path in (tmp_path / "merged").iterdir()}
    assert names == {path.name for path in base.iterdir()} - {"README.md", "pytorch_model.bin"}
    for name in ("tokenizer.json", "LICENSE"):
        assert (tmp_path / "merged" / name).read_bytes() == (base / name).read_bytes()


def test_tied_weights_are_told_apart_where_the_last_layer_was_trained(tiny_model: Path, tmp_path: Path) -> None:
    base = variant(tiny_model, tmp_path / "base", tied=True)
    assert "lm_head.weight" not in load_file(base / "model.safetensors")
    adapter = trained(base, tmp_path / "adapter")
    merge(str(base), str(adapter), str(tmp_path / "merged"))
    assert apart(logits(tmp_path / "merged"), with_adapter(base, adapter)) < 1e-4
    # Some loaders look at the weights, others believe this alone.
    assert json.loads((tmp_path / "merged" / "config.json").read_text())["tie_word_embeddings"] is False
    merged = load_file(tmp_path / "merged" / "model.safetensors")
    name = "model.embed_tokens.weight"
    assert torch.equal(merged[name], load_file(base / "model.safetensors")[name])


def test_tied_weights_stay_tied_where_the_last_layer_was_not_trained(tiny_model: Path, tmp_path: Path) -> None:
    base = variant(tiny_model, tmp_path / "base", tied=True)
    adapter = trained(base, tmp_path / "adapter", Lora(rank=4, seed=7, train_unembed=False))
    merge(str(base), str(adapter), str(tmp_path / "merged"))
    assert apart(logits(tmp_path / "merged"), with_adapter(base, adapter)) < 1e-4
    assert json.loads((tmp_path / "merged" / "config.json").read_text())["tie_word_embeddings"] is True


def test_a_base_in_several_files_becomes_a_model_in_several_files(
    tiny_model: Path, adapter: Path, tmp_path: Path
) -> None:
    base = variant(tiny_model, tmp_path / "base", shard="100KB")
    merge(str(base), str(adapter), str(tmp_path / "merged"))
    names = {path.name for path in (tmp_path / "merged").iterdir() if path.suffix == ".safetensors"}
    assert len(names) > 2
    assert names == {path.name for path in base.iterdir() if path.suffix == ".safetensors"}
    assert apart(logits(tmp_path / "merged"), with_adapter(tiny_model, adapter)) < 1e-4


def test_a_tied_base_in_several_files_gets_its_last_layer(tiny_model: Path, tmp_path: Path) -> None:
    base = variant(tiny_model, tmp_path / "base", tied=True, shard="100KB")
    adapter = trained(base, tmp_path / "adapter")
    merge(str(base), str(adapter), str(tmp_path / "merged"))
    assert apart(logits(tmp_path / "merged"), with_adapter(base, adapter)) < 1e-4
    index = json.loads((tmp_path / "merged" / "model.safetensors.index.json").read_text())["weight_map"]
    assert index["lm_head.weight"] == index["model.embed_tokens.weight"]
    assert "lm_head.weight" in load_file(tmp_path / "merged" / index["lm_head.weight"])


def test_a_base_in_half_precision_stays_in_it(tiny_model: Path, adapter: Path, tmp_path: Path) -> None:
    base = variant(tiny_model, tmp_path / "base", dtype=torch.bfloat16)
    merge(str(base), str(adapter), str(tmp_path / "merged"))
    assert {tensor.dtype for tensor in load_file(tmp_path / "merged" / "model.safetensors").values()} == {
        torch.bfloat16
    }
    assert apart(logits(tmp_path / "merged"), with_adapter(tiny_model, adapter)) < 0.2


@pytest.mark.filterwarnings("ignore:.*:FutureWarning")
def test_an_adapter_that_peft_made_is_merged_with_its_own_scale(tiny_model: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    plain = AutoModelForCausalLM.from_pretrained(str(tiny_model), dtype=torch.float32)
    config = LoraConfig(
        r=4, lora_alpha=6, use_rslora=True, target_modules=["q_proj", "down_proj"], init_lora_weights=False
    )
    model = get_peft_model(plain, config)
    model.save_pretrained(str(tmp_path / "adapter"))
    with torch.no_grad():
        expected = model.eval()(input_ids=TOKENS).logits[0]
    merge(str(tiny_model), str(tmp_path / "adapter"), str(tmp_path / "merged"))
    assert apart(logits(tmp_path / "merged"), expected) < 1e-4


def changed(adapter: Path, folder: Path, **fields: object) -> Path:
    """A copy of an adapter that says something else of itself."""
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes((adapter / "adapter_model.safetensors").read_bytes())
    config = json.loads((adapter / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, **fields}))
    return folder


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"use_dora": True}, "use_dora cannot be merged"),
        ({"bias": "all"}, "bias all"),
        ({"modules_to_save": ["embed_tokens"]}, "modules_to_save"),
        ({"alpha_pattern": {"q_proj": 1.0}}, "alpha_pattern"),
        ({"peft_type": "IA3"}, "peft_type IA3"),
        ({"r": 0}, "its rank is 0"),
    ],
)
def test_an_adapter_of_another_kind_is_refused_by_name(
    tiny_model: Path, adapter: Path, tmp_path: Path, fields: dict[str, object], words: str
) -> None:
    other = changed(adapter, tmp_path / "other", **fields)
    with pytest.raises(LabError, match=words):
        merge(str(tiny_model), str(other), str(tmp_path / "merged"))
    assert not (tmp_path / "merged").exists()


def test_an_adapter_of_another_base_is_refused_with_the_layer_that_does_not_fit(
    tiny_model: Path, adapter: Path, tmp_path: Path
) -> None:
    tensors = load_file(adapter / "adapter_model.safetensors")
    larger = changed(adapter, tmp_path / "larger")
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    save_file({**tensors, name: torch.zeros(4, 128)}, larger / "adapter_model.safetensors")
    with pytest.raises(BadInput, match=r"layers\.0\.self_attn\.q_proj is \[64, 64\] in it, and \[64, 128\] is needed"):
        merge(str(tiny_model), str(larger), str(tmp_path / "merged"))

    deeper = changed(adapter, tmp_path / "deeper")
    renamed = {name.replace("layers.1", "layers.9"): tensor for name, tensor in tensors.items()}
    save_file(renamed, deeper / "adapter_model.safetensors")
    with pytest.raises(BadInput, match=r"layers\.9\.\S+ is not in it"):
        merge(str(tiny_model), str(deeper), str(tmp_path / "merged"))

    halved = changed(adapter, tmp_path / "halved")
    save_file({key: tensor for key, tensor in tensors.items() if key != name}, halved / "adapter_model.safetensors")
    with pytest.raises(Corrupt, match="lacks one of its two matrices"):
        merge(str(tiny_model), str(halved), str(tmp_path / "merged"))

    stranger = changed(adapter, tmp_path / "stranger")
    save_file({**tensors, "base_model.model.odd": torch.zeros(1)}, stranger / "adapter_model.safetensors")
    with pytest.raises(BadInput, match=r"base_model\.model\.odd is no matrix"):
        merge(str(tiny_model), str(stranger), str(tmp_path / "merged"))
    assert not (tmp_path / "merged").exists()


def test_a_folder_with_something_in_it_is_left_alone(tiny_model: Path, adapter: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(BadInput, match="already there"):
        merge(str(tiny_model), str(adapter), str(tmp_path / "out"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("torn", ["model.safetensors", "config.json"])
def test_a_torn_base_leaves_nothing_behind(tiny_model: Path, adapter: Path, tmp_path: Path, torn: str) -> None:
    base = variant(tiny_model, tmp_path / "base")
    (base / torn).write_bytes((base / torn).read_bytes()[:50])
    with pytest.raises(Corrupt, match="cannot be read"):
        merge(str(base), str(adapter), str(tmp_path / "merged"))
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


def test_what_is_not_there_is_told(tiny_model: Path, adapter: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "merged")
    with pytest.raises(NotFound, match=r"config\.json is missing"):
        merge(str(tmp_path), str(adapter), out)
    with pytest.raises(NotFound, match="no adapter is here"):
        merge(str(tiny_model), str(tmp_path), out)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(NotFound, match=r"has no model\.safetensors"):
        merge(str(tmp_path), str(adapter), out)
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../../elsewhere.safetensors"}}')
    with pytest.raises(LabError, match="names a file that is not beside it"):
        merge(str(tmp_path), str(adapter), out)
