"""Toys trained by rialto, and what both sides then say of them: shared by the tests of training in Megatron-Core."""
import functools
import json

import torch
from safetensors.torch import load_file

import closeness
import programs
import torch_dist
import toys
import training_runs
from megatron_client import joined_logits, on_last_stage

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


def trained_once(toys_by_family, shelf, tmp_path_factory):
    """get(family): Ours of that family's toy in bf16, made when first asked for."""
    @functools.cache
    def get(family):
        toy = toys_by_family[family]
        return Ours(toy, shelf.path(toy, torch.bfloat16), tmp_path_factory.mktemp(f"ours-{family}"))
    return get


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

    @functools.cached_property
    def loss_before(self):
        return evaluate(self.saved, batch_of(self.toy), self.folder)[1]

    @functools.cached_property
    def loss_after(self):
        return self.exact_step(self.folder / "exact", self.saved)

    def exact_step(self, folder, iter_dir):
        """fp32 loss on the batch after one more optimizer step, whose gradients are computed in fp32; of the main parameters, as
        one that lies between two bf16 numbers may be rounded either way."""
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


class Theirs:
    """A toy trained by Megatron from our conversion of it, and saved as Megatron-LM and Bridge lay out a root."""

    def __init__(self, toy, source, build, layout, megatron, folder, run_config=None):
        """`build`: the operation made by new(); `run_config`: the text of run_config.yaml, else what our conversion wrote."""
        self.root, self.folder, self.toy = folder / "run", folder, toy
        programs.rialto("convert", source, folder / "converted")
        weights = next((folder / "converted").glob("iter_*"))
        self.saved = self.root / f"iter_{STEPS:07d}"
        self.root.mkdir()
        self.rows = [toys.prompt(toy, 24, seed=300 + n) for n in range(2)]
        batch = batch_of(toy)
        step, loss = ("step", {"rows": batch, "learning_rate": LEARNING_RATE}), ("loss", {"rows": batch})
        exact = "step", {**step[1], "fp32_gradients": True}
        answers = megatron(layout, build, ("load_weights", {"path": str(weights)}), step, step, step,
                           ("save", {"path": str(self.saved), "iteration": STEPS, "samples": STEPS * len(batch), "decay_samples": 1000 * len(batch)}),
                           ("logits", {"rows": self.rows}), loss, exact, ("loss", {**loss[1], "main": True}), build, ("load", {"path": str(self.saved)}), step, loss)
        self.logits = joined_logits(answers, 6)
        self.loss_before, self.loss_after, self.loss_after_bf16 = (on_last_stage(answers, n) for n in (7, 9, 13))
        (self.saved / "run_config.yaml").write_text(run_config or (weights / "run_config.yaml").read_text())
        (self.root / "latest_checkpointed_iteration.txt").write_text(str(STEPS))


def assert_we_go_on(run, theirs, optimizer, folder):
    """We open what Megatron trained: logits, every value of the optimizer, and one step more, in fp32 and in bf16."""
    logits, _ = evaluate(theirs.root, theirs.rows, folder)
    closeness.assert_close("logits", logits, theirs.logits)

    # main parameters and moments: read by us, written by us, compared without either side's help
    programs.run("state_tool", "resave", theirs.saved, folder / "again")
    stored = torch_dist.tensors(theirs.saved)
    again = torch_dist.tensors(folder / "again" / theirs.saved.name)
    for key, value in stored.items():
        closeness.assert_same_bits(key, again[key], value)
    main = "fp32_param" if optimizer == "plain" else "param"
    trained = {key for key in stored if not key.startswith("optimizer.") and not key.endswith("expert_bias")}
    for state in ("exp_avg", "exp_avg_sq", main):
        prefix = f"optimizer.state.{state}."
        assert {key.removeprefix(prefix) for key in stored if key.startswith(prefix)} == trained

    assert_step_counts(theirs.loss_before, run.exact_step(folder / "exact", theirs.saved), theirs.loss_after)
    assert_bf16_step_agrees(theirs.loss_before, run.bf16_step(folder / "next", theirs.root), theirs.loss_after_bf16)
