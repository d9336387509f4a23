#!/usr/bin/env python3
"""The peers of the bridge's benchmarks: what a careful engineer would write with safetensors and torch.

import, export: a Llama or Qwen3-MoE folder into Megatron's layout (fused q/k/v and gate/up, stacked experts), and back.
dequantize: FP8 blocks to bf16. equal: two folders, tensor by tensor. Files are written with fsync.
"""
import json
import os
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file


def save_synced(tensors, target):
    target.mkdir(parents=True, exist_ok=True)
    path = target / "model.safetensors"
    save_file(tensors, path, metadata={"format": "pt"})
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def opened(folder):
    return safe_open(folder / "model.safetensors", "pt")


def sizes_of(folder):
    config = json.loads((folder / "config.json").read_text())
    return config["num_hidden_layers"], config["num_key_value_heads"], config["num_attention_heads"], config["head_dim"], config.get("num_experts", 0)


def to_native(source, target):
    layers, groups, heads, dim, experts = sizes_of(source)
    out = {}
    with opened(source) as file:
        read = file.get_tensor
        out["embedding.word_embeddings.weight"] = read("model.embed_tokens.weight")
        out["decoder.final_layernorm.weight"] = read("model.norm.weight")
        if "lm_head.weight" in file.keys():
            out["output_layer.weight"] = read("lm_head.weight")
        for i in range(layers):
            p, o = f"model.layers.{i}.", f"decoder.layers.{i}."
            q, k, v = (read(p + f"self_attn.{x}_proj.weight") for x in "qkv")
            h = q.shape[1]
            fused = torch.cat([q.view(groups, heads // groups, dim, h), k.view(groups, 1, dim, h), v.view(groups, 1, dim, h)], 1)
            out[o + "self_attention.linear_qkv.weight"] = fused.reshape(-1, h)
            out[o + "self_attention.linear_qkv.layer_norm_weight"] = read(p + "input_layernorm.weight")
            out[o + "self_attention.linear_proj.weight"] = read(p + "self_attn.o_proj.weight")
            if not experts:
                out[o + "mlp.linear_fc1.layer_norm_weight"] = read(p + "post_attention_layernorm.weight")
                out[o + "mlp.linear_fc1.weight"] = torch.cat([read(p + "mlp.gate_proj.weight"), read(p + "mlp.up_proj.weight")])
                out[o + "mlp.linear_fc2.weight"] = read(p + "mlp.down_proj.weight")
                continue
            for x in "qk":
                out[o + f"self_attention.{x}_layernorm.weight"] = read(p + f"self_attn.{x}_norm.weight")
            out[o + "pre_mlp_layernorm.weight"] = read(p + "post_attention_layernorm.weight")
            out[o + "mlp.router.weight"] = read(p + "mlp.gate.weight")
            for e in range(experts):
                x = p + f"mlp.experts.{e}."
                out[o + f"mlp.experts.linear_fc1.weight{e}"] = torch.cat([read(x + "gate_proj.weight"), read(x + "up_proj.weight")])
                out[o + f"mlp.experts.linear_fc2.weight{e}"] = read(x + "down_proj.weight")
    save_synced(out, target)
    (target / "config.json").write_text((source / "config.json").read_text())


def halves(out, prefix, fused):
    gate, up = fused.chunk(2)
    out[prefix + "gate_proj.weight"], out[prefix + "up_proj.weight"] = gate.contiguous(), up.contiguous()


def to_hf(source, target):
    layers, groups, heads, dim, experts = sizes_of(source)
    out = {}
    with opened(source) as file:
        read = file.get_tensor
        out["model.embed_tokens.weight"] = read("embedding.word_embeddings.weight")
        out["model.norm.weight"] = read("decoder.final_layernorm.weight")
        if "output_layer.weight" in file.keys():
            out["lm_head.weight"] = read("output_layer.weight")
        for i in range(layers):
            p, o = f"model.layers.{i}.", f"decoder.layers.{i}."
            fused, per_group = read(o + "self_attention.linear_qkv.weight"), heads // groups
            h = fused.shape[1]
            fused = fused.view(groups, per_group + 2, dim, h)
            for name, part in zip("qkv", (fused[:, :per_group], fused[:, per_group:per_group + 1], fused[:, per_group + 1:])):
                out[p + f"self_attn.{name}_proj.weight"] = part.reshape(-1, h).contiguous()
            out[p + "input_layernorm.weight"] = read(o + "self_attention.linear_qkv.layer_norm_weight")
            out[p + "self_attn.o_proj.weight"] = read(o + "self_attention.linear_proj.weight")
            if not experts:
                out[p + "post_attention_layernorm.weight"] = read(o + "mlp.linear_fc1.layer_norm_weight")
                halves(out, p + "mlp.", read(o + "mlp.linear_fc1.weight"))
                out[p + "mlp.down_proj.weight"] = read(o + "mlp.linear_fc2.weight")
                continue
            for x in "qk":
                out[p + f"self_attn.{x}_norm.weight"] = read(o + f"self_attention.{x}_layernorm.weight")
            out[p + "post_attention_layernorm.weight"] = read(o + "pre_mlp_layernorm.weight")
            out[p + "mlp.gate.weight"] = read(o + "mlp.router.weight")
            for e in range(experts):
                halves(out, p + f"mlp.experts.{e}.", read(o + f"mlp.experts.linear_fc1.weight{e}"))
                out[p + f"mlp.experts.{e}.down_proj.weight"] = read(o + f"mlp.experts.linear_fc2.weight{e}")
    save_synced(out, target)


def dequantize(source, target):
    """Every tensor as bf16; the selection bias stays fp32."""
    out = {}
    with opened(source) as file:
        names = set(file.keys())
        for name in names:
            if name.endswith("_scale_inv"):
                continue
            tensor = file.get_tensor(name)
            if name + "_scale_inv" in names:
                rows, cols = tensor.shape
                scale = file.get_tensor(name + "_scale_inv").repeat_interleave(128, 0)[:rows].repeat_interleave(128, 1)[:, :cols]
                tensor = (tensor.float() * scale).bfloat16()
            out[name] = tensor
    save_synced(out, target)


def equal(a, b):
    with opened(a) as left, opened(b) as right:
        assert set(left.keys()) == set(right.keys())
        assert all(torch.equal(left.get_tensor(name), right.get_tensor(name)) for name in left.keys())


if __name__ == "__main__":
    {"import": to_native, "export": to_hf, "dequantize": dequantize, "equal": equal}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
