"""Random checkpoints of true shapes, each made once: 1B dense, 2 GB of experts, 1.5 GB of FP8 codes."""
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests/support"))
import real_sizes  # noqa: E402

TYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F8_E4M3": torch.float8_e4m3fn}


def fill(name, dtype, shape):
    values = torch.randn(shape)
    if dtype == "F8_E4M3":
        return (values * 100).clamp(-448, 448).to(torch.float8_e4m3fn)
    return (values.abs() * 1e-4 if name.endswith("scale_inv") else values * 0.02).to(TYPES[dtype])


def make(folder, config, tensors):
    if not (folder / "config.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: fill(name, *stored) for name, stored in tensors.items()}, folder / "model.safetensors", metadata={"format": "pt"})
        (folder / "config.json").write_text(json.dumps(config, indent=2))
    return folder


def dense(folder):
    """Llama-3.2-1B: 2.5 GB of bf16."""
    config, tensors = real_sizes.llama(2048, 8192, 16, 32, 8, dim=64, factor=32.0)
    del tensors["lm_head.weight"]
    return make(folder, dict(config, tie_word_embeddings=True), tensors)


def experts(folder):
    """Qwen3-30B-A3B's experts, 64 of them in 4 layers: 2.6 GB of bf16."""
    return make(folder, *real_sizes.qwen3_moe(2048, 768, 4, 64, 32000, 32))


def fp8(folder):
    """DeepSeek-V3's widths, one dense layer and one of 16 experts: 1.5 GB of codes."""
    return make(folder, *real_sizes.deepseek(2, 1, 16, 8192))
