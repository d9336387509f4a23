"""Timing a program or a disk, and tables of what came out."""
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(os.environ.get("RIALTO_BIN", ROOT / "build/release/bin"))
WORK = ROOT / "out/bench"


def timed(command, **options):
    """Seconds, peak anonymous bytes and VmHWM bytes of one run of a program. What ran before leaves the disk nothing to do."""
    os.sync()
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
    os.sync()
    start = time.monotonic()
    with open(path, "wb", buffering=0) as file:
        for _ in range(total_bytes // len(block)):
            file.write(block)
        os.fsync(file.fileno())
    rate = total_bytes / (time.monotonic() - start)
    path.unlink()
    return rate
