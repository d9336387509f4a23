"""Files of the toys that transformers does not write by itself: families without a class of their own, which borrow another's
tensors under their own config.json; blocks of multi-token prediction; the spelling of transformers 4."""
import json
import tempfile
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file

from toy_table import FAMILY_TABLE

RENAMED_KEYS = {"sarvam_mla": {"n_routed_experts": "num_experts", "n_shared_experts": "num_shared_experts"}}
BORROWED = {family.model_type: name for name, family in FAMILY_TABLE.items() if family.model_type and not family.plain}
PLAIN = {family.model_type: name for name, family in FAMILY_TABLE.items() if family.plain}
# What a block of multi-token prediction is called: the layer, its two input norms, the product of both, its own last norm.
BEHIND = tuple("model.layers.{n}." + part for part in ("", "enorm.weight", "hnorm.weight", "eh_proj.weight", "shared_head.norm.weight"))
PLAIN_BEHIND = (*BEHIND[:4], "model.layers.{n}.final_layernorm.weight")
MTP_NAMES = {
    "deepseek_v3": BEHIND, "glm4_moe": BEHIND, "glm4_moe_lite": BEHIND, "ling": PLAIN_BEHIND, "hy_v3": PLAIN_BEHIND,
    "mimo": tuple("model.mtp_layers.{m}." + part for part in ("", "token_layernorm.weight", "hidden_layernorm.weight", "input_proj.weight",
                                                              "final_layernorm.weight")),
    "exaone_moe": ("mtp.layers.{m}.", "mtp.pre_fc_norm_embedding.weight", "mtp.pre_fc_norm_hidden.weight", "mtp.fc.weight", "mtp.norm.weight"),
}
MTP_LIKE = {"exaone_moe": 0}   # which layer the block is shaped as; otherwise the last
MTP_COPIES = {"embed_tokens.weight": "model.embed_tokens.weight", "shared_head.head.weight": "lm_head.weight"}
WITH_COPIES = ("deepseek_v3", "glm4_moe", "glm4_moe_lite")


def read_config(folder):
    return json.loads((Path(folder) / "config.json").read_text())


def write_config(folder, config):
    (Path(folder) / "config.json").write_text(json.dumps(dict(sorted(config.items())), indent=2) + "\n")


def old_rope_spelling(folder):
    """Rewrites config.json as transformers 4 wrote it."""
    config = read_config(folder)
    rope = config.pop("rope_parameters")
    if "full_attention" in rope:   # Gemma 3: two bases, only the global one scaled
        config["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        rope = rope["full_attention"]
    config["rope_theta"] = rope.pop("rope_theta")
    if "partial_rotary_factor" in rope:
        config["partial_rotary_factor"] = rope.pop("partial_rotary_factor")
    config["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    config["torch_dtype"] = config.pop("dtype", "float32")
    config["transformers_version"] = "4.57.1"
    write_config(folder, config)


def as_own(folder, name):
    """config.json of a borrowed class -> of the family itself, whose own code was written for transformers 4."""
    family = FAMILY_TABLE[name]
    old_rope_spelling(folder)
    config = read_config(folder)
    for theirs, own in RENAMED_KEYS.get(name, {}).items():
        config[own] = config.pop(theirs)
    for of_transformers_5 in ("layer_types", "rope_interleave"):
        config.pop(of_transformers_5, None)
    if name == "sarvam_mla":
        del config["num_nextn_predict_layers"]   # its own code knows none
    if config["rope_scaling"]:
        config["rope_scaling"]["type"] = config["rope_scaling"].pop("rope_type")
    write_config(folder, {**config, "model_type": family.model_type, "architectures": [family.architecture]})


def as_borrowed(folder, name):
    """A temporary directory with the same tensors under the borrowed class."""
    family, config = FAMILY_TABLE[name], read_config(folder)
    for theirs, own in RENAMED_KEYS.get(name, {}).items():
        config[theirs] = config.pop(own)
    there = tempfile.TemporaryDirectory()
    config["model_type"] = getattr(transformers, family.like + "Config").model_type
    write_config(there.name, {**config, "architectures": [family.like + "ForCausalLM"]})
    for path in Path(folder).glob("*.safetensors*"):
        (Path(there.name) / path.name).symlink_to(path)
    return there


def mtp_names(toy, m):
    """Prefix of the layer, then the whole names of the two input norms, the product and the last norm of block `m`."""
    return tuple(name.format(n=toy.values["num_hidden_layers"] + m, m=m) for name in MTP_NAMES[toy.family])


def add_mtp(folder, toy):
    """Adds random blocks of multi-token prediction to the last shard."""
    folder, values = Path(folder), toy.values
    layers, hidden = values["num_hidden_layers"], values["hidden_size"]
    path = sorted(folder.glob("*.safetensors"))[-1]
    every = {}
    for part in folder.glob("*.safetensors"):
        every.update(load_file(part))
    draw = torch.Generator().manual_seed(toy.block_seed)
    new, of_layer = {}, f"model.layers.{MTP_LIKE.get(toy.family, layers - 1)}."
    for m in range(toy.mtp):
        at, *inputs, product, last = mtp_names(toy, m)
        for name, value in every.items():
            if name.startswith(of_layer):
                noise = torch.randn(value.shape, generator=draw) * 0.2
                new[at + name.removeprefix(of_layer)] = (noise + ("norm" in name)).to(value.dtype)
        dtype = every["model.norm.weight"].dtype
        for name in (*inputs, last):
            new[name] = (1 + 0.25 * torch.randn(hidden, generator=draw)).to(dtype)
        new[product] = (0.15 * torch.randn(hidden, 2 * hidden, generator=draw)).to(dtype)
        if toy.family in WITH_COPIES:
            new |= {at + copy: every[original].clone() for copy, original in MTP_COPIES.items()}
    save_file({**load_file(path), **new}, path, metadata={"format": "pt"})
    index_path = folder / "model.safetensors.index.json"
    if index_path.exists():
        index = json.loads(index_path.read_text())
        index["weight_map"] |= dict.fromkeys(new, path.name)
        index["metadata"]["total_size"] += sum(t.numel() * t.element_size() for t in new.values())
        index["metadata"].pop("total_parameters", None)
        index_path.write_text(json.dumps(index, indent=2) + "\n")
