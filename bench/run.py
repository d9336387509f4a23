#!/usr/bin/env python3
"""Measures Rialto against named peers, always as a ratio in the same run on the same machine: `./dev bench [NAME]`.

NAME: startup, convert, train (default: all). --write puts the tables into docs/benchmarks.md. Nothing here gates a test.
"""
import argparse
import datetime
import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))
BIN = Path(os.environ.get("RIALTO_BIN", ROOT / "build/release/bin"))
WORK = ROOT / "out/bench"


def timed(command, **options):
    """Seconds, peak anonymous bytes and VmHWM bytes of one run of a program."""
    start = time.monotonic()
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
    peak = {"RssAnon": 0, "VmHWM": 0}

    def watch():
        while process.poll() is None:
            try:
                for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
                    key, _, value = line.partition(":")
                    if key in peak and value.strip():
                        peak[key] = max(peak[key], int(value.split()[0]) * 1024)
            except (OSError, ValueError):
                pass
            time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    errors = process.stderr.read()
    process.wait()
    seconds = time.monotonic() - start
    watcher.join()
    if process.returncode:
        sys.exit(f"error: {' '.join(map(str, command))} exited {process.returncode}\n{errors.decode()[-2000:]}")
    return seconds, peak["RssAnon"], peak["VmHWM"]


def median(values):
    return sorted(values)[len(values) // 2]


def table(title, head, rows):
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    line = lambda row: "| " + " | ".join(str(c).ljust(w) for c, w in zip(row, widths)) + " |"
    return "\n".join([f"### {title}", "", line(head), "|" + "|".join("-" * (w + 2) for w in widths) + "|", *map(line, rows), ""])


def write_rate(folder, total_bytes):
    """Bytes per second of plain sequential writes with fsync, from a reused buffer: what the disk allows in this run."""
    block = os.urandom(8 << 20)
    path = folder / "write-rate"
    start = time.monotonic()
    with open(path, "wb", buffering=0) as file:
        for _ in range(total_bytes // len(block)):
            file.write(block)
        os.fsync(file.fileno())
    rate = total_bytes / (time.monotonic() - start)
    path.unlink()
    return rate


def bench_startup():
    import peers

    model = peers.make_1b(WORK / "llama-1b")
    timed([BIN / "rialto", "inspect", model])
    version = median([timed([BIN / "rialto", "--version"])[0] for _ in range(15)])
    inspect = median([timed([BIN / "rialto", "inspect", model])[0] for _ in range(15)])
    empty = median([timed(["/bin/true"])[0] for _ in range(15)])
    rows = [["/bin/true (the clock's own cost)", f"{empty * 1e3:.1f} ms", ""],
            ["rialto --version", f"{version * 1e3:.1f} ms", "<= 20 ms"],
            ["rialto inspect, Llama-3.2-1B shape", f"{inspect * 1e3:.1f} ms", "<= 100 ms"]]
    return table("Start-up", ["command", "median of 15", "must reach"], rows)


def bench_convert(rounds=3):
    import peers

    model = peers.make_1b(WORK / "llama-1b")
    size = sum(p.stat().st_size for p in model.glob("*.safetensors"))
    native, back = WORK / "native", WORK / "hf-back"
    python = [sys.executable, ROOT / "bench/peers.py"]
    pairs = {"HF -> Megatron": ([BIN / "rialto", "convert", model, native, "--overwrite"], [*python, "import", model, WORK / "peer-native"]),
             "Megatron -> HF": ([BIN / "rialto", "convert", native, back, "--overwrite"], [*python, "export", WORK / "peer-native", WORK / "peer-hf"])}
    rows = []
    for name, (ours, theirs) in pairs.items():
        mine, peer, rates = [], [], []
        for _ in range(rounds):
            rates.append(write_rate(WORK, size))
            mine.append(timed(ours))
            peer.append(timed(theirs))
        seconds, other, rate = median([m[0] for m in mine]), median([p[0] for p in peer]), median(rates)
        rows.append([name, f"{seconds:.1f} s", f"{other:.1f} s", f"{other / seconds:.2f}x", f"{size / seconds / rate * 100:.0f} %",
                     f"{max(m[1] for m in mine) / 1e6:.0f} MB", f"{max(m[2] for m in mine) / 1e6:.0f} MB", f"{max(p[1] for p in peer) / 1e6:.0f} MB"])
    head = ["Llama-3.2-1B shape, 2.5 GB bf16, fsync on both sides", "rialto", "safetensors + torch", "ratio (>= 1.5x)",
            "share of fsynced write rate (>= 85 %)", "peak anonymous (<= 300 MB)", "VmHWM", "peer's anonymous"]
    return table(f"Conversion (medians of {rounds})", head, rows)


def bench_train():
    import bench_train as training

    return training.run(BIN)


BENCHES = {"startup": bench_startup, "convert": bench_convert, "train": bench_train}


def cpu_name():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--write", action="store_true", help="replace the named tables in docs/benchmarks.md")
    args = parser.parse_args()
    if unknown := set(args.names) - set(BENCHES):
        parser.error(f"unknown benchmark {', '.join(sorted(unknown))}; known: {', '.join(BENCHES)}")
    WORK.mkdir(parents=True, exist_ok=True)
    flags = Path("/proc/cpuinfo").read_text()
    wide = "AVX-512 bf16" if "avx512_bf16" in flags else "AVX2, no bf16 arithmetic" if "avx2" in flags else "no AVX2"
    where = f"{datetime.date.today()}, {cpu_name()} ({wide}), {os.cpu_count()} cores"
    for name in args.names or BENCHES:
        text = BENCHES[name]()
        print(text, flush=True)
        if args.write:
            write(name, f"{text}\nMeasured by `./dev bench {name}`: {where}.\n")


def write(name, text):
    path = ROOT / "docs/benchmarks.md"
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    old = path.read_text()
    head, rest = old.split(begin)
    path.write_text(head + begin + text + end + rest.split(end, 1)[1])


if __name__ == "__main__":
    main()
