"""Number formats of a run: the loss scale against Megatron-Core's, what each preset learns beside bf16, resuming, and what is recorded."""
import json
import random
import subprocess
import sys
from pathlib import Path

import megatron
import pytest
import torch

import programs
import torch_dist
import training_runs
from test_resume import assert_same_checkpoint, documents

# Three layers: current scaling leaves the first and the last in bf16.
MODEL = {"model.family": "llama", "model.num_layers": 3, "model.hidden_size": 48, "model.ffn_hidden_size": 144, "model.num_attention_heads": 6,
         "model.num_query_groups": 2, "model.kv_channels": 8, "model.vocab_size": 211, "model.seq_length": 32}
RUN = {**MODEL, "dataset.seq_length": 24, "train.micro_batch_size": 2, "train.global_batch_size": 4, "optimizer.lr": 5e-3, "optimizer.adam_eps": 1e-8}
FP8 = ["bf16_with_fp8_delayed_scaling_mixed", "bf16_with_fp8_current_scaling_mixed", "bf16_with_fp8_subchannel_scaling_mixed", "bf16_with_mxfp8_mixed"]

CORE_SCALER = """
import importlib.util, json, sys, torch
real = torch.tensor
torch.tensor = lambda *values, **options: real(*values, **{**options, "device": "cpu"})   # Core asks for a GPU
spec = importlib.util.spec_from_file_location("grad_scaler", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
for initial, least, window, hysteresis, overflows in json.loads(sys.argv[2]):
    scaler = module.DynamicGradScaler(initial, least, 2.0, 0.5, window, hysteresis)
    for overflow in overflows:
        scaler.update(overflow == "1")
        state = scaler.state_dict()
        print(state["scale"].item(), scaler.inv_scale.item(), state["growth_tracker"], state["hysteresis_tracker"])
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return {"dataset.data_path": training_runs.write_indexed(tmp_path_factory.mktemp("data") / "train", documents(60, 1))}


def losses(folder, data, preset, steps=100, **values):
    training_runs.train(folder, {**RUN, **data, "mixed_precision": preset, "train.train_iters": steps, "logger.metrics_jsonl": folder / "metrics.jsonl", **values})
    return [r["lm loss"] for r in training_runs.records(folder / "metrics.jsonl")]


def test_the_loss_scale_moves_as_cores_does(seed):
    draw = random.Random(seed)
    cases = [(2.0 ** draw.randint(4, 32), 2.0 ** draw.randint(0, 3), draw.randint(1, 9), draw.randint(1, 4),
              "".join(draw.choice("0001") for _ in range(60))) for _ in range(8)]
    cases.append((2.0 ** 32, 1.0, 1000, 2, "1" * 40 + "0" * 1000 + "11"))
    source = Path(megatron.__path__[0]) / "core" / "optimizer" / "grad_scaler.py"
    core = subprocess.run([sys.executable, "-c", CORE_SCALER, source, json.dumps(cases)], capture_output=True, text=True, check=True).stdout
    ours = "".join(programs.run("state_tool", "scaler", *case).stdout for case in cases)
    want, got = ([[float(x) for x in line.split()] for line in text.splitlines()] for text in (core, ours))
    assert len(want) == sum(len(case[-1]) for case in cases)
    assert got == want


@pytest.fixture(scope="module")
def bf16(data, tmp_path_factory):
    return losses(tmp_path_factory.mktemp("bf16"), data, "bf16_mixed")


@pytest.mark.parametrize("preset", ["fp16_mixed", *FP8, "fp16_with_fp8_current_scaling_mixed"])
def test_a_hundred_steps_end_near_bf16(preset, data, bf16, tmp_path):
    got = losses(tmp_path, data, preset, **({"optimizer.initial_loss_scale": 65536.0} if "fp16" in preset else {}))
    def end(values):
        return sum(values[-10:]) / 10
    assert end(bf16) < 0.97 * bf16[0], "nothing was learned, so nothing was tested"
    assert abs(end(got) - end(bf16)) <= 0.02 * end(bf16)
    assert got != bf16, "the preset changed nothing"


@pytest.mark.parametrize("preset", ["fp16_mixed", "bf16_with_fp8_delayed_scaling_mixed", "fp16_with_fp8_delayed_scaling_mixed"])
def test_a_run_resumes_bit_for_bit(preset, data, tmp_path):
    """With overflows on both sides of the stop, and a growth of the scale between."""
    scaler = {"optimizer.initial_loss_scale": 2.0 ** 22, "optimizer.loss_scale_window": 3, "optimizer.hysteresis": 1} if "fp16" in preset else {}
    values = {**RUN, **data, **scaler, "mixed_precision": preset, "train.train_iters": 24, "scheduler.lr_decay_style": "cosine",
              "scheduler.lr_decay_iters": 24, "scheduler.lr_warmup_iters": 4}
    training_runs.train(tmp_path / "a", {**values, "checkpoint.save": tmp_path / "straight"})
    parts = {**values, "checkpoint.save": tmp_path / "parts", "checkpoint.load": tmp_path / "parts", "train.exit_interval": 12}
    for part in "bc":
        training_runs.train(tmp_path / part, parts)
    want = training_runs.records(tmp_path / "straight" / "metrics.jsonl")
    assert training_runs.records(tmp_path / "parts" / "metrics.jsonl") == want
    assert_same_checkpoint(tmp_path / "straight" / "iter_0000024", tmp_path / "parts" / "iter_0000024")
    if scaler:
        skipped = [r.get("skipped", False) for r in want]
        assert any(skipped[:12]) and any(skipped[12:]) and not all(skipped)


def test_an_overflow_skips_update_and_learning_rate(data, tmp_path):
    values = {**RUN, **data, "mixed_precision": "fp16_mixed", "train.train_iters": 12, "scheduler.lr_decay_style": "linear", "scheduler.lr_decay_iters": 12,
              "optimizer.initial_loss_scale": 2.0 ** 24, "logger.log_interval": 12, "checkpoint.save": tmp_path / "run"}
    recipe = training_runs.write_recipe(tmp_path / "recipe.yaml", values)
    text = programs.rialto_train("train", recipe).stdout
    records = training_runs.records(tmp_path / "run" / "metrics.jsonl")
    scale, patience, done = 2.0 ** 24, 2, 0
    for n, record in enumerate(records, 1):
        assert record["learning rate"] == pytest.approx(5e-3 * (1 - done / 12), rel=1e-12)
        assert record["consumed samples"] == 4 * n, "data goes on"
        patience -= record.get("skipped", False)
        scale /= 2 if record.get("skipped", False) and patience <= 0 else 1
        done += not record.get("skipped", False)
        assert record["loss scale"] == scale and (record["grad norm"] is None) == record.get("skipped", False)
    count = 12 - done
    assert 2 <= count < 12
    line = next(line for line in text.splitlines() if "iteration       12/" in line)
    assert f"loss scale: {records[-1]['loss scale']:.1f} |" in line and f"number of skipped iterations: {count:3d} |" in line
    mean = sum(r["lm loss"] for r in records if not r.get("skipped", False)) / (12 - count)
    assert f"lm loss: {mean:.6E} |" in line
    common = torch_dist.common(tmp_path / "run" / "iter_0000012")
    scaler = common["optimizer"]["grad_scaler"]
    assert scaler["scale"].shape == (1,) and scaler["scale"].item() == records[-1]["loss scale"]
    assert scaler["hysteresis_tracker"] == patience
    assert common["opt_param_scheduler"]["num_steps"] == 4 * (12 - count)
    assert common["optimizer"]["param_groups"][0]["step"] == 12 - count
    args = vars(common["args"])
    assert args["fp16"] is True and args["bf16"] is False


def test_a_constant_scale_changes_no_bits_of_an_fp32_accumulation(data, tmp_path):
    """In bf16 a power of two passes through every product unchanged."""
    plain, scaled = (losses(tmp_path / str(scale), data, "bf16_mixed", 6, **({"optimizer.loss_scale": scale} if scale else {})) for scale in (None, 1024.0))
    assert scaled == plain


def test_what_was_trained_in_fp16_is_fp16_and_loads(data, tmp_path):
    values = {**RUN, **data, "mixed_precision": "fp16_mixed", "train.train_iters": 2, "optimizer.initial_loss_scale": 1024.0, "checkpoint.save": tmp_path / "run"}
    training_runs.train(tmp_path / "a", values)
    weights = {k: v for k, v in torch_dist.tensors(tmp_path / "run" / "iter_0000002").items() if not k.startswith("optimizer.")}
    assert {v.dtype for v in weights.values()} == {torch.float16}
    programs.rialto("convert", tmp_path / "run", tmp_path / "hf")
    assert json.loads((tmp_path / "hf" / "config.json").read_text())["torch_dtype"] == "float16"
    (tmp_path / "rows.json").write_text("[[1, 2, 3]]")
    programs.rialto_train("logits", tmp_path / "run", "--tokens", tmp_path / "rows.json", "--out", tmp_path / "logits")


def test_fp8_state_of_another_model_is_refused_and_none_starts_anew(data, tmp_path):
    values = {**RUN, **data, "mixed_precision": "bf16_mixed", "train.train_iters": 2, "checkpoint.save": tmp_path / "run"}
    training_runs.train(tmp_path / "a", values)
    delayed = {**values, "mixed_precision": FP8[0], "train.train_iters": 4, "checkpoint.load": tmp_path / "run", "scheduler.override_opt_param_scheduler": True}
    recipe = training_runs.write_recipe(tmp_path / "delayed.yaml", delayed)
    done = programs.rialto_train("train", recipe)
    assert "no state of delayed FP8 scaling" in done.stdout + done.stderr
    state = torch_dist.tensors(tmp_path / "run" / "iter_0000004")
    history, scale = state["rialto.fp8.amax_history"], state["rialto.fp8.scale"]
    assert history.shape == (12, 1024, 3) and scale.shape == (12, 3)   # 3 layers of qkv, proj, fc1, fc2
    assert (history[:, :2] > 0).all() and (history[:, 2:] == 0).all()
    want = torch.tensor([448.0, 448.0, 57344.0]) / history.amax(1)
    assert torch.equal(scale, want)
    programs.rialto("inspect", tmp_path / "run")


def test_shape_of_the_ends_must_fit_the_model(data, tmp_path):
    values = {**RUN, **data, "mixed_precision": FP8[1], "train.train_iters": 1, "model.num_layers_at_end_in_bf16": 4}
    programs.refused(training_runs.train(tmp_path, values, exit_code=2), "num_layers_at_start_in_bf16", "at most 3")
