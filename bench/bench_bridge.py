"""Conversion, decoding, comparison and the proof, each against what a careful engineer would write with safetensors and torch."""
import shutil
import subprocess
import sys

import checkpoints
from measure import BIN, ROOT, WORK, median, table, timed, write_rate

PYTHON_PEER = [sys.executable, ROOT / "bench/peers.py"]
ROUNDS = 3


def size_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def warm(folder):
    """Puts a folder's files into the page cache, where both sides find them."""
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb", buffering=0) as file:
                while file.read(8 << 20):
                    pass


def versus(name, ours, theirs, output):
    """One row: both commands (program, what, source, ...) in turn, with the disk's write rate for the bytes of `output` in each round."""
    mine, peer, rates = [], [], []
    for _ in range(ROUNDS):
        warm(ours[2])
        mine.append(timed(ours))
        size = size_of(output)
        rates.append(write_rate(WORK, size))
        warm(theirs[3])
        peer.append(timed(theirs))
    seconds, other = median([m[0] for m in mine]), median([p[0] for p in peer])
    return [name, f"{seconds:.1f} s", f"{other:.1f} s", f"{other / seconds:.2f}x", f"{size / seconds / median(rates) * 100:.0f} %",
            f"{max(m[1] for m in mine) / 1e6:.0f} MB", f"{max(m[2] for m in mine) / 1e6:.0f} MB", f"{max(p[1] for p in peer) / 1e6:.0f} MB"]


def convert():
    rows = []
    for title, make in {"Llama-3.2-1B, 2.5 GB": checkpoints.dense, "Qwen3-MoE, 256 experts, 2.6 GB": checkpoints.experts}.items():
        source = make(WORK / make.__name__)
        native, back = WORK / "native", WORK / "back"
        rows.append(versus(f"{title}: HF -> Megatron", [BIN / "rialto", "convert", source, native, "--overwrite"],
                           [*PYTHON_PEER, "import", source, WORK / "peer-native"], native))
        rows.append(versus(f"{title}: Megatron -> HF", [BIN / "rialto", "convert", native, back, "--overwrite"],
                           [*PYTHON_PEER, "export", WORK / "peer-native", WORK / "peer-back"], back))
        for folder in (native, back, WORK / "peer-native", WORK / "peer-back"):
            shutil.rmtree(folder)
    source, native = checkpoints.fp8(WORK / "fp8"), WORK / "native"
    rows.append(versus("DeepSeek V3, 1.5 GB of FP8 blocks: HF -> Megatron bf16", [BIN / "rialto", "convert", source, native, "--overwrite"],
                       [*PYTHON_PEER, "dequantize", source, WORK / "peer-native"], native))
    shutil.rmtree(native)
    shutil.rmtree(WORK / "peer-native")
    head = ["bf16, fsync on both sides", "rialto", "safetensors + torch", "ratio (>= 3x)", "or share of fsynced write rate (>= 85 %)",
            "peak anonymous (<= 300 MB)", "VmHWM", "peer's anonymous"]
    return table(f"Conversion of sources in the page cache (medians of {ROUNDS})", head, rows)


def decode():
    rows = []
    for codec, title in dict(fp8="FP8, blocks of 128 x 128", mxfp4="MXFP4", int4="INT4, groups of 32").items():
        size = [codec, "8192", "8192"]
        mine, peer = [], []
        for _ in range(ROUNDS):
            mine.append(float(subprocess.check_output([BIN / "bench_decode", *size])))
            peer.append(float(subprocess.check_output([sys.executable, ROOT / "bench/decode_peer.py", *size])))
        ours, theirs = median(mine), median(peer)
        rows.append([title, f"{8192 * 8192 * 2 / ours / 1e9:.1f} GB/s", f"{8192 * 8192 * 2 / theirs / 1e9:.1f} GB/s", f"{theirs / ours:.1f}x"])
    return table("Decoders, from memory into reused memory (bf16 written per second, all cores)", ["codec", "rialto", "vectorised torch", "ratio (>= 4x)"], rows)


def verify():
    source = checkpoints.dense(WORK / "dense")
    copy = WORK / "copy"
    shutil.copytree(source, copy, dirs_exist_ok=True)
    ours, theirs = [BIN / "rialto", "verify", source, copy], [*PYTHON_PEER, "equal", source, copy]
    timed(ours), timed(theirs)  # warm
    mine, peer = zip(*[(timed(ours)[0], timed(theirs)[0]) for _ in range(5)])
    shutil.rmtree(copy)
    return table("Comparison of two Hugging Face folders, warm (medians of 5)", ["2 x 2.5 GB", "rialto verify", "safetensors + torch.equal", "ratio (>= 2x)"],
                 [["Llama-3.2-1B", f"{median(mine):.2f} s", f"{median(peer):.2f} s", f"{median(peer) / median(mine):.1f}x"]])


def proof():
    rows = []
    for name, make in checkpoints.real_sizes.MODELS.items():
        config, tensors = make()
        source = checkpoints.real_sizes.write(WORK / "headers", config, tensors)
        runs = [timed([BIN / "rialto", "convert", source, WORK / "nowhere", "--dry-run"]) for _ in range(ROUNDS)]
        rows.append([name, f"{len(tensors):,}", f"{median([r[0] for r in runs]):.2f} s", f"{max(r[2] for r in runs) / 1e6:.0f} MB"])
        shutil.rmtree(source)
    return table(f"Plan and proof of the largest models, `convert --dry-run` (medians of {ROUNDS})", ["model", "tensors", "time (<= 5 s)", "VmHWM (<= 500 MB)"], rows)
