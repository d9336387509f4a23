"""Tiny random models of every family, saved as transformers saves them. Sizes are chosen so that mistakes show: hidden is
not heads x head size, groups are uneven, the vocabulary is a multiple of nothing, sequences outgrow the window; norms and
biases are random; the top two logits of a greedy generation are never closer than MARGIN."""
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file

MARGIN = 1e-4
NEW_TOKENS = 32
LLAMA3 = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 32}
LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}
DEFAULT = {"rope_type": "default", "rope_theta": 10000.0}
SIZES = dict(hidden_size=36, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=2, head_dim=8, intermediate_size=56,
             vocab_size=211, max_position_embeddings=128, bos_token_id=1, eos_token_id=2, tie_word_embeddings=False)


@dataclass
class Toy:
    name: str
    family: str
    config: dict = field(default_factory=dict)   # on top of SIZES
    old_rope: bool = False                       # config.json spelled as transformers 4 did: rope_theta, rope_scaling

    @property
    def architecture(self):
        return {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3"}[self.family] + "ForCausalLM"

    def hf_config(self):
        values = {**SIZES, "rope_parameters": DEFAULT, **self.config}
        if self.family == "qwen2":
            del values["head_dim"]   # Qwen2's head size is always hidden / heads
        return getattr(transformers, self.architecture.replace("ForCausalLM", "Config"))(**values)


TOYS = [
    Toy("llama", "llama"),
    Toy("llama-llama3", "llama", {"rope_parameters": LLAMA3}, old_rope=True),
    Toy("llama-linear", "llama", {"rope_parameters": LINEAR}),
    Toy("llama-tied", "llama", {"tie_word_embeddings": True, "num_key_value_heads": 6, "head_dim": 10}, old_rope=True),
    Toy("mistral", "mistral", {"sliding_window": 7, "num_key_value_heads": 3, "rope_parameters": {**DEFAULT, "rope_theta": 1e6}}),
    Toy("qwen2", "qwen2", {"hidden_size": 48}),
    Toy("qwen2-tied", "qwen2", {"hidden_size": 48, "tie_word_embeddings": True, "num_key_value_heads": 1}, old_rope=True),
    Toy("qwen3", "qwen3", {"head_dim": 12, "rope_parameters": {**DEFAULT, "rope_theta": 1e6}}),
    Toy("qwen3-tied", "qwen3", {"head_dim": 14, "tie_word_embeddings": True}),
]
FAMILIES = ["llama", "mistral", "qwen2", "qwen3"]
BY_NAME = {toy.name: toy for toy in TOYS}
# One toy a family for Megatron, which wants an even vocabulary (TP 2 without padding, whose row would enter the softmax) and
# an even number of layers (PP 2). Its llama3 scaling always starts from 8192 positions.
EVEN = {"vocab_size": 202, "num_hidden_layers": 4}
MEGATRON = {
    "llama": Toy("megatron-llama", "llama", {**EVEN, "max_position_embeddings": 16384,
                                             "rope_parameters": {**LLAMA3, "original_max_position_embeddings": 8192}}),
    "mistral": Toy("megatron-mistral", "mistral", {**EVEN, "sliding_window": 7}),
    # 208: else the distributed optimizer zeroes the last values of its buffer on saving (it says so: "exceeds unpadded buffer")
    "qwen2": Toy("megatron-qwen2", "qwen2", {**EVEN, "vocab_size": 208, "hidden_size": 48, "tie_word_embeddings": True}),
    "qwen3": Toy("megatron-qwen3", "qwen3", {**EVEN, "head_dim": 12}),
}


def randomize(model, seed):
    """Weights larger than an initialisation, norms around 1, biases away from 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "norm" in name:
                parameter.copy_(1 + 0.25 * noise)
            elif name.endswith("bias"):
                parameter.copy_(0.5 * noise)
            elif "embed" in name:
                parameter.copy_(0.5 * noise)
            else:
                parameter.copy_(noise * 1.2 / parameter.shape[1] ** 0.5)


def prompt(toy, length=11, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(3, toy.hf_config().vocab_size, (length,), generator=generator).tolist()


def greedy(model, ids, count):
    """Greedy tokens and the smallest distance between the two best logits on the way."""
    margin, ids = float("inf"), list(ids)
    with torch.no_grad():
        for _ in range(count):
            best = model(torch.tensor([ids])).logits[0, -1].float().topk(2)
            margin = min(margin, (best.values[0] - best.values[1]).item())
            ids.append(best.indices[0].item())
    return ids[-count:], margin


def build(toy, dtype=torch.float32):
    """The toy as a transformers model, eager attention; the seed is the first whose greedy margins are safe."""
    config = toy.hf_config()
    for seed in range(1, 50):
        model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").float()
        randomize(model, seed)
        model = model.to(dtype).eval()
        tokens, margin = greedy(model.float() if dtype != torch.float32 else model, prompt(toy), NEW_TOKENS)
        if margin >= MARGIN and config.eos_token_id not in tokens:
            return model.to(dtype)
    raise AssertionError(f"{toy.name}: no seed keeps the top two logits {MARGIN} apart")


def old_rope_spelling(folder):
    """Rewrites config.json as transformers 4 wrote it."""
    path = Path(folder) / "config.json"
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    config["torch_dtype"] = config.pop("dtype", "float32")
    config["transformers_version"] = "4.57.1"
    path.write_text(json.dumps(dict(sorted(config.items())), indent=2) + "\n")


def save(toy, folder, dtype=torch.float32, sharded=False):
    """A HF directory of the toy; several shards and an index when `sharded`."""
    shutil.rmtree(folder, ignore_errors=True)
    build(toy, dtype).save_pretrained(folder, max_shard_size="24KB" if sharded else "5GB")
    if toy.old_rope:
        old_rope_spelling(folder)
    return Path(folder)


def load(folder):
    """The directory as a fp32 transformers model with eager attention."""
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def tensors(folder):
    """Every tensor of a HF directory, over all shards."""
    out = {}
    for path in sorted(Path(folder).glob("*.safetensors")):
        part = load_file(path)
        assert not out.keys() & part.keys(), f"{path} repeats a tensor"
        out.update(part)
    return out


def write_tensors(path, values, metadata=None):
    save_file(values, path, metadata=metadata or {"format": "pt"})
