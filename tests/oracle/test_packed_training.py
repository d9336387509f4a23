"""Training on several rows in one sample: the same rows give the same losses and weights however they are packed, and
samples of Bridge's files are what Bridge's own reader makes of them."""
import json
import random

import numpy
import pyarrow.parquet
import pytest
import torch

import chats
import closeness
import torch_dist
import training_runs
from programs import refused, rialto, rialto_json
from test_data_parallel import run
from test_packing import write_rows
from test_sft_rows import PLAIN

ROWS, SIZE, STEPS = 12, 48, 3
SPECS = "dataset.packed_sequence_specs."


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from transformers import LlamaConfig, LlamaForCausalLM
    folder = chats.write_folder(tmp_path_factory.mktemp("packed") / "llama", PLAIN, chats.train_tokenizer())
    torch.manual_seed(2)
    LlamaForCausalLM(LlamaConfig(vocab_size=402, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                                 max_position_embeddings=64, tie_word_embeddings=False, bos_token_id=0, eos_token_id=1)).save_pretrained(folder)
    return folder


def write_part(path, count, seed, weights=(1,)):
    draw = random.Random(seed)
    path.parent.mkdir(exist_ok=True)
    return write_rows(path, [{"messages": [{"role": "user", "content": f"{draw.randrange(99)} and"}, {"role": "assistant", "content": "hello " * draw.randint(1, 3)}],
                              "weight": draw.choice(weights)} for _ in range(count)])


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    write_part(folder / "plain" / "training.jsonl", ROWS, 1)
    write_part(folder / "plain" / "validation.jsonl", 5, 2)
    write_part(folder / "weighted" / "training.jsonl", ROWS, 1, (1, 0.5, 0.25))
    return folder


@pytest.fixture(scope="module")
def packed(rows, model):
    """The rows of "plain", packed; how many bins there are."""
    bins = {}
    for part in ("training", "validation"):
        report = rialto_json("data", "pack", rows / "plain" / f"{part}.jsonl", "--tokenizer", model, "--size", SIZE, "--output", rows / f"{part}.idx.parquet")
        bins[part] = report["bins"]
    assert 1 < bins["training"] <= ROWS // 2
    return {"training": rows / "training.idx.parquet", "validation": rows / "validation.idx.parquet", "bins": bins}


def values(model, **more):
    """Plain gradient descent on the whole set at each step, every token with the same weight."""
    return {"mixed_precision": "fp32", "checkpoint.pretrained_checkpoint": model, "dataset.seq_length": SIZE, "model.calculate_per_token_loss": True,
            "optimizer.optimizer": "sgd", "optimizer.lr": 0.5, "optimizer.sgd_momentum": 0, "optimizer.weight_decay": 0, "optimizer.clip_grad": 0, "train.train_iters": STEPS,
            "validation.eval_interval": None, **more}


def unpacked(rows, kind, **more):
    return {"dataset.dataset_root": rows / kind, "train.global_batch_size": ROWS, "train.micro_batch_size": 4, **more}


def trained(folder, values):
    """Losses, and the weights at the end."""
    training_runs.train(folder, {**values, "checkpoint.save": folder / "run"})
    records = training_runs.records(folder / "run" / "metrics.jsonl")
    return ([r["lm loss"] for r in records if r["kind"] == "train"], [r["lm loss"] for r in records if r["kind"] == "validation"],
            torch_dist.tensors(folder / "run" / f"iter_{STEPS:07d}"))


def assert_same_training(got, want, places=None):
    assert got[0] == pytest.approx(want[0], rel=1e-5)
    assert len(want[0]) == STEPS and want[0][0] - want[0][-1] > 0.05, "something is learned"
    for key, value in want[2].items():
        if value.is_floating_point():
            closeness.assert_close(key, got[2][key].float(), value.float())


def test_packed_rows_train_as_rows(model, rows, packed, tmp_path):
    """A packed file, rows packed as they are read, and the rows of a micro-batch in one sequence: one gradient."""
    want = trained(tmp_path / "rows", values(model, **unpacked(rows, "plain")))
    bins = packed["bins"]["training"]
    ways = {
        "file": {f"{SPECS}packed_train_data_path": packed["training"], f"{SPECS}packed_sequence_size": SIZE, "train.global_batch_size": bins, "train.micro_batch_size": 1},
        "several bins in a micro-batch": {f"{SPECS}packed_train_data_path": packed["training"], f"{SPECS}packed_sequence_size": SIZE + 6, "train.global_batch_size": bins,
                                          "train.micro_batch_size": bins},
        "as they are read": {"dataset.dataset_root": rows / "plain", f"{SPECS}packed_sequence_size": SIZE, "dataset.packing_window": 0, "train.global_batch_size": bins, "train.micro_batch_size": 1},
        "in the batch": unpacked(rows, "plain", **{"dataset.pack_sequences_in_batch": True}),
    }
    for name, way in ways.items():
        assert_same_training(trained(tmp_path / name.replace(" ", "-"), values(model, **way)), want)


def test_weights_of_rows_stay_with_them(model, rows, packed, tmp_path):
    want = trained(tmp_path / "rows", values(model, **unpacked(rows, "weighted")))
    plain = trained(tmp_path / "plain", values(model, **unpacked(rows, "plain")))
    assert abs(want[0][0] - plain[0][0]) > 1e-4, "the weights matter"
    bins = packed["bins"]["training"]
    for name, way in {"read": {"dataset.dataset_root": rows / "weighted", f"{SPECS}packed_sequence_size": SIZE, "dataset.packing_window": 0, f"{SPECS}pad_seq_to_mult": 2,
                               "train.global_batch_size": bins, "train.micro_batch_size": 1},
                      "batch": unpacked(rows, "weighted", **{"dataset.pack_sequences_in_batch": True})}.items():
        assert_same_training(trained(tmp_path / name, values(model, **way)), want)


def bridge_samples(path):
    """What Megatron Bridge's packed dataset gives of a row: per segment all tokens but the last, all but the first as
    labels, positions from 0, and the stored mask, which is moved already, without its last entry."""
    for row in pyarrow.parquet.read_table(path).to_pylist():
        bounds = row["seq_start_id"] + [len(row["input_ids"])]
        yield [{"tokens": row["input_ids"][a:b - 1], "labels": row["input_ids"][a + 1:b], "mask": row["loss_mask"][a:b - 1], "positions": list(range(b - 1 - a))}
               for a, b in zip(bounds, bounds[1:])]


def transformers_loss(model, samples):
    from transformers import AutoModelForCausalLM
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    total = weight = 0.0
    with torch.no_grad():
        for segment in (segment for sample in samples for segment in sample):
            logits = loaded(torch.tensor([segment["tokens"]]), position_ids=torch.tensor([segment["positions"]])).logits[0]
            losses = torch.nn.functional.cross_entropy(logits, torch.tensor(segment["labels"]), reduction="none")
            mask = torch.tensor(segment["mask"], dtype=torch.float32)
            total += (losses * mask).sum().item()
            weight += mask.sum().item()
    return total / weight


@pytest.mark.parametrize("form", ["parquet", "npy", "folder"])
def test_the_loss_of_a_packed_file_is_transformers(model, packed, tmp_path, form):
    """Bin by bin over two epochs, in the order that the seed draws; evaluation as the file stands."""
    samples = list(bridge_samples(packed["training"]))
    data = packed["training"]
    if form == "npy":
        data = tmp_path / "old.npy"
        numpy.save(data, pyarrow.parquet.read_table(packed["training"]).to_pylist())
    if form == "folder":
        data = tmp_path / "parts"
        data.mkdir()
        table = pyarrow.parquet.read_table(packed["training"])
        pyarrow.parquet.write_table(table.slice(0, 1), data / "shard-0.parquet")
        pyarrow.parquet.write_table(table.slice(1), data / "shard-1.parquet")
    bins = len(samples)
    way = {f"{SPECS}packed_train_data_path": data, f"{SPECS}packed_val_data_path": packed["validation"], f"{SPECS}packed_sequence_size": SIZE,
           "train.global_batch_size": 1, "train.micro_batch_size": 1, "dataset.random_seed": 11, "train.train_iters": 2 * bins, "optimizer.lr": 1e-20,
           "validation.eval_interval": 100, "validation.eval_iters": packed["bins"]["validation"], "checkpoint.save": tmp_path / "run"}
    training_runs.train(tmp_path, values(model, **way))
    records = training_runs.records(tmp_path / "run" / "metrics.jsonl")
    order = []
    for epoch in range(2):
        drawn = numpy.arange(bins)
        numpy.random.RandomState(11 + epoch).shuffle(drawn)
        order += drawn.tolist()
    assert [r["lm loss"] for r in records if r["kind"] == "train"] == pytest.approx([transformers_loss(model, [samples[i]]) for i in order], rel=1e-5)
    want = transformers_loss(model, list(bridge_samples(packed["validation"])))
    assert [r["lm loss"] for r in records if r["kind"] == "validation"][0] == pytest.approx(want, rel=1e-5)


STREAMED = {f"{SPECS}packed_sequence_size": 40, "dataset.packing_window": 5, "dataset.seq_length": 40, "train.global_batch_size": 2, "train.micro_batch_size": 1, "train.train_iters": 8}
AXES = {"data": (2, {}), "context": (2, {"model.context_parallel_size": 2}), "sequence": (2, {"model.tensor_model_parallel_size": 2, "model.sequence_parallel": True}),
        "stages": (2, {"model.pipeline_model_parallel_size": 2})}


@pytest.mark.parametrize("way", ["as they are read", "in the batch"])
def test_every_axis_trains_on_the_same_samples(model, rows, tmp_path, way):
    more = STREAMED if way == "as they are read" else {"dataset.pack_sequences_in_batch": True, "train.global_batch_size": 4, "train.micro_batch_size": 2, "train.train_iters": 4}
    common = values(model, **{"dataset.dataset_root": rows / "weighted", "optimizer.lr": 0.05, **more})
    one = run(tmp_path / "one", 1, common)
    for axis, (ranks, split) in AXES.items():
        got = run(tmp_path / axis, ranks, {**common, **split})
        for a, b in zip(got[0], one[0], strict=True):   # tokens may differ: rows of a batch are padded to what an axis asks for
            assert a["lm loss"] == pytest.approx(b["lm loss"], rel=1e-5), axis
        ours, theirs = torch_dist.tensors(got[1]), torch_dist.tensors(one[1])
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            closeness.assert_close(f"{axis}: {key}", ours[key].float(), value.float())


@pytest.mark.parametrize("threads", [0, 3])
def test_a_resumed_run_is_the_same_run(model, rows, tmp_path, threads):
    """Packed as they are read, over several epochs, with readers or without."""
    common = {**STREAMED, "dataset.dataset_root": rows / "weighted"}
    whole = {**values(model, **common), "checkpoint.save": tmp_path / "a", "dataset.num_workers": 2}
    training_runs.train(tmp_path / "a", whole)
    part = {**values(model, **common), "checkpoint.save": tmp_path / "b", "dataset.num_workers": threads}
    training_runs.train(tmp_path / "b1", {**part, "train.exit_interval": 3})
    training_runs.train(tmp_path / "b2", {**part, "checkpoint.load": tmp_path / "b"})
    want, got = (torch_dist.tensors(tmp_path / folder / "iter_0000008") for folder in "ab")
    assert want.keys() == got.keys()
    for key, value in want.items():
        closeness.assert_same_bits(key, got[key], value)
    ledgers = [json.loads((tmp_path / folder / "ledger.jsonl").read_text().splitlines()[-1]) for folder in "ab"]
    assert ledgers[0]["sources"] == ledgers[1]["sources"] and ledgers[0]["sources"][0]["epochs"] > 2


def test_what_does_not_fit_is_refused(model, rows, packed, tmp_path):
    def refuses(exit_code, *words, **more):
        refused(training_runs.train(tmp_path / "x", values(model, **{"train.global_batch_size": 1, "train.micro_batch_size": 1, **more}), exit_code=exit_code), *words)
    size, file = f"{SPECS}packed_sequence_size", f"{SPECS}packed_train_data_path"
    refuses(3, "training.idx.parquet row", "longer than a sample", **{size: SIZE // 2, file: packed["training"]})
    refuses(2, "packed_sequence_size", "size", **{file: packed["training"]})
    refuses(3, "nowhere.parquet", "does not exist", **{size: SIZE, file: tmp_path / "nowhere.parquet"})
    refuses(2, "dataset.data_path", "more than one way", **{size: SIZE, file: packed["training"], "dataset.data_path": ["a"]})
    refuses(3, "training.jsonl:", "want at most 13", **{size: 15, f"{SPECS}pad_seq_to_mult": 4, "dataset.dataset_root": rows / "plain"})
    refuses(2, "pack_sequences_in_batch", **{size: SIZE, "dataset.dataset_root": rows / "plain", "dataset.pack_sequences_in_batch": True})
