"""Fine-tuning on rows: the loss of a batch is transformers' under the rows' own mask, and a resumed run is the same run."""
import json
import random

import numpy
import pytest
import torch

import chats
import closeness
import torch_dist
import training_runs
from programs import refused
from test_sft_rows import PLAIN

ROWS, LENGTH, SEED = 11, 48, 7


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny Llama with a tokenizer and a template."""
    from transformers import LlamaConfig, LlamaForCausalLM
    folder = chats.write_folder(tmp_path_factory.mktemp("sft") / "llama", PLAIN, chats.train_tokenizer())
    torch.manual_seed(1)
    LlamaForCausalLM(LlamaConfig(vocab_size=402, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                                 max_position_embeddings=128, tie_word_embeddings=False, bos_token_id=0, eos_token_id=1)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    draw = random.Random(1)
    folder = tmp_path_factory.mktemp("rows")
    made = [{"messages": [{"role": "user", "content": f"{draw.randrange(99)} and"}, {"role": "assistant", "content": "hello " * draw.randint(1, 3)}],
             "weight": draw.choice([1, 0.5])} for _ in range(ROWS - 1)] + [{"prompt": "hello", "completion": " world"}]
    for name, part in (("training", made), ("validation", made[:3])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    return folder, made


def values(model, rows, **more):
    return {"mixed_precision": "fp32", "checkpoint.pretrained_checkpoint": model, "dataset.dataset_root": rows[0], "dataset.seq_length": LENGTH, "dataset.random_seed": SEED,
            "train.micro_batch_size": 4, "train.global_batch_size": 4, "validation.eval_interval": 100, "validation.eval_iters": 1, **more}


def transformers_loss(model, samples):
    """Sum of weight * cross-entropy over the sum of weights."""
    from transformers import AutoModelForCausalLM
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    total = weight = 0.0
    with torch.no_grad():
        for sample in samples:
            ids, weights = torch.tensor([sample["ids"]]), torch.tensor(sample["weights"][1:])
            losses = torch.nn.functional.cross_entropy(loaded(ids).logits[0, :-1], ids[0, 1:], reduction="none")
            total += (losses * weights).sum().item()
            weight += weights.sum().item()
    return total / weight


def test_the_loss_of_a_batch_is_transformers(model, rows, tmp_path):
    """Rows of the first and of a later epoch, in the order that the seed draws; evaluation in the file's own."""
    training_runs.train(tmp_path, values(model, rows, **{"train.train_iters": 4, "optimizer.lr": 1e-20, "checkpoint.save": tmp_path / "run"}))
    samples = chats.ask(*({"do": "row", "path": str(model), "row": row} for row in rows[1]))
    order = []
    for epoch in range(2):
        drawn = numpy.arange(ROWS)
        numpy.random.RandomState(SEED + epoch).shuffle(drawn)
        order += drawn.tolist()
    records = training_runs.records(tmp_path / "run" / "metrics.jsonl")
    batches = {"train": [order[4 * step:4 * step + 4] for step in range(4)], "validation": [[0, 1, 2, 0]]}
    for kind, numbers in batches.items():
        losses = [record["lm loss"] for record in records if record["kind"] == kind][:len(numbers)]
        want = [transformers_loss(model, [samples[i] for i in batch]) for batch in numbers]
        assert losses == pytest.approx(want, rel=1e-5), kind


def test_a_resumed_run_is_the_same_run(model, rows, tmp_path):
    common = {"train.train_iters": 6, "dataset.path_to_cache": tmp_path / "cache"}
    training_runs.train(tmp_path / "a", values(model, rows, **common, **{"checkpoint.save": tmp_path / "a"}))
    training_runs.train(tmp_path / "b1", values(model, rows, **common, **{"checkpoint.save": tmp_path / "b", "train.exit_interval": 3}))
    training_runs.train(tmp_path / "b2", values(model, rows, **common, **{"checkpoint.save": tmp_path / "b", "checkpoint.load": tmp_path / "b"}))
    want, got = (torch_dist.tensors(tmp_path / run / "iter_0000006") for run in "ab")
    assert want.keys() == got.keys()
    for key, value in want.items():
        closeness.assert_same_bits(key, got[key], value)
    ledger = [json.loads(line) for line in (tmp_path / "b" / "ledger.jsonl").read_text().splitlines()]
    assert ledger[-1]["samples"] == 24 and ledger[-1]["sources"][0]["source"].endswith("training.jsonl")


def test_bad_rows_end_the_run_before_it_starts(model, rows, tmp_path):
    (tmp_path / "rows").mkdir()
    lines = (rows[0] / "training.jsonl").read_text().splitlines()
    lines[4] = '{"messages": [{"role": "user", "content": "only a question"}]}'
    (tmp_path / "rows" / "training.jsonl").write_text("\n".join(lines))
    short = values(model, rows, **{"train.train_iters": 2, "validation.eval_interval": None, "checkpoint.save": tmp_path / "run"})
    refused(training_runs.train(tmp_path / "a", {**short, "dataset.dataset_root": tmp_path / "rows"}, exit_code=3), "training.jsonl:5", "nothing in it is trained")
    refused(training_runs.train(tmp_path / "b", {**short, "dataset.seq_length": 12}, exit_code=3), "training.jsonl:", "want at most 13")
    refused(training_runs.train(tmp_path / "c", {**short, "dataset.dataset_root": tmp_path}, exit_code=2), "dataset_root", "training.jsonl")
    assert not (tmp_path / "run").exists()
