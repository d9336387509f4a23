"""A run that is stopped and resumed in a new process is the same run, bit for bit."""
import random
import signal
import time

import pytest
import torch

import closeness
import conftest
import programs
import torch_dist
import toys
import training_runs

PRECISIONS = ("fp32", "bf16_mixed")
STEPS, STOP = 20, 10   # stopped inside the warm-up (12 iterations) and between two evaluations (at 8 and 12)
RANDOM_MODEL = {"model.family": "llama", "model.num_layers": 2, "model.hidden_size": 36, "model.ffn_hidden_size": 56, "model.num_attention_heads": 6,
                "model.num_query_groups": 2, "model.kv_channels": 8, "model.vocab_size": 211, "model.seq_length": 32}


def documents(count, seed, vocab=211):
    """Random documents of uneven lengths; a skewed distribution, so that there is something to learn."""
    draw = random.Random(seed)
    return [[min(int(draw.expovariate(0.02)), vocab - 1) for _ in range(draw.randint(5, 90))] for _ in range(count)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return {"dataset.data_path": training_runs.write_indexed(folder / "train", documents(60, 1)),
            "dataset.valid_data_path": training_runs.write_indexed(folder / "valid", documents(12, 2)), "dataset.seq_length": 24}


def assert_same_checkpoint(a, b):
    """Weights, main parameters, moments and counters of two iter folders."""
    want, got = torch_dist.tensors(a), torch_dist.tensors(b)
    assert got.keys() == want.keys()
    for key, value in want.items():
        closeness.assert_same_bits(key, got[key], value)
    for name in ("optimizer", "opt_param_scheduler", "iteration", "num_floating_point_operations_so_far"):
        assert repr(torch_dist.common(a).get(name)) == repr(torch_dist.common(b).get(name)), name
    assert repr(torch.load(a / "train_state.pt")) == repr(torch.load(b / "train_state.pt"))


def starts(full=conftest.ALL, seed=conftest.SEED):
    """(precision, start): both precisions for the first four families; for the others, by default, the seed draws one."""
    for number, start in enumerate(["random", *toys.FAMILIES, "deepseek_v3-mtp2"]):
        both = full or start in ("random", "llama", "mistral", "qwen2", "qwen3")
        for precision in PRECISIONS if both else [PRECISIONS[(number + seed) % 2]]:
            yield precision, start


@pytest.mark.parametrize("precision, start", starts())
def test_ten_and_ten_are_twenty(precision, start, data, shelf, tmp_path, proves):
    blocks = 0 if start == "random" else toys.BY_NAME[start].mtp
    if start == "random":
        model = RANDOM_MODEL
    else:
        proves(toys.BY_NAME[start].family, "resume")
        model = {"checkpoint.pretrained_checkpoint": shelf.path(toys.BY_NAME[start], torch.bfloat16)}
    values = {**data, **model, "mixed_precision": precision, "train.train_iters": STEPS, "train.micro_batch_size": 2, "train.global_batch_size": 4,
              "validation.eval_interval": 4, "validation.eval_iters": 2, "scheduler.lr_decay_style": "cosine", "scheduler.lr_decay_iters": STEPS,
              "scheduler.lr_warmup_iters": 12, "optimizer.lr": 5e-3, "optimizer.min_lr": 5e-4, "optimizer.adam_eps": 1e-8}
    straight = training_runs.train(tmp_path / "a", {**values, "checkpoint.save": tmp_path / "straight"})
    assert straight["iteration"] == STEPS and straight["end"] == "finished"

    parts = {**values, "checkpoint.save": tmp_path / "parts", "checkpoint.load": tmp_path / "parts", "train.exit_interval": STOP}
    first = training_runs.train(tmp_path / "b", parts)
    assert first["iteration"] == STOP and first["end"] == "exit_interval"
    half = training_runs.records(tmp_path / "parts" / "metrics.jsonl")
    second = training_runs.train(tmp_path / "c", parts)
    assert second["first_iteration"] == STOP and second["iteration"] == STEPS

    want = training_runs.records(tmp_path / "straight" / "metrics.jsonl")
    got = training_runs.records(tmp_path / "parts" / "metrics.jsonl")
    assert [r["iteration"] for r in want if r["kind"] == "train"] == list(range(1, STEPS + 1))
    assert [r["iteration"] for r in want if r["kind"] == "validation"] == [0, 4, 8, 12, 16, 20]
    assert half == [r for r in want if r["iteration"] <= STOP]
    assert got == want
    ledgers = [(tmp_path / name / "ledger.jsonl").read_text().splitlines() for name in ("straight", "parts")]
    assert ledgers[0] == ledgers[1][1:] and len(ledgers[1]) == 2, "one more save, the same data"
    losses = [r["lm loss"] for r in want if r["kind"] == "validation"]
    assert losses[-1] < losses[0], "nothing was learned, so nothing was tested"
    for m in range(1, blocks + 1):   # the default objective counts the blocks' losses; random tokens, so over some iterations
        losses = [r[f"mtp_{m} loss"] for r in want if r["kind"] == "train"]
        assert sum(losses[-4:]) < sum(losses[:4]), "the blocks learned nothing"
    assert_same_checkpoint(tmp_path / "straight" / f"iter_{STEPS:07d}", tmp_path / "parts" / f"iter_{STEPS:07d}")


EXTRA = {"load_balancing_loss", "z_loss", "mtp_1 loss"}


@pytest.mark.parametrize("name, keys", [("deepseek_v3-mtp", EXTRA), ("mixtral", EXTRA - {"mtp_1 loss"}), ("llama", set())])
def test_losses_beside_the_next_tokens_are_recorded_and_resume(name, keys, data, shelf, tmp_path):
    values = {**data, "checkpoint.pretrained_checkpoint": shelf.path(toys.BY_NAME[name], torch.bfloat16), "train.train_iters": 6,
              "train.micro_batch_size": 2, "train.global_batch_size": 4, "model.moe_aux_loss_coeff": 0.02, "model.moe_z_loss_coeff": 0.001,
              "model.mtp_loss_scaling_factor": 0.3, "optimizer.adam_eps": 1e-8}
    training_runs.train(tmp_path / "a", {**values, "checkpoint.save": tmp_path / "straight"})
    parts = {**values, "checkpoint.save": tmp_path / "parts", "checkpoint.load": tmp_path / "parts", "train.exit_interval": 3}
    for part in "bc":
        training_runs.train(tmp_path / part, parts)
    want = training_runs.records(tmp_path / "straight" / "metrics.jsonl")
    assert len(want) == 6 and training_runs.records(tmp_path / "parts" / "metrics.jsonl") == want
    for record in want:
        assert record.keys() & EXTRA == keys
        assert all(0 < record[key] < 100 for key in keys)
    assert_same_checkpoint(tmp_path / "straight" / "iter_0000006", tmp_path / "parts" / "iter_0000006")


LESS_MEMORY = {
    "full": {"model.recompute_granularity": "full", "model.recompute_method": "uniform", "model.recompute_num_layers": 1},
    "parts": {"model.recompute_granularity": "selective", "model.recompute_modules": ["core_attn", "moe_act", "layernorm", "mla_up_proj", "mlp"],
              "model.fine_grained_activation_offloading": True, "model.offload_modules": ["core_attn", "expert_fc1"],
              "model.min_offloaded_tensor_size": 1}}


@pytest.mark.parametrize("mode", LESS_MEMORY)
def test_dropout_and_recompute_change_nothing_in_two_parts(mode, data, shelf, tmp_path):
    """Recompute and offload leave the run as it is; stopped and resumed with dropout it is the same run. It drops: the losses move."""
    values = {**data, "checkpoint.pretrained_checkpoint": shelf.path(toys.BY_NAME["deepseek_v3"], torch.bfloat16), "train.train_iters": 4,
              "train.micro_batch_size": 2, "train.global_batch_size": 4, "model.hidden_dropout": 0.1, "model.attention_dropout": 0.1,
              "validation.eval_interval": 2, "validation.eval_iters": 1, "rng.seed": 7}
    training_runs.train(tmp_path / "a", {**values, "checkpoint.save": tmp_path / "straight"})
    parts = {**values, **LESS_MEMORY[mode], "checkpoint.save": tmp_path / "parts", "checkpoint.load": tmp_path / "parts", "train.exit_interval": 2}
    for part in "bc":
        training_runs.train(tmp_path / part, parts)
    want = training_runs.records(tmp_path / "straight" / "metrics.jsonl")
    assert training_runs.records(tmp_path / "parts" / "metrics.jsonl") == want
    assert_same_checkpoint(tmp_path / "straight" / "iter_0000004", tmp_path / "parts" / "iter_0000004")
    plain = {**values, "model.hidden_dropout": 0, "model.attention_dropout": 0, "train.train_iters": 1}
    training_runs.train(tmp_path / "d", {**plain, "checkpoint.save": tmp_path / "plain"})
    first, other = (training_runs.records(tmp_path / name / "metrics.jsonl") for name in ("straight", "plain"))
    assert first[0] == other[0] and first[1] != other[1], "an evaluation drops nothing, an iteration does"


def test_more_records_than_the_checkpoint_are_dropped(data, tmp_path):
    """A run killed after its last save: what it wrote since then is written once more, not twice."""
    values = {**data, **RANDOM_MODEL, "train.train_iters": 8, "checkpoint.save": tmp_path / "run", "checkpoint.load": tmp_path / "run"}
    training_runs.train(tmp_path / "a", {**values, "train.exit_interval": 4})
    path = tmp_path / "run" / "metrics.jsonl"
    lines = path.read_text().splitlines()
    later = lines[-1].replace('"iteration":4', '"iteration":5')
    path.write_text("\n".join([*lines, later, lines[0][:17]]))
    training_runs.train(tmp_path / "b", values)
    assert [r["iteration"] for r in training_runs.records(path)] == list(range(1, 9))


@pytest.mark.parametrize("sent, launcher, code", [
    (signal.SIGTERM, {}, 75), (signal.SIGTERM, {"TORCHELASTIC_RUN_ID": "none"}, 0), (signal.SIGINT, {}, 75), (signal.SIGUSR1, {}, 75),
    (signal.SIGUSR2, {}, 75)], ids=["alone", "torchrun", "int", "usr1", "exit_signal"])
def test_a_signal_saves_and_the_run_goes_on(sent, launcher, code, data, tmp_path):
    """A signal ends a run after its step, with a checkpoint; torchrun would take 75 for a crash and start the ranks again."""
    exit_signal = {"train.exit_signal_handler": True, "train.exit_signal": 12} if sent == signal.SIGUSR2 else {}
    values = {**data, **RANDOM_MODEL, "train.train_iters": 100000, "checkpoint.save": tmp_path / "run", "checkpoint.load": tmp_path / "run",
              **exit_signal}
    (tmp_path / "a").mkdir()
    running = programs.start("rialto-train", "train", training_runs.write_recipe(tmp_path / "a" / "recipe.yaml", values), env=launcher)
    metrics = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 60
    while not (metrics.exists() and metrics.read_text().count("\n") >= 3) and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(sent)
    output, _ = running.communicate(timeout=60)
    assert running.returncode == code, output
    assert "[exiting program on request] datetime: " in output
    stopped = training_runs.records(metrics)[-1]["iteration"]
    assert (tmp_path / "run" / "latest_checkpointed_iteration.txt").read_text().strip() == str(stopped)

    end = {"train.exit_interval": stopped + 3}
    training_runs.train(tmp_path / "b", {**values, **end})
    training_runs.train(tmp_path / "c", {**values, **end, "checkpoint.save": tmp_path / "straight", "checkpoint.load": tmp_path / "straight"})
    assert training_runs.records(metrics) == training_runs.records(tmp_path / "straight" / "metrics.jsonl")
    assert_same_checkpoint(tmp_path / "straight" / f"iter_{stopped + 3:07d}", tmp_path / "run" / f"iter_{stopped + 3:07d}")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_recorded_configuration_makes_the_same_run(precision, data, tmp_path):
    """run_config.yaml of a checkpoint, with this machine's paths given again, is a recipe for that run."""
    values = {**data, **RANDOM_MODEL, "mixed_precision": precision, "train.train_iters": 6, "train.micro_batch_size": 2, "train.global_batch_size": 4,
              "validation.eval_interval": 3, "validation.eval_iters": 2, "scheduler.lr_decay_style": "cosine", "scheduler.lr_decay_iters": 8,
              "scheduler.lr_warmup_iters": 2, "optimizer.lr": 5e-3, "rng.seed": 7, "dataset.random_seed": 5,
              "model.hidden_dropout": 0.1, "model.attention_dropout": 0.1, "model.recompute_granularity": "selective",
              "model.recompute_modules": ["mlp", "layernorm"]}
    training_runs.train(tmp_path / "a", {**values, "checkpoint.save": tmp_path / "first"})
    recorded = tmp_path / "first" / "iter_0000006" / "run_config.yaml"
    paths = [f"dataset.data_path=[{data['dataset.data_path']}]", f"dataset.valid_data_path=[{data['dataset.valid_data_path']}]"]
    programs.rialto("train", recorded, *paths, f"checkpoint.save={tmp_path / 'second'}")
    assert_same_checkpoint(tmp_path / "first" / "iter_0000006", tmp_path / "second" / "iter_0000006")
    assert training_runs.records(tmp_path / "first" / "metrics.jsonl") == training_runs.records(tmp_path / "second" / "metrics.jsonl")
