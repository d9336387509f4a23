"""Several ranks on this machine: DP2 and TP2 of workload C2's widths, one thread each, beside one process with two threads; and the start of
eight ranks. Nine heads do not divide over two ranks, so both sides have twelve heads of 48 in four groups: the same matrices as C2's."""
import json
import subprocess
import time

import bench_loop
from measure import BIN, WORK, median, table

MODEL = {"family": "llama", "num_layers": 30, "hidden_size": 576, "ffn_hidden_size": 1536, "num_attention_heads": 12, "num_query_groups": 4, "kv_channels": 48,
         "vocab_size": 49152, "seq_length": 1024, "share_embeddings_and_output_weights": "true"}
TINY = {**bench_loop.MODEL, "num_layers": 2}
STEPS, ROUNDS = 4, 2
WAYS = {"one process, 2 threads": (1, 2, 2, {}), "DP2, 1 thread each": (2, 1, 1, {"ddp.overlap_grad_reduce": "true"}),
        "TP2, 1 thread each": (2, 1, 2, {"model.tensor_model_parallel_size": 2})}
LIMIT = {"DP2, 1 thread each": 0.85, "TP2, 1 thread each": 0.75}


def command(ranks, threads, model, micro, batch, length, steps, more):
    values = {**{f"model.{k}": v for k, v in model.items()}, "dataset.seq_length": length, "dataset.data_path": f"[{bench_loop.data()}]", "dataset.split": '"1,0,0"',
              "train.train_iters": steps, "train.global_batch_size": batch, "train.micro_batch_size": micro, "scheduler.lr_decay_style": "constant",
              "logger.log_interval": 1, "mixed_precision": "fp32", **more}
    recipe = WORK / "parallel.yaml"
    recipe.write_text("{}\n")
    launch = ["launch", "-n", ranks] if ranks > 1 else []
    return [str(part) for part in [BIN / "rialto", *launch, "train", recipe, "--device", "cpu", "--threads", threads, *(f"{k}={v}" for k, v in values.items())]]


def step_ms(name):
    """Median iteration without the first."""
    ranks, threads, micro, more = WAYS[name]
    metrics = WORK / "parallel.jsonl"
    metrics.unlink(missing_ok=True)
    subprocess.run(command(ranks, threads, MODEL, micro, 2, 1024, STEPS, {**more, "logger.metrics_jsonl": metrics}), check=True, stdout=subprocess.DEVNULL)
    times = [json.loads(line)["elapsed_ms"] for line in metrics.read_text().splitlines()]
    return median(times[1:])


def start_seconds():
    """From exec to the end of the first step of eight ranks."""
    begin = time.monotonic()
    run = subprocess.Popen(command(8, 1, TINY, 1, 8, 512, 1, {}), stdout=subprocess.PIPE, text=True)
    seconds = [time.monotonic() - begin for line in run.stdout if "elapsed time per iteration" in line]
    assert run.wait() == 0
    return seconds[0]


def run():
    times = {name: [] for name in WAYS}
    for _ in range(ROUNDS):   # in turn, so that a slow minute of the machine is everyone's
        for name in WAYS:
            times[name].append(step_ms(name))
    one = min(times["one process, 2 threads"])
    rows = [[name, f"{min(each):.0f} ms", f"{one / min(each):.2f}" if name in LIMIT else "", f">= {LIMIT[name]}" if name in LIMIT else ""] for name, each in times.items()]
    rows.append(["eight ranks of a small model, exec to the end of the first step", f"{start_seconds():.1f} s", "", "<= 5 s"])
    return table("Several ranks, widths of workload C2, fp32", ["what", "measured", "of one process", "must reach"], rows)
