"""The training loop around model and optimizer, workload C1 (bench_train.py): a step's overhead, exec to the end of the first step
beside transformers, growth of memory over 1,000 steps. `python bench_loop.py peer` is the peer's first step."""
import json
import os
import subprocess
import sys
import time
from array import array
from pathlib import Path

import bench_train
from measure import BIN, WORK, median, table

MODEL = {"family": "llama", "num_layers": 8, "hidden_size": 256, "ffn_hidden_size": 688, "num_attention_heads": 8, "num_query_groups": 4,
         "vocab_size": 8192, "seq_length": 512, "share_embeddings_and_output_weights": "true"}


def data():
    """Random tokens as a .bin/.idx pair: one document of a million."""
    prefix = WORK / "loop-data"
    if not prefix.with_suffix(".idx").exists():
        import random

        draw = random.Random(1)
        WORK.mkdir(parents=True, exist_ok=True)
        prefix.with_suffix(".bin").write_bytes(array("H", [draw.randrange(8192) for _ in range(1 << 20)]).tobytes())
        prefix.with_suffix(".idx").write_bytes(
            b"MMIDIDX\x00\x00" + (1).to_bytes(8, "little") + bytes([8]) + (1).to_bytes(8, "little") + (2).to_bytes(8, "little")
            + (1 << 20).to_bytes(4, "little") + (0).to_bytes(8, "little") + (0).to_bytes(8, "little") + (1).to_bytes(8, "little"))
    return prefix


def start(steps, batch, length, **more):
    """A run without checkpoints that prints every step line."""
    values = {**{f"model.{k}": v for k, v in MODEL.items()}, "dataset.seq_length": length, "dataset.data_path": f"[{data()}]",
              "dataset.split": '"1,0,0"', "train.train_iters": steps, "train.global_batch_size": batch, "train.micro_batch_size": batch,
              "scheduler.lr_decay_style": "constant", "logger.log_interval": 1, **more}
    recipe = WORK / "loop.yaml"
    recipe.write_text("{}\n")
    command = [BIN / "rialto", "train", recipe, "--device", "cpu", "--threads", str(bench_train.THREADS)]
    return subprocess.Popen([*map(str, command), *(f"{k}={v}" for k, v in values.items())], stdout=subprocess.PIPE, text=True)


def step_lines(run):
    for line in run.stdout:
        if "elapsed time per iteration" in line:
            yield line


def overhead():
    """Of each iteration, from one record to the next, the part that is not forward, backward and optimizer by the run's own clocks: data,
    counters, lines and records. Median, with the median iteration in ms; both clocks are of one process, so that others on the machine
    slow both."""
    metrics = WORK / "loop.jsonl"
    metrics.unlink(missing_ok=True)
    run = start(bench_train.STEPS * 4, 4, 512, **{"logger.metrics_jsonl": metrics})
    for _ in step_lines(run):
        pass
    assert run.wait() == 0
    times = [json.loads(line)["time"] for line in metrics.read_text().splitlines()]
    whole = [(b["at"] - a["at"]) * 1e3 for a, b in zip(times, times[1:])]
    inside = [sum(t["phases_ms"][phase] for phase in ("forward", "backward", "optimizer")) for t in times[1:]]
    return median([1 - i / w for i, w in zip(inside, whole)]), median(whole)


def first_step():
    """Seconds from exec to the first step line, batch 1 x 512."""
    begin = time.monotonic()
    run = start(1, 1, 512)
    next(step_lines(run))
    seconds = time.monotonic() - begin
    assert run.wait() == 0
    return seconds


def peer_first_step():
    begin = time.monotonic()
    done = subprocess.Popen([sys.executable, Path(__file__).resolve(), "peer"], stdout=subprocess.PIPE, text=True,
                            env={**os.environ, "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_OFFLINE": "1"})
    line = done.stdout.readline()
    seconds = time.monotonic() - begin
    assert done.wait() == 0 and line
    return seconds


def peer():
    import torch
    import transformers

    torch.set_num_threads(bench_train.THREADS)
    config = transformers.LlamaConfig(hidden_size=256, num_hidden_layers=8, num_attention_heads=8, num_key_value_heads=4, head_dim=32,
                                      intermediate_size=688, vocab_size=8192, tie_word_embeddings=True, max_position_embeddings=2048)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").to(torch.bfloat16).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    ids = torch.randint(8192, (1, 512))
    model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    print("stepped", flush=True)


def growth():
    """Resident MiB after 100 and after 1,000 steps of 1 x 32 tokens."""
    run, at = start(1000, 1, 32), {}
    for number, _ in enumerate(step_lines(run), 1):
        if number in (100, 999):
            status = Path(f"/proc/{run.pid}/status").read_text()
            at[number] = int(status.split("VmRSS:")[1].split()[0]) / 1024
    assert run.wait() == 0
    return at[100], at[999]


def run():
    outside, whole = overhead()
    ours, theirs = median([first_step() for _ in range(5)]), median([peer_first_step() for _ in range(3)])
    early, late = growth()
    rows = [["overhead of a step outside model and optimizer", f"{outside:.2%}", "<= 1 %", f"of {whole:.1f} ms"],
            ["exec to the end of the first step, 1 x 512", f"{ours:.2f} s", "<= 1.0 s", f"transformers {theirs:.1f} s"],
            ["growth of memory over 1,000 steps", f"{late - early:+.1f} MiB", "none", f"{early:.0f} to {late:.0f} MiB"]]
    return table("Training loop, workload C1 (2 threads)", ["what", "measured", "must reach", "beside"], rows)


if __name__ == "__main__":
    peer() if sys.argv[1:] == ["peer"] else print(run())
