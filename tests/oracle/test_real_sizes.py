"""The largest published models: planned and proven complete in little memory, from headers alone. And bytes in any number
pass through the same few buffers."""
import json
import resource
import shutil
import sys
from pathlib import Path

import pytest

import programs

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import real_sizes  # noqa: E402

# What the models' cards say, in billions; DeepSeek-V3 with its prediction block (671 without).
BILLIONS = {"Llama-3.1-405B": 405.9, "Qwen3-235B-A22B": 235.1, "DeepSeek-V3": 682.6, "Kimi-K2-Thinking": 1026.4, "GPT-OSS-120B": 116.8}
MB = 1_000_000


def convert_within(limit, *arguments, exit_code=0):
    """`rialto convert --json` under a limit on private writable memory: an allocation beyond it fails, and the command with it.
    Small stacks, because every thread's counts."""
    def set_limits():
        resource.setrlimit(resource.RLIMIT_STACK, (MB, MB))
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    return programs.rialto("convert", *arguments, "--json", exit_code=exit_code, preexec_fn=set_limits, timeout=1800)


@pytest.mark.parametrize("name", real_sizes.MODELS)
def test_the_proof_is_small(name, tmp_path):
    config, tensors = real_sizes.MODELS[name]()
    source = real_sizes.write(tmp_path / "hf", config, tensors)
    report = json.loads(convert_within(500 * MB, source, tmp_path / "out", "--dry-run").stdout)
    assert report["tensors_in"] == len(tensors)
    assert round(report["parameters"] / 1e9, 1) == BILLIONS[name]
    assert not (tmp_path / "out").exists()


def test_one_tensor_of_all_those_is_missed(tmp_path):
    """One scale among 208,215 tensors."""
    config, tensors = real_sizes.kimi_k2()
    lost = "model.layers.37.mlp.experts.211.up_proj.weight_scale"
    del tensors[lost]
    done = convert_within(500 * MB, real_sizes.write(tmp_path / "hf", config, tensors), tmp_path / "out", "--dry-run", exit_code=3)
    programs.refused(done, lost.removesuffix("_scale"))


def test_memory_does_not_grow_with_the_model(full, tmp_path):
    """Llama-3.1-8B's layers (16 GB) out of a hole, to Megatron and back; by default three of them and the embeddings (3.4 GB)."""
    config, tensors = real_sizes.llama_8b(layers=32 if full else 3)
    source = real_sizes.write(tmp_path / "hf", config, tensors)
    report = json.loads(convert_within(300 * MB, source, tmp_path / "native").stdout)
    assert report["bytes_written"] > (16e9 if full else 3.3e9)
    shutil.rmtree(source)
    convert_within(300 * MB, tmp_path / "native", tmp_path / "back")
