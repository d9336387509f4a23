"""A large file of rows in which some are broken, in every way: exactly those are named, and everything else is as if they
had never been there. The full count runs under RIALTO_TEST_ALL."""
import json
import os
import random

import pytest

import chats
from programs import rialto, rialto_json
from test_sft_rows import PLAIN

ROWS, BROKEN = (1_000_000, 10_000) if os.environ.get("RIALTO_TEST_ALL") else (20_000, 200)
GOOD = '{"messages": [{"role": "user", "content": "say %d"}, {"role": "assistant", "content": "%d is %s"}]}'


def turns(*pairs):
    return json.dumps({"messages": [{"role": role, "content": content} for role, content in pairs]})


# kind -> (the line, a word of what is said about it)
KINDS = {
    "not UTF-8": (b'{"messages": [{"role": "user", "content": "\xff"}]}', "UTF-8"),
    "cut off": (GOOD[:40].encode(), "JSON"),
    "not JSON": (b"role: user", "JSON"),
    "two values": (b"{} {}", "JSON"),
    "a key twice": (b'{"prompt": "a", "prompt": "b", "completion": " c"}', "prompt"),
    "nested too deeply": (b'{"messages": ' + b"[" * 2000 + b"]" * 2000 + b"}", "nest"),
    "a number out of range": (b'{"prompt": "a", "completion": " b", "weight": 1e999}', "range"),
    "no object": (b"[1, 2]", "not a row"),
    "no form": (b'{"text": "a story"}', "not a row"),
    "no role": (b'{"messages": [{"content": "a"}]}', "role"),
    "a special token": (turns(("user", "a </s>"), ("assistant", "b")).encode(), "</s>"),
    "nothing trained": (turns(("user", "a question")).encode(), "trained"),
    "a weight below 0": (b'{"prompt": "a", "completion": " b", "weight": -1}', "weight"),
    "an empty completion": (b'{"prompt": "a", "completion": ""}', "empty"),
}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return chats.write_folder(tmp_path_factory.mktemp("tok") / "tok", PLAIN, chats.train_tokenizer())


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A clean file, and the same with broken rows strewn in; the number of the line of each broken row -> its kind."""
    folder = tmp_path_factory.mktemp("broken")
    draw = random.Random(4)
    at = set(draw.sample(range(ROWS + BROKEN), BROKEN))
    broken, line = {}, 0
    kinds = sorted(KINDS)
    with open(folder / "clean.jsonl", "wb") as clean, open(folder / "dirty.jsonl", "wb") as dirty:
        for number in range(ROWS + BROKEN):
            line += 1
            if number in at:
                kind = kinds[len(broken) % len(kinds)]
                broken[line] = kind
                dirty.write(KINDS[kind][0] + b"\n")
                continue
            row = (GOOD % (number, number, "hello " * (1 + number % 5))).encode() + b"\n"
            clean.write(row)
            dirty.write(row)
    assert set(broken.values()) == set(KINDS) and len(KINDS) >= 12
    return folder, broken


def test_exactly_the_broken_rows_are_named(files, tokenizer, tmp_path):
    folder, broken = files
    report = rialto_json("data", "check", folder / "dirty.jsonl", "--tokenizer", tokenizer, "--quarantine", tmp_path / "q.jsonl", exit_code=4, timeout=3600)
    assert report["rows"] == ROWS + BROKEN and report["findings"]["bad"] == BROKEN
    clean = rialto_json("data", "check", folder / "clean.jsonl", "--tokenizer", tokenizer, exit_code=None, timeout=3600)
    assert {key: report[key] for key in ("tokens", "trained", "weight", "lengths", "unigram_nats")} == {key: clean[key] for key in ("tokens", "trained", "weight", "lengths", "unigram_nats")}
    named = [json.loads(line) for line in (tmp_path / "q.jsonl").read_text().splitlines()]
    assert [row["row"] for row in named] == sorted(broken)
    for row in named:
        line, word = KINDS[broken[row["row"]]]
        assert word in row["what"] and f"dirty.jsonl:{row['row']}" in row["what"], row
        assert (bytes.fromhex(row["hex"]) if "hex" in row else row["text"].encode()) == line


def test_the_clean_part_is_packed_as_a_clean_file(files, tokenizer, tmp_path):
    folder, _ = files
    options = ["--tokenizer", tokenizer, "--size", 512]
    clean = rialto_json("data", "pack", folder / "clean.jsonl", *options, "--output", tmp_path / "clean.parquet", timeout=3600)
    dirty = rialto_json("data", "pack", folder / "dirty.jsonl", *options, "--output", tmp_path / "dirty.parquet", "--quarantine", tmp_path / "q.jsonl", timeout=3600)
    assert dirty.pop("quarantined") == BROKEN
    assert (tmp_path / "dirty.parquet").read_bytes() == (tmp_path / "clean.parquet").read_bytes()
    assert {**dirty, "output": ""} == {**clean, "output": ""} and clean["rows"] == ROWS
    assert len((tmp_path / "q.jsonl").read_text().splitlines()) == BROKEN
    # without a place for them the first one ends the run, and nothing appears
    done = rialto("data", "pack", folder / "dirty.jsonl", *options, "--output", tmp_path / "none.parquet", exit_code=3, timeout=3600)
    assert f"dirty.jsonl:{min(files[1])}" in done.stderr and not (tmp_path / "none.parquet").exists()


def peak_bytes(*arguments):
    """Of one run: the children of a fresh process."""
    import subprocess
    import sys
    code = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL); "
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)")
    done = subprocess.run([sys.executable, "-c", code, os.path.join(os.environ["RIALTO_BIN"], "rialto"), *map(str, arguments)], capture_output=True, text=True, check=True, timeout=3600)
    return int(done.stdout)


def test_memory_hangs_on_the_number_of_rows_alone(files, tokenizer, tmp_path):
    """Packing keeps 16 bytes a row; checking a hash of each: ten times the file takes no ten times the memory."""
    folder, _ = files
    lines = (folder / "clean.jsonl").open("rb")
    few = tmp_path / "few.jsonl"
    with few.open("wb") as out:
        for _ in range(ROWS // 10):
            out.write(next(lines))
    lines.close()
    small, large = (peak_bytes("data", "pack", path, "--tokenizer", tokenizer, "--size", 512, "--threads", 2, "--overwrite", "--output", tmp_path / "m.parquet") for path in (few, folder / "clean.jsonl"))
    assert large - small < 64 * ROWS + (24 << 20), (small, large)
