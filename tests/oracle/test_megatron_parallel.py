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

LAYOUTS = {"2x1": {"model.tensor_model_parallel_size": 2}, "1x2": {"model.pipeline_model_parallel_size": 2},
           "2x2": {"model.tensor_model_parallel_size": 2, "model.pipeline_model_parallel_size": 2}}


def weights_of(iter_dir):
    return {key: value for key, value in torch_dist.tensors(iter_dir).items() if not key.startswith("optimizer.")}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_three_steps_are_megatrons(family, layout, shelf, megatron, tmp_path):
    toy = toys.MEGATRON[family]
    source, batch, row = shelf.path(toy), batch_of(toy), row_of(toy)
    programs.rialto("convert", source, tmp_path / "converted")
    step = "step", {"rows": batch, "learning_rate": LEARNING_RATE}
    theirs = tmp_path / "theirs" / f"iter_{STEPS:07d}"
    theirs.parent.mkdir()
    answers = megatron(layout, new(json.loads((source / "config.json").read_text()), "plain", "float32"),
                       ("load_weights", {"path": str(next((tmp_path / "converted").glob("iter_*")))}), *[step] * STEPS,
                       ("save", {"path": str(theirs), "iteration": STEPS, "samples": STEPS * len(batch), "decay_samples": 1000 * len(batch)}))
    data = training_runs.repeated_row(tmp_path / "data", row, 64)
    values = {"checkpoint.pretrained_checkpoint": source, "checkpoint.save": tmp_path / "ours", "dataset.data_path": data, "dataset.seq_length": len(row) - 1,
              "mixed_precision": "fp32", "train.micro_batch_size": len(batch), "train.train_iters": STEPS, "optimizer.lr": LEARNING_RATE, **LAYOUTS[layout]}
    launch(tmp_path / "run", 4 if layout == "2x2" else 2, values)
    records = training_runs.records(tmp_path / "ours" / "metrics.jsonl")
    for number, record in enumerate(records):
        said = on_last_stage(answers, 2 + number)
        closeness.assert_close(f"loss {number}", record["lm loss"], said["loss"])
        assert record["grad norm"] == pytest.approx(said["norm"], rel=1e-5), number
    assert len(records) == STEPS and abs(records[0]["lm loss"] - records[-1]["lm loss"]) > 1e-3, "the steps did something"
    ours, want = weights_of(tmp_path / "ours" / theirs.name), weights_of(theirs)
    assert ours.keys() == want.keys()
    for key, value in want.items():
        if key in ("embedding.word_embeddings.weight", "output_layer.weight"):
            value = value[:ours[key].shape[0]]   # Core pads the vocabulary to a multiple of its ranks
        closeness.assert_close(key, ours[key], value)
