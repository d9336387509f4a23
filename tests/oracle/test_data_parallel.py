"""Data parallel: two and four ranks are one process, sharded or not, overlapped or not, interrupted or not."""
import json
import os
import signal
import time
from pathlib import Path

import pytest

import closeness
import programs
import torch_dist
import toys
import training_runs
from test_resume import RANDOM_MODEL, documents

STEPS = 3
BATCH = {"train.train_iters": STEPS, "train.micro_batch_size": 1, "train.global_batch_size": 4, "optimizer.adam_eps": 1e-3, "mixed_precision": "fp32"}
PLAIN = {"optimizer.use_distributed_optimizer": False}
OVERLAP = {"ddp.overlap_grad_reduce": True, "ddp.bucket_size": 3000}
LATE = {**OVERLAP, "ddp.overlap_param_gather": True}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return {"dataset.data_path": training_runs.write_indexed(folder / "train", documents(60, 1)),
            "dataset.valid_data_path": training_runs.write_indexed(folder / "valid", documents(12, 2)), "dataset.seq_length": 24}


def launch(folder, ranks, values, **options):
    """`rialto launch` of a recipe; the JSON report of rank 0, or with exit_code the finished process."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = training_runs.write_recipe(folder / "recipe.yaml", values)
    done = programs.rialto("launch", "-n", ranks, "train", recipe, "--json", **options)
    return done if "exit_code" in options else json.loads(done.stdout.splitlines()[-1])


def run(folder, ranks, values):
    """Records and checkpoint of a run that saves at its end."""
    values = {**values, "checkpoint.save": folder / "run", "checkpoint.load": folder / "run"}
    report = launch(folder, ranks, values) if ranks > 1 else training_runs.train(folder, values)
    return training_runs.records(folder / "run" / "metrics.jsonl"), folder / "run" / f"iter_{report['iteration']:07d}"


def assert_close_runs(got, want):
    """Losses, norms and every tensor within 1e-5."""
    assert len(got[0]) == len(want[0]) > 0
    for a, b in zip(got[0], want[0]):
        assert a.keys() == b.keys()
        for key, value in b.items():
            same = a[key] == pytest.approx(value, rel=1e-5, abs=1e-5) if isinstance(value, float) else a[key] == value
            assert same, (key, a, b)
    ours, theirs = torch_dist.tensors(got[1]), torch_dist.tensors(want[1])
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        limit = 1e-5 * max(1.0, value.float().abs().max().item())
        assert (ours[key].float() - value.float()).abs().max().item() <= limit, key


MODELS = {
    "untied": RANDOM_MODEL,
    "tied": {**RANDOM_MODEL, "model.share_embeddings_and_output_weights": True},
    "moe": "mixtral",
    "mtp": "deepseek_v3-mtp",
}


@pytest.mark.parametrize("model", MODELS)
def test_ranks_are_one_process(model, data, shelf, tmp_path):
    values = MODELS[model]
    if isinstance(values, str):
        values = {"checkpoint.pretrained_checkpoint": shelf.path(toys.BY_NAME[values]), "model.moe_aux_loss_coeff": 0.02,
                  "model.moe_z_loss_coeff": 0.001, "model.moe_router_bias_update_rate": 0.01, "model.mtp_loss_scaling_factor": 0.3}
    values = {**data, **BATCH, **values, "validation.eval_interval": 2, "validation.eval_iters": 2}
    one = run(tmp_path / "one", 1, values)
    two = run(tmp_path / "two", 2, {**values, "ddp.bucket_size": 3000})
    assert_close_runs(two, one)
    assert_same_numbers(run(tmp_path / "plain", 2, {**values, **OVERLAP, **PLAIN}), two)
    assert_close_runs(run(tmp_path / "four", 4, {**values, "ddp.bucket_size": 3000}), one)


def assert_same_numbers(got, want):
    """Bit for bit."""
    assert got[0] == want[0]
    ours, theirs = torch_dist.tensors(got[1]), torch_dist.tensors(want[1])
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        closeness.assert_same_bits(key, ours[key], value)


@pytest.mark.parametrize("precision", ["fp32", "bf16_mixed"])
def test_overlap_and_sharding_change_no_bit(precision, data, tmp_path):
    values = {**data, **BATCH, **RANDOM_MODEL, "mixed_precision": precision, "ddp.bucket_size": 3000, "ddp.check_for_nan_in_grad": True,
              "logger.log_params_norm": True, "optimizer.log_num_zeros_in_grad": True}
    want = run(tmp_path / "plain", 4, {**values, **PLAIN})
    for name, options in {"sharded": {}, "overlapped": OVERLAP, "gathered late": LATE, "averaged": {"ddp.average_in_collective": True}}.items():
        assert_same_numbers(run(tmp_path / name, 4, {**values, **options}), want)


def resumed(folder, values, *parts):
    """Records and checkpoint of a run that is stopped after two iterations and goes on: (ranks, more values) of each part."""
    for number, (ranks, more) in enumerate(parts):
        own = {**values, **more, "checkpoint.save": folder, "checkpoint.load": folder, "train.exit_interval": 2}
        (launch if ranks > 1 else lambda f, _, v: training_runs.train(f, v))(folder.parent / f"{folder.name}-{number}", ranks, own)
    return training_runs.records(folder / "metrics.jsonl"), folder / "iter_0000004"


def test_a_run_goes_on_with_any_number_of_ranks(data, tmp_path):
    values = {**data, **BATCH, **RANDOM_MODEL, **OVERLAP, "train.train_iters": 4, "checkpoint.save": tmp_path / "run", "checkpoint.load": tmp_path / "run"}
    straight = run(tmp_path / "straight", 2, values)
    for first, second in ((2, 2), (2, 4), (4, 1), (1, 2)):
        got = resumed(tmp_path / f"{first}to{second}", values, (first, {}), (second, {}))
        (assert_same_numbers if first == second == 2 else assert_close_runs)(got, straight)


def wait_for(path, lines, running):
    deadline = time.monotonic() + 60
    while not (path.exists() and path.read_text().count("\n") >= lines) and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)


def ranks_of(launcher):
    """Process ids of the ranks, by rank."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"\nPPid:\t{launcher}\n" in (entry / "status").read_text():
                environment = (entry / "environ").read_bytes().split(b"\0")
                found[int(next(e for e in environment if e.startswith(b"RANK="))[5:])] = int(entry.name)
        except (OSError, StopIteration):
            pass
    return found


def endless(data, tmp_path, **more):
    return training_runs.write_recipe(tmp_path / "recipe.yaml", {
        **data, **BATCH, **RANDOM_MODEL, **OVERLAP, "train.train_iters": 1000000, "checkpoint.save": tmp_path / "run", "checkpoint.load": tmp_path / "run", **more})


@pytest.mark.parametrize("lost", [0, 1])
def test_a_lost_rank_ends_the_others(lost, data, tmp_path):
    running = programs.start("rialto", "launch", "-n", 2, "train", endless(data, tmp_path))
    wait_for(tmp_path / "run" / "metrics.jsonl", 3, running)
    ranks = ranks_of(running.pid)
    assert set(ranks) == {0, 1}
    os.kill(ranks[lost], signal.SIGKILL)
    output, _ = running.communicate(timeout=15)
    assert running.returncode == 70, output
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert errors == [f"error: rank {lost} of 2: ended by signal 9"], output
    assert not any(Path(f"/proc/{pid}").exists() for pid in ranks.values())


def test_a_killed_launcher_leaves_no_rank(data, tmp_path):
    running = programs.start("rialto", "launch", "-n", 2, "train", endless(data, tmp_path))
    wait_for(tmp_path / "run" / "metrics.jsonl", 1, running)
    ranks = ranks_of(running.pid)
    running.kill()
    running.communicate(timeout=15)
    deadline = time.monotonic() + 15
    while any(Path(f"/proc/{pid}").exists() for pid in ranks.values()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in ranks.values())


def test_a_signal_to_the_launcher_or_to_one_rank_stops_all(data, tmp_path):
    for to_rank in (None, 1):
        running = programs.start("rialto", "launch", "-n", 2, "train", endless(data, tmp_path))
        metrics = tmp_path / "run" / "metrics.jsonl"
        before = metrics.read_text().count("\n") if metrics.exists() else 0
        wait_for(metrics, before + 3, running)
        os.kill(running.pid if to_rank is None else ranks_of(running.pid)[to_rank], signal.SIGTERM)
        output, _ = running.communicate(timeout=30)
        assert running.returncode == 75, output
        saved = (tmp_path / "run" / "latest_checkpointed_iteration.txt").read_text().strip()
        assert training_runs.records(metrics)[-1]["iteration"] == int(saved)


def test_refused_before_anything_starts(data, tmp_path):
    values = {**data, **BATCH, **RANDOM_MODEL, "checkpoint.save": tmp_path / "run"}
    programs.refused(launch(tmp_path / "a", 3, values, exit_code=2), "R003", "data-parallel size")
    programs.refused(launch(tmp_path / "b", 0, values, exit_code=2), "number of ranks")
    programs.refused(programs.rialto("launch", "-n", 2, "convert", "x", exit_code=2), "starts `train`")
    assert not (tmp_path / "run").exists()


def test_one_failing_rank_gives_its_message_and_code(data, tmp_path):
    """A token that the model lacks lies in one rank's share: exit 3 and one line, whoever notices the loss of it first."""
    bad = training_runs.repeated_row(tmp_path / "bad", [5, 9, 250, 7, 5], 40)
    done = launch(tmp_path, 2, {**data, **BATCH, **RANDOM_MODEL, "dataset.data_path": bad, "dataset.valid_data_path": bad, "dataset.seq_length": 4}, exit_code=3)
    programs.refused(done, "a token that the model does not have", "of 2")


def by_hand(recipes, port, **more):
    """Ranks started without a launcher, each with its own recipe."""
    environment = {"WORLD_SIZE": str(len(recipes)), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), **more}
    return [programs.start("rialto-train", "train", recipe, env={**environment, "RANK": str(rank)}) for rank, recipe in enumerate(recipes)]


def free_port():
    import socket
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def test_ranks_with_different_configurations_are_refused(data, tmp_path):
    recipes = [training_runs.write_recipe(tmp_path / f"{rank}.yaml", {**data, **BATCH, **RANDOM_MODEL, "optimizer.lr": 1e-3 * (1 + rank)}) for rank in range(2)]
    for running in by_hand(recipes, free_port()):
        output, _ = running.communicate(timeout=60)
        assert running.returncode == 2, output
        assert "[rank 1] its configuration is not that of rank 0" in output


def test_a_port_in_use_is_named(data, tmp_path):
    import socket
    recipe = training_runs.write_recipe(tmp_path / "r.yaml", {**data, **BATCH, **RANDOM_MODEL})
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        running, other = by_hand([recipe, recipe], taken.getsockname()[1])
        output, _ = running.communicate(timeout=60)
        other.kill()
        other.communicate()
    assert running.returncode == 70, output
    assert "rank 0 of 2 on " in output and f"meeting the other ranks at 127.0.0.1:{taken_port(output)}" in output


def taken_port(output):
    return output.split("127.0.0.1:")[1].split()[0]


def real_text(prefix):
    """The paragraphs of this repository's documentation, a token a byte."""
    pages = sorted(Path(__file__).parents[2].glob("docs/**/*.md"))
    return training_runs.write_indexed(prefix, [list(part.encode()) for page in pages for part in page.read_text().split("\n\n") if part.strip()])


def test_two_hundred_steps_interrupted_twice_are_the_same_run(tmp_path):
    """Real text, two ranks, recompute, ZeRO-1, bf16, dropout; stopped by SIGTERM two times and started again."""
    values = {**RANDOM_MODEL, **BATCH, **LATE, "model.vocab_size": 256, "dataset.data_path": real_text(tmp_path / "docs"), "dataset.seq_length": 32,
              "mixed_precision": "bf16_mixed", "train.train_iters": 200, "optimizer.lr": 5e-3, "optimizer.adam_eps": 1e-8,
              "model.recompute_granularity": "full", "model.recompute_method": "uniform", "model.recompute_num_layers": 1, "model.hidden_dropout": 0.1}
    want = run(tmp_path / "straight", 2, values)
    folder = tmp_path / "parts"
    parts = {**values, "checkpoint.save": folder, "checkpoint.load": folder}
    for stop_after in (50, 120):
        recipe = training_runs.write_recipe(tmp_path / "recipe.yaml", parts)
        running = programs.start("rialto", "launch", "-n", 2, "train", recipe)
        wait_for(folder / "metrics.jsonl", stop_after, running)
        running.send_signal(signal.SIGTERM)
        output, _ = running.communicate(timeout=60)
        assert running.returncode == 75, output
        assert stop_after <= training_runs.records(folder / "metrics.jsonl")[-1]["iteration"] < 200
    report = launch(tmp_path / "last", 2, parts)
    assert report["first_iteration"] >= 120 and report["iteration"] == 200
    assert_same_numbers((training_runs.records(folder / "metrics.jsonl"), folder / "iter_0000200"), want)
    losses = [record["lm loss"] for record in want[0]]
    assert sum(losses[-20:]) < 0.8 * sum(losses[:20])
