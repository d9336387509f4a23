"""Small training runs through `rialto-train train`: recipes, data, records."""
import json
import struct
from array import array
from pathlib import Path

import programs


def write_indexed(prefix, documents):
    """A Megatron .bin/.idx pair of uint16 tokens, written from its description: magic, version, type code, counts, lengths,
    byte offsets, document boundaries."""
    prefix = Path(prefix)
    prefix.parent.mkdir(parents=True, exist_ok=True)
    lengths = [len(d) for d in documents]
    offsets = [2 * sum(lengths[:i]) for i in range(len(lengths))] if len(lengths) < 2000 else None
    assert offsets is not None, "small test data only"
    prefix.with_suffix(".bin").write_bytes(b"".join(array("H", d).tobytes() for d in documents))
    count = len(documents)
    prefix.with_suffix(".idx").write_bytes(
        b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, 8, count, count + 1) + array("i", lengths).tobytes() + array("q", offsets).tobytes()
        + array("q", range(count + 1)).tobytes())
    return prefix


def repeated_row(prefix, row, samples):
    """Data in which every sample of len(row) - 1 tokens is `row`, whatever the shuffle: one document with that period.
    The row's first token follows its last as the next row's first, so row[0] must equal row[-1]."""
    assert row[0] == row[-1]
    return write_indexed(prefix, [row[:-1] * samples + row[:1]])


RECIPE = {
    "mixed_precision": "bf16_mixed",
    "train.micro_batch_size": 2, "train.global_batch_size": 2,
    "optimizer.lr": 1e-3, "optimizer.min_lr": 0.0, "optimizer.weight_decay": 0.1, "optimizer.adam_beta1": 0.9,
    "optimizer.adam_beta2": 0.95, "optimizer.adam_eps": 1e-3, "optimizer.clip_grad": 1.0,
    "scheduler.lr_decay_style": "constant", "scheduler.lr_decay_iters": 1000,
    "dataset.split": "1,0,0",
}


def write_recipe(path, values):
    """A recipe file of {"section.key": value}."""
    tree = {}
    for name, value in {**RECIPE, **values}.items():
        *maps, key = name.split(".")
        place = tree
        for each in maps:
            place = place.setdefault(each, {})
        place[key] = value
    def text(value):
        if isinstance(value, dict):
            return "{" + ", ".join(f"{k}: {text(v)}" for k, v in value.items()) + "}"
        return json.dumps(str(value) if isinstance(value, Path) else [v if isinstance(v, int) else str(v) for v in value] if isinstance(value, list) else value)
    lines = []
    for key, value in tree.items():
        lines += [f"{key}:"] + [f"  {k}: {text(v)}" for k, v in value.items()] if isinstance(value, dict) else [f"{key}: {text(value)}"]
    path.write_text("\n".join(lines) + "\n")
    return path


def train(folder, values, **options):
    """Runs a recipe written into `folder`; its JSON report, or with exit_code the finished process."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = write_recipe(folder / "recipe.yaml", values)
    done = programs.rialto_train("train", recipe, "--json", **options)
    return done if "exit_code" in options else json.loads(done.stdout.splitlines()[-1])


def records(path):
    """metrics.jsonl without what may differ between equal runs."""
    out = []
    for line in Path(path).read_text().splitlines():
        record = json.loads(line)
        record.pop("time")
        out.append(record)
    return out
