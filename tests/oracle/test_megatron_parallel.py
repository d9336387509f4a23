"""Our ranks beside Megatron-Core's over Gloo: the same layout, weights and batch, three steps in fp32. Losses and gradient norms at each step
and the weights after the third."""
import json

import pytest

import closeness
import programs
import torch_dist
import toys
import training_runs
from megatron_client import on_last_stage
from megatron_runs import LEARNING_RATE, STEPS, batch_of, new, row_of
from test_data_parallel import launch

TOYS = {"llama": toys.MEGATRON["llama"], "qwen3": toys.MEGATRON["qwen3"],
        "mixtral": toys.Toy("mixtral-four", "mixtral", {"num_local_experts": 8, "num_hidden_layers": 4})}
ROWS = [(family, layout) for family in ("llama", "qwen3") for layout in ("2x1", "1x2", "2x2")] + [("mixtral", "1x2"), ("mixtral", "ep2")]
LAYOUTS = {"ep2": {"model.expert_model_parallel_size": 2}, "2x1": {"model.tensor_model_parallel_size": 2}, "1x2": {"model.pipeline_model_parallel_size": 2},
           "2x2": {"model.tensor_model_parallel_size": 2, "model.pipeline_model_parallel_size": 2}}


def weights_of(iter_dir):
    return {key: value for key, value in torch_dist.tensors(iter_dir).items() if not key.startswith("optimizer.")}


def three_steps(toy, layout, ranks, ours, shelf, megatron, tmp_path, core=None, batch=None):
    """Ours with these values beside Core's with these additions to its options."""
    source, batch = shelf.path(toy), batch or batch_of(toy)
    row = batch[0]
    programs.rialto("convert", source, tmp_path / "converted")
    step = "step", {"rows": batch, "learning_rate": LEARNING_RATE}
    theirs = tmp_path / "theirs" / f"iter_{STEPS:07d}"
    theirs.parent.mkdir(parents=True)
    answers = megatron(layout, new({**json.loads((source / "config.json").read_text()), **(core or {})}, "plain", "float32"),
                       ("load_weights", {"path": str(next((tmp_path / "converted").glob("iter_*")))}), *[step] * STEPS,
                       ("save", {"path": str(theirs), "iteration": STEPS, "samples": STEPS * len(batch), "decay_samples": 1000 * len(batch)}))
    data = training_runs.repeated_row(tmp_path / "data", row, 64)
    values = {"checkpoint.pretrained_checkpoint": source, "checkpoint.save": tmp_path / "ours", "dataset.data_path": data, "dataset.seq_length": len(row) - 1,
              "mixed_precision": "fp32", "train.micro_batch_size": len(batch), "train.train_iters": STEPS, "optimizer.lr": LEARNING_RATE, **ours}
    if ranks > 1:
        launch(tmp_path / "run", ranks, values)
    else:
        training_runs.train(tmp_path / "run", values)
    records = training_runs.records(tmp_path / "ours" / "metrics.jsonl")
    for number, record in enumerate(records):
        said = on_last_stage(answers, 2 + number)
        closeness.assert_close(f"loss {number}", record["lm loss"], said["loss"])
        assert record["grad norm"] == pytest.approx(said["norm"], rel=1e-5), number
    assert len(records) == STEPS and abs(records[0]["lm loss"] - records[-1]["lm loss"]) > 1e-3, "the steps did something"
    ours, want = weights_of(tmp_path / "ours" / theirs.name), weights_of(theirs)
    assert ours.keys() - want.keys() <= {"decoder.layers.pre_mlp_layernorm.weight"} and want.keys() <= ours.keys(), "beside the other name of a norm"
    for key, value in want.items():
        if key in ("embedding.word_embeddings.weight", "output_layer.weight"):
            value = value[:ours[key].shape[0]]   # Core pads the vocabulary to a multiple of its ranks
        closeness.assert_close(key, ours[key], value)
    return [record["lm loss"] for record in records]


@pytest.mark.parametrize("family,layout", ROWS)
def test_three_steps_are_megatrons(family, layout, shelf, megatron, tmp_path):
    toy, values = TOYS[family], dict(LAYOUTS[layout])
    if layout == "ep2":   # two copies of the model outside of the experts: each has the batch
        values["train.global_batch_size"] = 2 * len(batch_of(toy))
    three_steps(toy, layout, 4 if layout == "2x2" else 2, values, shelf, megatron, tmp_path)


def test_full_experts_drop_what_megatrons_do(shelf, megatron, tmp_path):
    """At their even share: many are full. One row: of equal rows each program keeps another one's."""
    toy, share = TOYS["mixtral"], {"moe_expert_capacity_factor": 1.0}
    ours = {"model.moe_expert_capacity_factor": 1.0, "train.global_batch_size": 1}
    answers = three_steps(toy, "1x1", 1, ours, shelf, megatron, tmp_path, core=share, batch=[row_of(toy)])
    dropless = three_steps(toy, "1x1", 1, {"train.global_batch_size": 1}, shelf, megatron, tmp_path / "dropless", batch=[row_of(toy)])
    assert abs(answers[0] - dropless[0]) > 1e-3, "some were dropped"
