#!/usr/bin/env python3
"""Checks who includes whom: the table of rooms, no cycle, no torch left of the torch line, third-party headers at home.

This table is the law; ARCHITECTURE.md explains it. Exit 1 with one line per violation.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# room -> rooms it may include besides itself and base
NO_TORCH = {
    "base": [],
    "spec": [],
    "formats": [],
    "hub": ["formats"],
    "bridge": ["spec", "formats", "hub"],
    "families": ["spec", "bridge"],
    "store": ["spec", "formats"],
    "config": ["spec"],
    "resolve": ["spec", "hub", "bridge", "families", "config", "store"],
    "source": ["spec", "formats", "hub", "bridge", "families", "store", "config", "resolve"],
    "data": ["formats", "hub", "config"],
    "schedule": ["spec"],
    "report": ["store"],
    "convert": ["spec", "formats", "hub", "bridge", "families", "store", "config", "resolve", "source"],
}
TORCH = {
    "kernels": [],
    "comm": ["spec"],
    "model": ["spec", "schedule", "kernels", "comm"],
    "optim": ["spec", "kernels", "comm", "model"],
    "parallel": ["spec", "comm", "model", "optim"],
    "checkpoint": ["spec", "formats", "hub", "bridge", "families", "store", "config", "resolve", "source", "comm", "model", "optim", "parallel"],
    "generate": ["spec", "hub", "config", "resolve", "kernels", "model", "comm", "checkpoint"],
}
LEFT = list(NO_TORCH) + ["cli"]
TABLE = {**NO_TORCH, "cli": list(NO_TORCH), **TORCH}
TABLE["train"] = [*NO_TORCH, *TORCH]
TABLE["cli_train"] = [*NO_TORCH, *TORCH, "train", "cli"]

TORCH_HEADER = re.compile(r"^(torch|ATen|c10|caffe2)/")
# headers that only some rooms may see
AT_HOME = {
    re.compile(r"^nlohmann/"): {"base"},
    re.compile(r"^yaml-cpp/"): {"base"},
    re.compile(r"^xxhash\.h$"): {"base"},
    re.compile(r"^sentencepiece"): {"hub"},
    re.compile(r"^CLI/"): {"cli", "cli_train"},
    re.compile(r"^nccl\.h$"): {"comm"},
    re.compile(r"^gloo/"): {"comm"},
    re.compile(r"^torch/torch\.h$"): set(),
}
GENERATED = {"rialto_build_id.h", "rialto_results.h"}  # written by CMake into the build tree
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def check_file(path, room, text):
    """Violations of one file, as lines."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        header, where = match[2], f"{path}:{number}"
        if header.startswith("rialto/"):
            other = header.split("/")[1]
            if other not in TABLE:
                found.append(f"{where} includes '{header}' of a room that is not in the table")
            elif other != room and other != "base" and other not in TABLE[room]:
                found.append(f"{where} room '{room}' may not include room '{other}'")
            elif not (ROOT / "src" / header).exists():
                found.append(f"{where} includes '{header}', which does not exist")
        elif match[1] == '"' and header not in GENERATED:
            found.append(f"{where} includes \"{header}\": write rialto/<room>/<file>.h")
        if TORCH_HEADER.match(header) and room in LEFT:
            found.append(f"{where} torch header '{header}' left of the torch line")
        for pattern, rooms in AT_HOME.items():
            if pattern.match(header) and room not in rooms:
                found.append(f"{where} '{header}' may be included by {', '.join(sorted(rooms)) or 'no room'} only")
    return found


def find_cycle(table):
    """A list of rooms that include each other in a circle, or None."""
    done, active = set(), []

    def visit(room):
        if room in active:
            return active[active.index(room):] + [room]
        if room in done:
            return None
        active.append(room)
        for other in table[room]:
            if other != room and (cycle := visit(other)):
                return cycle
        active.pop()
        done.add(room)
        return None

    return next((cycle for room in table if (cycle := visit(room))), None)


def main():
    found = []
    if cycle := find_cycle(TABLE):
        found.append("the table has a cycle: " + " -> ".join(cycle))
    for folder in sorted((ROOT / "src/rialto").iterdir()):
        if not folder.is_dir():
            continue
        sources = sorted(p for p in folder.rglob("*") if p.suffix in {".h", ".cpp", ".cu"})
        if sources and folder.name not in TABLE:
            found.append(f"{folder} is a room that is not in the table")
            continue
        for path in sources:
            found += check_file(path.relative_to(ROOT), folder.name, path.read_text())
    print("\n".join(found) or "includes: every room includes only what its row names")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
