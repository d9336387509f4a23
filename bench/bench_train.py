"""Workload C1, our training step beside transformers': Llama h256 L8 heads 8/4 ffn 688 V8192 tied, batch 4 x 512, two
threads, AdamW, clipping. `python bench_train.py peer DTYPE [--compile]` times the peer in a process of its own."""
import json
import os
import subprocess
import sys
import time
from pathlib import Path

THREADS, STEPS, BUDGET_S = 2, 12, 90
TOKENS = 4 * 512


def peer(dtype, compiled):
    import torch
    import transformers

    torch.set_num_threads(THREADS)
    torch.manual_seed(1)
    config = transformers.LlamaConfig(hidden_size=256, num_hidden_layers=8, num_attention_heads=8, num_key_value_heads=4, head_dim=32,
                                      intermediate_size=688, vocab_size=8192, tie_word_embeddings=True, max_position_embeddings=2048)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    model = model.to(torch.bfloat16 if dtype == "bf16" else torch.float32).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    forward = torch.compile(model) if compiled else model
    ids = torch.randint(8192, (4, 512))
    times, start = [], time.monotonic()
    while len(times) < STEPS and (len(times) < 3 or time.monotonic() - start < BUDGET_S):
        begin = time.monotonic()
        optimizer.zero_grad(set_to_none=True)
        forward(input_ids=ids, labels=ids, use_cache=False).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        times.append((time.monotonic() - begin) * 1e3)
    print(json.dumps({"ms": times}))


def settled_median(times):
    """Median after the first two steps: allocation, and what compiling costs."""
    settled = sorted(times[2:] or times[1:])
    return settled[len(settled) // 2]


def timed(command):
    environment = {**os.environ, "OMP_NUM_THREADS": str(THREADS), "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"error: {' '.join(map(str, command))} exited {done.returncode}\n{done.stderr[-2000:]}")
    return settled_median(json.loads(done.stdout.strip().splitlines()[-1])["ms"])


def run(folder, compiled=True):
    """The table, as Markdown. `folder` holds bench_train_step."""
    ours = {d: timed([folder / "bench_train_step", d, THREADS, STEPS]) for d in ("bf16", "fp32")}
    me = [sys.executable, Path(__file__).resolve(), "peer"]
    lines = ["### Training step, workload C1 (2 threads, medians)", "",
             "| compute | rialto | transformers, sdpa | ratio (>= 1) | transformers, torch.compile | ratio |", "|---|---|---|---|---|---|"]
    for dtype, label in (("bf16", "bf16, fp32 main weights"), ("fp32", "fp32")):
        plain = timed([*me, dtype])
        cells = [label, rate(ours[dtype]), rate(plain), f"{plain / ours[dtype]:.2f}x"]
        if compiled:
            best = timed([*me, dtype, "--compile"])
            cells += [rate(best), f"{best / ours[dtype]:.2f}x"]
        else:
            cells += ["", ""]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def rate(ms):
    return f"{TOKENS / ms * 1e3:,.0f} tok/s"


if __name__ == "__main__":
    if sys.argv[1] == "peer":
        peer(sys.argv[2], "--compile" in sys.argv)
    else:
        print(run(Path(sys.argv[1]), "--no-compile" not in sys.argv))
