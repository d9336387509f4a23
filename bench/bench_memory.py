"""Peak memory (VmHWM of the process) of a training step of workload C2 (Llama h576 L30 heads 9/3 ffn 1536 V49152 tied, batch 2 x
1024, no recompute) beside transformers', and of head and loss alone (h256 V49152, 4096 tokens) beside plain PyTorch with all
logits. The peer's state in bf16 is bf16 throughout; ours are moments in bf16, and main parameters as bf16 weights with 16 bits more.
`python bench_memory.py FOLDER`, the folder of bench_train_step; `python bench_memory.py peer WORKLOAD DTYPE` is the peer."""
import sys
from pathlib import Path

import measure

STEPS, THREADS = 2, 1
LIMIT = {"c2": 0.6, "loss": 0.5}


def peer(workload, dtype):
    import torch

    torch.set_num_threads(THREADS)
    torch.manual_seed(1)
    dtype = {"bf16": torch.bfloat16, "fp32": torch.float32}[dtype]
    if workload == "loss":
        head = (torch.randn(49152, 256) * 0.02).to(dtype).requires_grad_()
        x = torch.randn(4096, 256).to(dtype).requires_grad_()
        labels = torch.randint(49152, (4096,))
        for _ in range(STEPS):
            torch.nn.functional.cross_entropy((x @ head.T).float(), labels, reduction="sum").backward()
        return
    import transformers

    config = transformers.LlamaConfig(hidden_size=576, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3, head_dim=64,
                                      intermediate_size=1536, vocab_size=49152, tie_word_embeddings=True, max_position_embeddings=2048)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").to(dtype).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    ids = torch.randint(49152, (2, 1024))
    for _ in range(STEPS):
        optimizer.zero_grad(set_to_none=True)
        model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


def run(folder):
    """The table, as Markdown."""
    rows = []
    for workload in ("c2", "loss"):
        for dtype in ("fp32", "bf16"):
            narrow = ["narrow"] if (workload, dtype) == ("c2", "bf16") else []
            ours = measure.timed([folder / "bench_train_step", dtype, THREADS, STEPS, workload, *narrow])[2]
            theirs = measure.timed([sys.executable, Path(__file__).resolve(), "peer", workload, dtype])[2]
            rows.append([workload, dtype, f"{ours >> 20} MiB", f"{theirs >> 20} MiB", f"{ours / theirs:.3f} (<= {LIMIT[workload]})"])
    return measure.table("Peak memory of a training step, VmHWM", ["workload", "dtype", "rialto", "PyTorch", "ratio"], rows)


if __name__ == "__main__":
    if sys.argv[1] == "peer":
        peer(*sys.argv[2:])
    else:
        print(run(Path(sys.argv[1])))
