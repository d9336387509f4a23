#!/usr/bin/env python3
"""The peers of the conversion benchmark: what a careful engineer would write with safetensors and torch.

Reads a Llama folder, fuses q/k/v and gate/up into Megatron's layout, writes it with fsync; and the way back.
"""
import json
import os
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

SHAPE = dict(hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32, num_key_value_heads=8,
             head_dim=64, vocab_size=128256)
GROUPS, PER_GROUP, HEAD = 8, 4, 64


def make_1b(folder):
    """A random checkpoint of Llama-3.2-1B's shape in bf16 (2.5 GB), made once."""
    done = folder / "config.json"
    if done.exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    h, f, v, n = SHAPE["hidden_size"], SHAPE["intermediate_size"], SHAPE["vocab_size"], SHAPE["num_hidden_layers"]
    shapes = {"model.embed_tokens.weight": (v, h), "model.norm.weight": (h,)}
    for i in range(n):
        p = f"model.layers.{i}."
        shapes |= {p + "input_layernorm.weight": (h,), p + "post_attention_layernorm.weight": (h,),
                   p + "self_attn.q_proj.weight": (h, h), p + "self_attn.k_proj.weight": (GROUPS * HEAD, h),
                   p + "self_attn.v_proj.weight": (GROUPS * HEAD, h), p + "self_attn.o_proj.weight": (h, h),
                   p + "mlp.gate_proj.weight": (f, h), p + "mlp.up_proj.weight": (f, h), p + "mlp.down_proj.weight": (h, f)}
    tensors = {name: (torch.randn(shape) * 0.02).bfloat16() for name, shape in shapes.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = dict(SHAPE, architectures=["LlamaForCausalLM"], model_type="llama", hidden_act="silu", max_position_embeddings=131072,
                  rms_norm_eps=1e-5, rope_theta=500000.0, tie_word_embeddings=True, torch_dtype="bfloat16", bos_token_id=128000,
                  eos_token_id=128001, attention_bias=False, mlp_bias=False, initializer_range=0.02, use_cache=True,
                  rope_scaling=dict(rope_type="llama3", factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                    original_max_position_embeddings=8192))
    done.write_text(json.dumps(config, indent=2))
    return folder


def save_synced(tensors, path):
    save_file(tensors, path, metadata={"format": "pt"})
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def to_native(source, target):
    target.mkdir(parents=True, exist_ok=True)
    out = {}
    with safe_open(source / "model.safetensors", "pt") as file:
        names = set(file.keys())
        out["embedding.word_embeddings.weight"] = file.get_tensor("model.embed_tokens.weight")
        out["decoder.final_layernorm.weight"] = file.get_tensor("model.norm.weight")
        for i in range(SHAPE["num_hidden_layers"]):
            p, o = f"model.layers.{i}.", f"decoder.layers.{i}."
            q, k, v = (file.get_tensor(p + f"self_attn.{x}_proj.weight") for x in "qkv")
            h = q.shape[1]
            fused = torch.cat([q.view(GROUPS, PER_GROUP, HEAD, h), k.view(GROUPS, 1, HEAD, h), v.view(GROUPS, 1, HEAD, h)], 1)
            out[o + "self_attention.linear_qkv.weight"] = fused.reshape(-1, h)
            out[o + "self_attention.linear_qkv.layer_norm_weight"] = file.get_tensor(p + "input_layernorm.weight")
            out[o + "self_attention.linear_proj.weight"] = file.get_tensor(p + "self_attn.o_proj.weight")
            out[o + "mlp.linear_fc1.layer_norm_weight"] = file.get_tensor(p + "post_attention_layernorm.weight")
            out[o + "mlp.linear_fc1.weight"] = torch.cat([file.get_tensor(p + "mlp.gate_proj.weight"), file.get_tensor(p + "mlp.up_proj.weight")])
            out[o + "mlp.linear_fc2.weight"] = file.get_tensor(p + "mlp.down_proj.weight")
        assert "model.norm.weight" in names
    save_synced(out, target / "model.safetensors")


def to_hf(source, target):
    target.mkdir(parents=True, exist_ok=True)
    out = {}
    with safe_open(source / "model.safetensors", "pt") as file:
        out["model.embed_tokens.weight"] = file.get_tensor("embedding.word_embeddings.weight")
        out["model.norm.weight"] = file.get_tensor("decoder.final_layernorm.weight")
        for i in range(SHAPE["num_hidden_layers"]):
            p, o = f"model.layers.{i}.", f"decoder.layers.{i}."
            fused = file.get_tensor(o + "self_attention.linear_qkv.weight")
            h = fused.shape[1]
            fused = fused.view(GROUPS, PER_GROUP + 2, HEAD, h)
            for name, part in zip("qkv", (fused[:, :PER_GROUP], fused[:, PER_GROUP:PER_GROUP + 1], fused[:, PER_GROUP + 1:])):
                out[p + f"self_attn.{name}_proj.weight"] = part.reshape(-1, h).contiguous()
            out[p + "input_layernorm.weight"] = file.get_tensor(o + "self_attention.linear_qkv.layer_norm_weight")
            out[p + "self_attn.o_proj.weight"] = file.get_tensor(o + "self_attention.linear_proj.weight")
            out[p + "post_attention_layernorm.weight"] = file.get_tensor(o + "mlp.linear_fc1.layer_norm_weight")
            gate, up = file.get_tensor(o + "mlp.linear_fc1.weight").chunk(2)
            out[p + "mlp.gate_proj.weight"], out[p + "mlp.up_proj.weight"] = gate.contiguous(), up.contiguous()
            out[p + "mlp.down_proj.weight"] = file.get_tensor(o + "mlp.linear_fc2.weight")
    save_synced(out, target / "model.safetensors")


if __name__ == "__main__":
    {"import": to_native, "export": to_hf}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
