"""Made-up rows teach a small model in seconds what it can only know by looking back."""
import json
import math

import training_runs
from programs import refused, rialto, rialto_json

VOCAB = 20


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rows_are_what_they_say(tmp_path):
    rialto("data", "mock", "copy", "--rows", 40, "--length", 6, "--vocab-size", VOCAB, "--output", tmp_path / "copy.jsonl")
    rialto("data", "mock", "needle", "--rows", 40, "--length", 3, "--vocab-size", VOCAB, "--output", tmp_path / "needle.jsonl")
    for row in rows_of(tmp_path / "copy.jsonl"):
        ids = row["input_ids"]
        assert ids[:6] == ids[7:13] and ids[6] == 1 and ids[13] == 0 and row["loss_mask"] == [0] * 7 + [1] * 7
    for row in rows_of(tmp_path / "needle.jsonl"):
        ids = row["input_ids"]
        pairs = dict(zip(ids[:6:2], ids[1:6:2]))
        assert len(pairs) == 3 and ids[6] == 1 and pairs[ids[7]] == ids[8] and row["loss_mask"] == [0] * 8 + [1, 1]
    refused(rialto("data", "mock", "copy", "--output", tmp_path / "copy.jsonl", exit_code=2), "already exists")
    refused(rialto("data", "mock", "needle", "--length", 40, "--output", tmp_path / "x.jsonl", exit_code=2), "data mock")
    # documents are the rows
    report = rialto_json("data", "mock", "copy", "--rows", 40, "--length", 6, "--vocab-size", VOCAB, "--output-prefix", tmp_path / "copy")
    assert report["tokens"] == 40 * 14
    tokens = (tmp_path / "copy.bin").read_bytes()
    assert [int.from_bytes(tokens[2 * i:2 * i + 2], "little") for i in range(40 * 14)] == [i for row in rows_of(tmp_path / "copy.jsonl") for i in row["input_ids"]]


def test_a_small_model_learns_to_copy(tmp_path):
    """From far above to far below the loss of a model that knows which symbols come, and not where it must look."""
    rialto("data", "mock", "copy", "--rows", 20_000, "--length", 6, "--vocab-size", VOCAB, "--output", tmp_path / "rows.jsonl")
    rialto("data", "pack", tmp_path / "rows.jsonl", "--size", 256, "--output", tmp_path / "rows.parquet")
    values = {"mixed_precision": "fp32", "model.family": "llama", "model.num_layers": 2, "model.hidden_size": 64, "model.ffn_hidden_size": 128, "model.num_attention_heads": 4,
              "model.num_query_groups": 4, "model.kv_channels": 16, "model.vocab_size": VOCAB, "model.seq_length": 64,
              "dataset.packed_sequence_specs.packed_sequence_size": 256, "dataset.packed_sequence_specs.packed_train_data_path": tmp_path / "rows.parquet",
              "train.train_iters": 300, "train.global_batch_size": 4, "train.micro_batch_size": 4, "optimizer.lr": 3e-3, "optimizer.adam_eps": 1e-8, "optimizer.weight_decay": 0.0,
              "scheduler.lr_warmup_iters": 20, "model.calculate_per_token_loss": True, "validation.eval_interval": None, "checkpoint.save": tmp_path / "run"}
    training_runs.train(tmp_path, values)
    losses = [record["lm loss"] for record in training_runs.records(tmp_path / "run" / "metrics.jsonl") if record["kind"] == "train"]
    blind = 6 / 7 * math.log(VOCAB - 2)     # the end behind the answer is known
    assert losses[0] > blind and sum(losses[-20:]) / 20 < 0.3 * blind, losses[::20]
