"""transformers opens what `--dtype fp8-block` writes: its FineGrainedFP8 configuration, every key, and the numbers. Its kernels want a
GPU, so a CPU run of it dequantizes on loading; the modules that a GPU would use are filled here as well, and not run."""
import json

import pytest
import torch
import transformers
from safetensors.torch import load_file
from transformers.integrations.finegrained_fp8 import FP8Experts, FP8Linear
from transformers.quantizers.quantizer_finegrained_fp8 import FineGrainedFP8HfQuantizer
from transformers.utils.quantization_config import FineGrainedFP8Config

import closeness
import programs
import toys
from toy_files import read_config

# transformers 5.23 takes a block to be rows / rows of scales: every size is at most 128 or a multiple of it
SIZES = {"hidden_size": 256, "moe_intermediate_size": 128, "intermediate_size": 384}
DEEPSEEK = toys.Toy("fp8-hf-deepseek_v3", "deepseek_v3", {**SIZES, "v_head_dim": 8})
TOYS = [DEEPSEEK, toys.Toy("fp8-hf-qwen3_moe", "qwen3_moe", SIZES), toys.Toy("fp8-hf-qwen3", "qwen3", {"hidden_size": 256, "intermediate_size": 384})]


def exported(toy, shelf, folder):
    """The toy in FP8 blocks, by way of a native checkpoint."""
    programs.rialto("convert", shelf.path(toy), folder / "native")
    programs.rialto("convert", folder / "native", folder / "fp8", "--dtype", "fp8-block")
    return folder / "fp8"


def our_logits(model, rows, folder):
    (folder / "rows.json").write_text(json.dumps(rows))
    programs.rialto_train("logits", model, "--tokens", folder / "rows.json", "--out", folder / "logits")
    return load_file(folder / "logits")["logits"]


def load(folder):
    """The model, and that loading had nothing to complain of."""
    model, info = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    assert not any(info.values()), info
    return model.eval()


def logits(model, rows):
    with torch.no_grad():
        return model(torch.tensor(rows)).logits


@pytest.mark.parametrize("toy", TOYS, ids=lambda t: t.name)
def test_transformers_computes_the_same_from_the_codes(toy, shelf, tmp_path):
    folder, rows = exported(toy, shelf, tmp_path), toys.token_rows(toy)
    assert sum(t.dtype == torch.float8_e4m3fn for t in toys.tensors(folder).values()) > 10
    ours = our_logits(folder, rows, tmp_path)
    closeness.assert_close("logits", ours, logits(load(folder), rows))
    plain = logits(toys.load(shelf.path(toy)), rows)
    assert (ours - plain).abs().max() > 0.01, "rounding to FP8 moved nothing, so nothing was tested"


@pytest.mark.parametrize("toy", TOYS, ids=lambda t: t.name)
def test_the_modules_of_a_gpu_take_every_code_and_scale(toy, shelf, tmp_path, monkeypatch):
    """As on a GPU: the same linear layers are FP8 there as in our files, and hold our bytes. Running them asks for a kernel."""
    folder = exported(toy, shelf, tmp_path)
    quantization = FineGrainedFP8Config(**read_config(folder)["quantization_config"])
    assert tuple(quantization.weight_block_size) == (128, 128) and quantization.scale_fmt == "float" and quantization.expert_dtype == "fp8"
    monkeypatch.setattr(FineGrainedFP8HfQuantizer, "validate_environment", lambda *args, **kwargs: None)
    model, stored = load(folder), toys.tensors(folder)
    coded = {name for name, tensor in stored.items() if tensor.dtype == torch.float8_e4m3fn}
    seen = set()
    for name, module in model.named_modules():
        if isinstance(module, FP8Linear) and f"{name}.weight" in stored:
            for part in ("weight", "weight_scale_inv"):
                closeness.assert_same_bits(f"{name}.{part}", getattr(module, part).data, stored[f"{name}.{part}"])
            seen.add(f"{name}.weight")
        elif isinstance(module, FP8Experts):
            for e in range(module.num_experts):
                for end in ("weight", "weight_scale_inv"):
                    gate, up, down = (stored[f"{name}.{e}.{part}_proj.{end}"] for part in ("gate", "up", "down"))
                    suffix = end.removeprefix("weight")
                    as_bytes = lambda t: t.contiguous().view(torch.uint8)   # torch joins no float8 on a CPU
                    joined = torch.cat([as_bytes(gate), as_bytes(up)])
                    assert as_bytes(getattr(module, "gate_up_proj" + suffix).data[e]).equal(joined), f"{name}.{e}"
                    closeness.assert_same_bits(f"{name}.{e}", getattr(module, "down_proj" + suffix).data[e], down)
                seen |= {f"{name}.{e}.{part}_proj.weight" for part in ("gate", "up", "down")}
    assert seen == coded
    with pytest.raises(ImportError, match="kernel unavailable"):   # why a CPU dequantizes
        logits(model, toys.token_rows(toy))


def test_transformers_wants_blocks_that_divide_a_size(shelf, tmp_path):
    """What transformers 5.23 makes of other sizes: 160 columns are two blocks of 80 to it, and 576 rows (DeepSeek V3's own
    kv_a_proj_with_mqa, as published) no blocks at all. Ours are 128 and what is left, as published (test_codecs.py)."""
    uneven = toys.Toy("fp8-hf-uneven", "deepseek_v3", {**DEEPSEEK.config, "hidden_size": 160})
    (tmp_path / "a").mkdir()
    folder, rows = exported(uneven, shelf, tmp_path / "a"), toys.token_rows(uneven)
    assert (our_logits(folder, rows, tmp_path) - logits(load(folder), rows)).abs().max() > 0.1, "now it can: make this toy one of TOYS"
    (tmp_path / "b").mkdir()
    published = toys.Toy("fp8-hf-576", "deepseek_v3", {**DEEPSEEK.config, "kv_lora_rank": 568, "num_hidden_layers": 2})
    with pytest.raises(RuntimeError, match="conversion of the weights"):
        load(exported(published, shelf, tmp_path / "b"))
