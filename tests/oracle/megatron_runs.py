"""Toys trained by rialto, and what both sides then say of them: shared by the tests of training in Megatron-Core."""
import json

from safetensors.torch import load_file

import closeness
import programs
import toys
import training_runs

LEARNING_RATE = 1e-3
OPTIMIZERS = {"plain": False, "distributed": True}
STEPS = 3


def row_of(toy):
    """One row whose last token is its first: see training_runs.repeated_row."""
    row = toys.prompt(toy, 25, seed=77)
    return row + row[:1]


def batch_of(toy):
    return [row_of(toy)] * training_runs.RECIPE["train.global_batch_size"]


def evaluate(model, rows, folder):
    """(logits, loss) of a checkpoint by rialto, fp32."""
    (folder / "tokens.json").write_text(json.dumps(rows))
    logits, gradients = folder / "logits.safetensors", folder / "gradients.safetensors"
    programs.rialto_train("logits", model, "--tokens", folder / "tokens.json", "--out", logits, "--gradients", gradients)
    return load_file(logits)["logits"].clone(), load_file(gradients)["loss"].item()   # a copy: the next call writes the file again


class Ours:
    """A toy trained by rialto for STEPS steps, saved, and for one step more."""

    def __init__(self, toy, source, folder):
        self.toy, self.source, self.root = toy, source, folder / "run"
        self.data = training_runs.repeated_row(folder / "data", row_of(toy), 64)
        self.folder = folder
        self.values = {"checkpoint.pretrained_checkpoint": source, "checkpoint.save": self.root, "dataset.data_path": self.data,
                       "dataset.seq_length": len(row_of(toy)) - 1, "optimizer.lr": LEARNING_RATE}
        training_runs.train(folder, {**self.values, "train.train_iters": STEPS})
        self.saved = self.root / f"iter_{STEPS:07d}"
        self.rows = [toys.prompt(toy, 24, seed=200 + n) for n in range(2)]
        self.logits, self.loss = evaluate(self.saved, self.rows, folder)
        self.loss_before = evaluate(self.saved, batch_of(toy), folder)[1]
        self.loss_after = self.exact_step(folder / "exact", self.saved)

    def exact_step(self, folder, iter_dir):
        """fp32 loss on the batch after one more optimizer step, whose gradients are computed in fp32."""
        folder.mkdir()
        row = row_of(self.toy)
        programs.run("state_tool", "step", iter_dir, folder / "run", self.data, len(row) - 1, len(batch_of(self.toy)), LEARNING_RATE)
        return evaluate(folder / "run", batch_of(self.toy), folder)[1]

    def bf16_step(self, folder, load):
        """The same after one more step of `rialto-train train` itself, all in bf16."""
        values = {**self.values, "checkpoint.load": load, "checkpoint.save": folder / "run", "train.train_iters": STEPS + 1}
        training_runs.train(folder, values)
        return evaluate(folder / "run", batch_of(self.toy), folder)[1]


def new(config, optimizer, dtype="bfloat16"):
    """The worker's operation that builds a model of a config.json and its optimizer."""
    return "new", {"config": config, "dtype": dtype, "distributed": OPTIMIZERS[optimizer]}


def assert_step_counts(before, after, want):
    """The two sides agree after the step, and the step was large enough to tell them apart."""
    assert abs(after - before) > 1000 * closeness.TOLERANCE * max(1, abs(before)), f"the step moved the loss by {after - before} only"
    closeness.assert_close("loss after one more step", after, want)


def assert_bf16_step_agrees(before, after, want):
    """Arithmetic in bf16 differs between programs: here by little of what the step did."""
    assert abs(after - want) < 0.05 * abs(after - before), f"before {before}, after {after} and {want}"
