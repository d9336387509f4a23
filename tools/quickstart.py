#!/usr/bin/env python3
"""The whole journey on real text, on this machine, with its proofs: `./dev quickstart`.

Text: the Python standard library's own sources. A tokenizer is trained on it, a random Llama made as a Hugging Face
folder, converted to Megatron, trained, stopped half way and resumed, converted back, and compared with transformers.
"""
import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STEPS, HALF = 700, 350
SEQ_LENGTH, BATCH = 128, 4
MODEL = dict(vocab_size=8192, hidden_size=256, intermediate_size=688, num_hidden_layers=2, num_attention_heads=8,
             num_key_value_heads=4, max_position_embeddings=512, tie_word_embeddings=False, rope_theta=10000.0)
SEED_TEXT = "def read_lines(path):\n    "
LEFT_OUT = ["encodings", "pydoc_data", "site-packages", "dist-packages"]  # tables and other people's packages


class Failed(Exception):
    pass


class Quickstart:
    def __init__(self, out, programs):
        self.out, self.programs = out, programs
        self.table = []  # (what, result, path)
        self.log = out / "quickstart.log"

    def rialto(self, *arguments):
        """Runs rialto; returns what it printed on stdout. All output also goes to the log."""
        command = [str(self.programs / "rialto"), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True)
        with open(self.log, "a") as log:
            log.write("$ rialto " + " ".join(map(str, arguments)) + "\n" + done.stdout + done.stderr + "\n")
        if done.returncode:
            raise Failed(f"rialto {arguments[0]} exited {done.returncode}:\n{done.stderr[-2000:]}The whole output is in {self.log}")
        return done.stdout

    def step(self, text, body):
        print(f"  {text:<58}", end="", flush=True)
        start = time.monotonic()
        result, path = body()
        print(f"{time.monotonic() - start:5.0f} s", flush=True)
        self.table.append((text, result, path))

    # ---- the steps, in order ----

    def text_arguments(self, part):
        exclude = [x for name in LEFT_OUT for x in ("--exclude-dir", name)]
        return [sysconfig.get_paths()["stdlib"], "--include", ".py", "--held-out-modulo", "20", "--part", part, *exclude]

    def train_tokenizer(self):
        report = json.loads(self.rialto("data", "train-tokenizer", *self.text_arguments("train"), "--output", self.out / "tokenizer",
                                        "--vocab-size", MODEL["vocab_size"], "--overwrite", "--json"))
        return f"{MODEL['vocab_size']} tokens from {report['documents']} files", self.out / "tokenizer"

    def tokenize(self):
        for part in ("train", "held-out"):
            report = json.loads(self.rialto("data", "tokenize", *self.text_arguments(part), "--tokenizer", self.out / "tokenizer",
                                            "--output-prefix", self.out / "data" / part, "--overwrite", "--json"))
            setattr(self, part.replace("-", "_"), report)
        if self.held_out["tokens"] < 100_000:
            raise Failed(f"only {self.held_out['tokens']} held-out tokens; want 100000")
        return f"{self.train['tokens']:,} tokens to train on, {self.held_out['tokens']:,} held out", self.out / "data"

    def make_model(self):
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM
        from transformers.utils import logging

        torch.manual_seed(1234)
        logging.disable_progress_bar()
        model = LlamaForCausalLM(LlamaConfig(**MODEL, bos_token_id=0, eos_token_id=0, torch_dtype="float32"))
        model.save_pretrained(self.out / "hf-random")
        for path in (self.out / "tokenizer").iterdir():
            shutil.copy(path, self.out / "hf-random")
        return f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f}M parameters, random", self.out / "hf-random"

    def to_megatron(self):
        self.rialto("convert", self.out / "hf-random", self.out / "megatron", "--overwrite")
        self.rialto("verify", self.out / "hf-random", self.out / "megatron")
        return "every tensor bit for bit", self.out / "megatron"

    def train_run(self, name, *overrides):
        run = self.out / name
        every_sample = (self.held_out["tokens"] - 1) // SEQ_LENGTH // BATCH
        settings = [f"validation.eval_iters={every_sample}", f"checkpoint.save={run}", f"tokenizer.tokenizer_model={self.out / 'hf-random'}",
                    f"dataset.data_path=[{self.out / 'data/train'}]", f"dataset.valid_data_path=[{self.out / 'data/held-out'}]",
                    f"train.train_iters={STEPS}", f"checkpoint.save_interval={HALF}", f"validation.eval_interval={HALF}", *overrides]
        self.rialto("train", "quickstart", *[x for s in settings for x in ("--set", s)])
        return run

    def train_straight(self):
        run = self.train_run("run", f"checkpoint.pretrained_checkpoint={self.out / 'megatron'}")
        self.records = read_metrics(run)
        self.first = first_validation(self.records)
        self.final = last_validation(self.records)
        return f"held-out loss {self.first:.2f} -> {self.final:.2f} in {STEPS} steps", run

    def check_loss(self):
        self.unigram = unigram_entropy(self.out / "data/held-out")
        bits = self.final / math.log(2) * self.held_out["tokens"] / self.held_out["bytes"]
        if not self.final <= 5.3 or not self.final <= self.unigram - 1.0:
            raise Failed(f"held-out loss {self.final:.3f}; want <= 5.3 and <= unigram entropy {self.unigram:.3f} - 1.0")
        return f"{self.final:.3f} nats/token; unigram entropy {self.unigram:.3f}; {bits:.3f} bits/byte", self.out / "run/metrics.jsonl"

    def repeat_second_half(self):
        again = self.out / "run-again"
        again.mkdir(parents=True)
        half = f"iter_{HALF:07d}"
        shutil.copytree(self.out / "run" / half, again / half)
        (again / "latest_checkpointed_iteration.txt").write_text(str(HALF))
        self.train_run("run-again", f"checkpoint.load={again}")
        repeated = {(r["kind"], r["iteration"]): r for r in map(without_times, read_metrics(again))}
        original = {(r["kind"], r["iteration"]): r for r in map(without_times, self.records) if r["iteration"] > HALF}
        differing = [key for key, record in original.items() if repeated.get(key) != record]
        if differing or not original:
            raise Failed(f"the resumed half differs from the straight run at {differing[:3]}")
        last = f"iter_{STEPS:07d}"
        self.rialto("verify", self.out / "run" / last, again / last)
        return f"{STEPS - HALF} steps: same losses, same weights, bit for bit", again

    def to_hf(self):
        self.rialto("convert", self.out / "run", self.out / "hf-trained", "--overwrite")
        self.rialto("verify", self.out / "run", self.out / "hf-trained")
        return "every tensor bit for bit", self.out / "hf-trained"

    def compare_with_transformers(self):
        import torch
        from safetensors.torch import load_file
        from transformers import AutoModelForCausalLM, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(self.out / "hf-trained")
        ids = tokenizer((Path(sysconfig.get_paths()["stdlib"]) / "this.py").read_text())["input_ids"][:256]
        (self.out / "tokens.json").write_text(json.dumps([ids]))
        self.rialto("logits", self.out / "hf-trained", "--tokens", self.out / "tokens.json", "--out", self.out / "logits.safetensors")
        ours = load_file(self.out / "logits.safetensors")["logits"]
        torch.set_num_threads(1)
        model = AutoModelForCausalLM.from_pretrained(self.out / "hf-trained", dtype=torch.float32)
        with torch.no_grad():
            theirs = model(torch.tensor([ids])).logits
        worst = ((ours - theirs).abs().max() / max(1.0, theirs.abs().max().item())).item()
        if not worst <= 1e-5:
            raise Failed(f"logits differ from transformers' by {worst:.2e} of the largest; want <= 1e-5")
        return f"transformers loads it; fp32 logits agree within {worst:.0e}", self.out / "logits.safetensors"

    def sample(self):
        self.text = self.rialto("generate", self.out / "hf-trained", "--prompt", SEED_TEXT, "--max-new-tokens", "60",
                                "--temperature", "0.7", "--seed", "7")
        return "60 tokens of new Python", "below"

    def run(self):
        self.step("train a tokenizer on the Python standard library", self.train_tokenizer)
        self.step("tokenize to Megatron's .bin/.idx", self.tokenize)
        self.step("make a random Llama as a Hugging Face folder", self.make_model)
        self.step("convert Hugging Face -> Megatron, verify", self.to_megatron)
        self.step(f"train {STEPS} steps, saving half way", self.train_straight)
        self.step("check the held-out loss", self.check_loss)
        self.step("resume from half way in a new process", self.repeat_second_half)
        self.step("convert Megatron -> Hugging Face, verify", self.to_hf)
        self.step("compare with transformers", self.compare_with_transformers)
        self.step("generate a sample", self.sample)

    def show(self):
        print("\n  what was done and checked")
        for what, result, path in self.table:
            print(f"    {what:<52} {result}\n    {'':<52} {os.path.relpath(path, ROOT) if isinstance(path, Path) else path}")
        print("\n  training loss")
        print(loss_curve([r["lm loss"] for r in self.records if r["kind"] == "train"]))
        print("\n  a sample")
        print("\n".join("    " + line for line in self.text.rstrip().splitlines()))
        print(f"\n  everything lies in {os.path.relpath(self.out, ROOT)}/; try: build/release/bin/rialto inspect {os.path.relpath(self.out / 'run', ROOT)}")


def read_metrics(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def first_validation(records):
    return next(r["lm loss"] for r in records if r["kind"] == "validation")


def last_validation(records):
    return [r["lm loss"] for r in records if r["kind"] == "validation"][-1]


def without_times(record):
    return {key: value for key, value in record.items() if key != "time"}


def unigram_entropy(prefix):
    """Entropy in nats of the token frequencies of a .bin file: what a model that ignores all context could reach at best."""
    import numpy

    counts = numpy.bincount(numpy.fromfile(f"{prefix}.bin", dtype="<u2")).astype(float)
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * numpy.log(shares)).sum())


def loss_curve(losses, width=72, height=12):
    """A plot for the terminal: mean loss of each column's steps."""
    width = min(width, len(losses))
    columns = [losses[i * len(losses) // width:(i + 1) * len(losses) // width] for i in range(width)]
    means = [sum(c) / len(c) for c in columns]
    low, high = min(means), max(means)
    rows = []
    for row in range(height):
        level = high - (high - low) * row / (height - 1)
        step = (high - low) / (height - 1)
        cells = "".join("•" if abs(m - level) <= step / 2 else " " for m in means)
        rows.append(f"    {level:6.2f} ┤{cells}")
    return "\n".join(rows + [f"    {'':6} └{'─' * width}", f"    {'':8}step 1{'':<{max(0, width - 12)}}{len(losses):>5}"])


def main():
    parser = argparse.ArgumentParser(prog="./dev quickstart", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "out/quickstart", help="folder for everything it makes (default out/quickstart)")
    args = parser.parse_args()
    out = args.out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    os.environ["HF_HUB_OFFLINE"] = "1"
    quickstart = Quickstart(out, Path(os.environ.get("RIALTO_BIN", ROOT / "build/release/bin")))
    start = time.monotonic()
    try:
        quickstart.run()
    except Failed as failed:
        sys.exit(f"\nerror: {failed}")
    quickstart.show()
    print(f"\n  quickstart: all good in {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
