"""Preparing data: JSON lines to .bin/.idx, packing, and the index of many documents; serving it to a training step."""
import filecmp
import json
import subprocess
import sys
from pathlib import Path

import numpy

from measure import BIN, ROOT, WORK, median, table, timed

TEXT_MB = 200
ROWS, ROWS_FOR_THE_SCAN, CAPACITY = 1_000_000, 50_000, 4096
MOCK_ROWS, LOADED_SAMPLES = 200_000, 64_000
DOCUMENTS, MEAN_TOKENS, SEQ_LENGTH = 50_000_000, 900, 4096


def run(*command):
    return json.loads(subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def corpus():
    """Python sources, in documents of at most 4,000 characters."""
    path = WORK / "text.jsonl"
    if not path.exists():
        written = 0
        with open(WORK / "text.tmp", "w", encoding="utf-8") as file:
            for source in sorted(Path(numpy.__file__).parent.parent.rglob("*.py")):
                text = source.read_text(encoding="utf-8", errors="ignore")
                for at in range(0, len(text), 4000):
                    written += file.write(json.dumps({"text": text[at:at + 4000]}, ensure_ascii=False) + "\n")
                if written > TEXT_MB * 1_000_000:
                    break
        (WORK / "text.tmp").rename(path)
    return path


def tokenize():
    text, tokenizer = corpus(), WORK / "tokenizer"
    if not (tokenizer / "tokenizer.json").exists():
        sample = WORK / "sample.jsonl"
        with open(text, encoding="utf-8") as lines:
            sample.write_text("".join(line for _, line in zip(range(5000), lines)), encoding="utf-8")
        timed([BIN / "rialto", "data", "train-tokenizer", sample, "--output", tokenizer, "--vocab-size", 32000])
    ours, theirs = WORK / "tokens/ours", WORK / "tokens/peer"
    theirs.parent.mkdir(exist_ok=True)
    seconds, anonymous, _ = timed([BIN / "rialto", "data", "tokenize", text, "--tokenizer", tokenizer, "--output-prefix", ours, "--overwrite"])
    peer, _, _ = timed([sys.executable, ROOT / "bench/peer_preprocess.py", text, tokenizer, theirs, 2])
    equal = all(filecmp.cmp(f"{ours}{ending}", f"{theirs}{ending}", shallow=False) for ending in (".bin", ".idx"))
    return [[f"{text.stat().st_size / 1e6:.0f} MB of JSON lines to .bin/.idx", f"{seconds:.1f} s", "fast tokenizer in 2 workers, IndexedDatasetBuilder", f"{peer:.1f} s",
             f"{peer / seconds:.1f}x (>= 1.5x)", "the same bytes" if equal else "DIFFERENT FILES", f"{anonymous / 1e6:.0f} MB"]]


def packing():
    draw = numpy.random.RandomState(1)
    lengths = numpy.clip(draw.lognormal(5.8, 1.0, ROWS), 1, CAPACITY).astype(numpy.int32)
    lengths.tofile(WORK / "lengths.bin")
    lengths[:ROWS_FOR_THE_SCAN].tofile(WORK / "lengths-short.bin")
    # The scan is quadratic: a million rows would take it hours. It gets a twentieth of them, and so do we for the ratio.
    peer = run(sys.executable, ROOT / "bench/data_peer.py", "pack", WORK / "lengths-short.bin", CAPACITY)
    rows = []
    for algorithm in ("first-fit", "first-fit-decreasing", "best-fit"):
        short = run(BIN / "bench_data", "pack", algorithm, WORK / "lengths-short.bin", CAPACITY)
        whole = [run(BIN / "bench_data", "pack", algorithm, WORK / "lengths.bin", CAPACITY) for _ in range(3)]
        rows.append([f"packing, {algorithm}: 1 M rows {median([w['seconds'] for w in whole]):.2f} s; {ROWS_FOR_THE_SCAN:,} rows", f"{short['seconds'] * 1e3:.0f} ms",
                     "list scan, first fit", f"{peer['seconds']:.1f} s", f"{peer['seconds'] / short['seconds']:.0f}x (>= 20x)",
                     f"{100 * short['efficiency']:.2f} % full, the scan's {100 * peer['efficiency']:.2f} %", ""])
    return rows


def index():
    path = WORK / "documents.bin"
    numpy.random.RandomState(2).geometric(1 / MEAN_TOKENS, DOCUMENTS).astype(numpy.int32).tofile(path)
    tokens = int(numpy.fromfile(path, dtype=numpy.int32).sum(dtype=numpy.int64))
    samples = (tokens - 1) // SEQ_LENGTH
    ours = run(BIN / "bench_data", "index", path, SEQ_LENGTH, samples, 1234)
    peer = run(sys.executable, ROOT / "bench/data_peer.py", "index", path, SEQ_LENGTH, samples, 1234)
    path.unlink()
    return [[f"index of {DOCUMENTS / 1e6:.0f} M documents, {tokens / 1e9:.0f} G tokens", f"{ours['seconds']:.1f} s", "Megatron-Core's helpers and NumPy", f"{peer['seconds']:.1f} s",
             f"{peer['seconds'] / ours['seconds']:.1f}x (>= 4x)", "bit-equal" if ours["crc"] == peer["crc"] else "DIFFERENT INDICES", ""]]


def loading():
    """Samples a second as a run asks for them, beside the training step of workload C1: a loader that is not far ahead of
    the fastest step there is would be waited for."""
    import bench_train
    step = bench_train.TOKENS / bench_train.timed([BIN / "bench_train_step", "bf16", bench_train.THREADS, bench_train.STEPS]) * 1e3
    tokens, rows, packed = WORK / "mock", WORK / "mock.jsonl", WORK / "mock.parquet"
    run(BIN / "rialto", "data", "mock", "copy", "--rows", MOCK_ROWS, "--length", 60, "--vocab-size", 8192, "--output-prefix", tokens, "--overwrite", "--json")
    run(BIN / "rialto", "data", "mock", "copy", "--rows", MOCK_ROWS, "--length", 60, "--vocab-size", 8192, "--output", rows, "--overwrite", "--json")
    run(BIN / "rialto", "data", "pack", rows, "--size", 512, "--output", packed, "--overwrite", "--json")
    lines = []
    for kind, path in (("tokens", tokens), ("packed", packed)):
        for threads in (0, 2):
            done = run(BIN / "bench_data", "load", kind, path, 512, LOADED_SAMPLES, threads)
            rate = done["tokens"] / done["seconds"]
            lines.append([f"serving samples of 512 tokens, {'.bin/.idx' if kind == 'tokens' else 'packed rows'}, {threads or 'no'} reader threads", f"{rate / 1e6:.0f} M tok/s",
                          "our training step, workload C1", f"{step:,.0f} tok/s", f"{rate / step:,.0f}x (>= 100x)", f"{done['prepared'] / LOADED_SAMPLES:.0%} ready when asked for" if threads else "", ""])
    return lines


def report():
    return table("Preparing data (2 cores)", ["job", "rialto", "peer", "its time", "ratio", "result", "peak anonymous"], tokenize() + packing() + index() + loading())
