#!/usr/bin/env python3
"""Measures Rialto against named peers, always as a ratio in the same run on the same machine: `./dev bench [NAME]`.

NAME: startup, config, convert, decode, verify, proof, train, memory, loop, parallel, data (default: all). --write puts the tables into docs/benchmarks.md. Nothing here gates a test.
"""
import argparse
import datetime
import os
import platform
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from measure import BIN, ROOT, WORK, median, table, timed  # noqa: E402


def bench_startup():
    import checkpoints

    model = checkpoints.dense(WORK / "llama-1b")
    timed([BIN / "rialto", "inspect", model])
    version = median([timed([BIN / "rialto", "--version"])[0] for _ in range(15)])
    inspect = median([timed([BIN / "rialto", "inspect", model])[0] for _ in range(15)])
    empty = median([timed(["/bin/true"])[0] for _ in range(15)])
    rows = [["/bin/true (the clock's own cost)", f"{empty * 1e3:.1f} ms", ""],
            ["rialto --version", f"{version * 1e3:.1f} ms", "<= 20 ms"],
            ["rialto inspect, Llama-3.2-1B shape", f"{inspect * 1e3:.1f} ms", "<= 100 ms"]]
    return table("Start-up", ["command", "median of 15", "must reach"], rows)


def bench_config():
    import bench_config as config

    return config.run()


def bench_train():
    import bench_train as training

    return training.run(BIN)


def bench_memory():
    import bench_memory as memory

    return memory.run(BIN)


def bench_loop():
    import bench_loop as loop

    return loop.run()


def bench_parallel():
    import bench_parallel as ranks

    return ranks.run()


def bench_data():
    import bench_data as data

    return data.report()


def bench_bridge(name):
    def measure():
        import bench_bridge

        return getattr(bench_bridge, name)()
    return measure


BENCHES = {"startup": bench_startup, "config": bench_config, **{name: bench_bridge(name) for name in ("convert", "decode", "verify", "proof")}, "train": bench_train, "memory": bench_memory, "loop": bench_loop, "parallel": bench_parallel, "data": bench_data}


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
