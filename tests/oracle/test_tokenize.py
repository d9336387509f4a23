"""`rialto data tokenize` on every kind of input: the same tokens out of JSON lines, gzip, Zstandard and parquet, files made by other
programs; shards; exactly the bad rows named."""
import gzip
import json
import os
import random
import subprocess
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from megatron.core.datasets.indexed_dataset import IndexedDataset

from programs import folder, refused, rialto, rialto_json


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """texts, a tokenizer and the pair that plain JSON lines give."""
    root = tmp_path_factory.mktemp("tokenize")
    draw = random.Random(1)
    library = Path(os.__file__).parent
    source = "".join((library / name).read_text(encoding="utf-8") for name in ("argparse.py", "ast.py", "typing.py"))
    cuts = sorted(draw.randrange(len(source)) for _ in range(900))
    texts = [source[a:b] + draw.choice(["", " naïve", " 漢字", "\n🙂"]) for a, b in zip(cuts, cuts[1:])]
    texts = [text for text in texts if text]
    (root / "plain.jsonl").write_text("".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(texts)))
    rialto("data", "train-tokenizer", root / "plain.jsonl", "--output", root / "tok", "--vocab-size", 500)
    tokenize(root, "plain", root / "plain.jsonl")
    return root, texts


def tokenize(root, name, *arguments, **options):
    return rialto_json("data", "tokenize", *arguments, "--tokenizer", root / "tok", "--output-prefix", root / name, **options)


def documents(path):
    dataset = IndexedDataset(str(path))   # its arrays lie in mapped memory that ends with it
    return [tokens.tolist() for tokens in dataset[:]]


def pair(path):
    return [Path(f"{path}{ending}").read_bytes() for ending in (".bin", ".idx")]


def zstd(path, data):
    path.write_bytes(pyarrow.compress(data, codec="zstd", asbytes=True))


def test_compressed_files_hold_the_same_documents(made):
    root, texts = made
    lines = (root / "plain.jsonl").read_bytes()
    half = lines.index(b"\n", len(lines) // 2) + 1
    (root / "one.jsonl.gz").write_bytes(gzip.compress(lines))
    (root / "members.jsonl.gz").write_bytes(gzip.compress(lines[:half - 20]) + gzip.compress(lines[half - 20:]))   # cut inside a line
    zstd(root / "one.jsonl.zst", lines)
    zstd(root / "part", lines[half:])
    zstd(root / "frames.jsonl.zst", lines[:half])
    with open(root / "frames.jsonl.zst", "ab") as file:
        file.write((root / "part").read_bytes())
    for name in ("one.jsonl.gz", "members.jsonl.gz", "one.jsonl.zst", "frames.jsonl.zst"):
        report = tokenize(root, f"out-{name}", root / name)
        assert pair(root / f"out-{name}") == pair(root / "plain"), name
        assert report["documents"] == len(texts) and report["files"] == 1
    for name in ("one.jsonl.gz", "one.jsonl.zst"):
        (root / f"cut-{name}").write_bytes((root / name).read_bytes()[:-1000])
        done = rialto("data", "tokenize", root / f"cut-{name}", "--tokenizer", root / "tok", "--output-prefix", root / "cut", exit_code=3)
        refused(done, f"cut-{name}", "unpacked")
        assert not (root / "cut.parts").exists()
    (root / "one.txt.gz").write_bytes(gzip.compress(texts[0].encode()))
    tokenize(root, "text", root / "one.txt.gz")
    assert documents(root / "text") == documents(root / "plain")[:1]


@pytest.mark.parametrize("options", [{"compression": "snappy"}, {"compression": "zstd", "use_dictionary": False}, {"compression": "gzip", "data_page_version": "2.0"},
                                     {"compression": "none", "version": "1.0", "row_group_size": 37}], ids=lambda o: o["compression"])
def test_parquet_files_hold_the_same_documents(made, options):
    root, texts = made
    name = options["compression"]
    table = pyarrow.table({"id": range(len(texts)), "text": texts, "list": [[1]] * len(texts)})
    pyarrow.parquet.write_table(table, root / f"{name}.parquet", **{"row_group_size": 200, **options})
    report = tokenize(root, f"out-{name}", root / f"{name}.parquet", "--part-bytes", 20000)
    assert pair(root / f"out-{name}") == pair(root / "plain") and report["parts"] == 1   # a chunk is not divided


def test_parquet_rows_that_are_no_texts(made):
    root, texts = made
    rows = texts[:5] + [None, ""] + texts[5:9]
    pyarrow.parquet.write_table(pyarrow.table({"body": rows, "n": range(len(rows))}), root / "null.parquet")
    run = ["data", "tokenize", root / "null.parquet", "--tokenizer", root / "tok", "--output-prefix", root / "null"]
    refused(rialto(*run, exit_code=3), "null.parquet", '"text"', "it has body")
    refused(rialto(*run, "--json-key", "n", exit_code=3), '"n"', "it has body")
    refused(rialto(*run, "--json-key", "body", exit_code=3), "null.parquet row 6", "null")
    report = rialto_json(*run, "--json-key", "body", "--quarantine", root / "null.bad")
    assert report["quarantined"] == {"null": 1} and report["documents"] == 9 and report["skipped"] == {"empty": 1}
    (root / "not.parquet").write_bytes(b"PAR1 but no more")
    refused(rialto("data", "tokenize", root / "not.parquet", "--tokenizer", root / "tok", "--output-prefix", root / "null2", exit_code=3), "not.parquet", "is not a parquet file")


def test_stdin_patterns_and_folders_give_the_same(made, tmp_path):
    root, texts = made
    lines = (root / "plain.jsonl").read_bytes().splitlines(keepends=True)
    command = [folder() / "rialto", "data", "tokenize", "-", "--tokenizer", root / "tok", "--output-prefix", tmp_path / "stdin", "--json"]
    done = subprocess.run([str(c) for c in command], input=b"".join(lines), capture_output=True)
    assert done.returncode == 0 and json.loads(done.stdout)["documents"] == len(texts)
    assert pair(tmp_path / "stdin") == pair(root / "plain")
    (tmp_path / "many").mkdir()
    for i in range(12):
        part = b"".join(lines[len(lines) * i // 12:len(lines) * (i + 1) // 12])
        name = tmp_path / "many" / f"part-{i:02}.jsonl"
        name.with_suffix(".jsonl.gz").write_bytes(gzip.compress(part)) if i % 3 == 1 else name.write_bytes(part)
    tokenize(root, "glob", tmp_path / "many/part-*")
    tokenize(root, "folder", tmp_path / "many")
    assert pair(root / "glob") == pair(root / "folder") == pair(root / "plain")
    refused(rialto("data", "tokenize", tmp_path / "many/none-*", "--tokenizer", root / "tok", "--output-prefix", tmp_path / "x", exit_code=3), "matches nothing")


def test_shards_merge_into_the_whole_and_threads_change_nothing(made):
    root, texts = made
    documents = 0
    for i in range(1, 6):
        documents += tokenize(root, "s", root / "plain.jsonl", "--shard", f"{i}/5", "--threads", i)["documents"]
    assert documents == len(texts)
    report = rialto_json("data", "merge", *sorted(root.glob("s.*-of-05.idx")), "--output-prefix", root / "merged")
    assert pair(root / "merged") == pair(root / "plain") and report["documents"] == len(texts)
    theirs = IndexedDataset(str(root / "merged"))
    assert len(theirs) == len(texts) and theirs.document_indices.tolist() == list(range(len(texts) + 1))
    done = rialto("data", "tokenize", root / "plain.jsonl", "--tokenizer", root / "tok", "--output-prefix", root / "s", "--shard", "6/5", exit_code=2)
    refused(done, "--shard", "6/5")


BROKEN = {
    "not UTF-8": lambda d: b'{"text": "caf\xe9 %d"}' % d, "cut off": lambda d: b'{"text": "row %d' % d, "not JSON": lambda d: b"{'text': 'row %d'}" % d,
    "more than one value": lambda d: b'{"text": "a"} {"text": "%d"}' % d, "duplicate key": lambda d: b'{"text": "a", "id": %d, "text": "b"}' % d,
    "nested too deeply": lambda d: b'{"text": "a", "x": ' + b"[" * (257 + d % 9) + b"]" * (257 + d % 9) + b"}",
    "number out of range": lambda d: b'{"text": "a", "x": 1e%d}' % (400 + d % 99), "not an object": lambda d: b'["text", %d]' % d,
    "no such key": lambda d: b'{"txt": "row %d"}' % d, "null": lambda d: b'{"id": %d, "text": null}' % d, "not text": lambda d: b'{"text": [%d]}' % d,
    "too long": None,
}


def test_exactly_the_broken_rows_are_named(made, seed, full, tmp_path):
    """Rows of which one in a hundred is broken, of twelve kinds; one of them is longer than a document may be."""
    root, _ = made
    draw = random.Random(seed)
    rows, broken = (1_000_000, 10_000) if full else (20_000, 200)
    at = dict(zip(sorted(draw.sample(range(rows), broken)), [draw.choice([kind for kind in BROKEN if BROKEN[kind]]) for _ in range(broken - 12)] + list(BROKEN)))
    with open(tmp_path / "clean.jsonl", "wb") as clean, open(tmp_path / "mixed.jsonl", "wb") as mixed:
        for i in range(rows):
            if i not in at:
                row = json.dumps({"id": i, "text": f"row {draw.random()}"}).encode() + b"\n"
                clean.write(row)
                mixed.write(row)
            elif at[i] == "too long":
                mixed.write(b'{"text": "' + b"z" * ((64 << 20) + 9) + b'"}\n')
            else:
                mixed.write(BROKEN[at[i]](i) + b"\n")
    run = ["data", "tokenize", tmp_path / "mixed.jsonl", "--tokenizer", root / "tok", "--output-prefix", tmp_path / "mixed"]
    first = min(at)
    refused(rialto(*run, exit_code=3), f"mixed.jsonl:{first + 1}")
    report = rialto_json(*run, "--quarantine", tmp_path / "bad.jsonl")
    named = [json.loads(line) for line in (tmp_path / "bad.jsonl").read_text().splitlines()]
    assert [(row["row"] - 1, row["kind"]) for row in named] == list(at.items())
    assert {kind: list(at.values()).count(kind) for kind in BROKEN if kind in at.values()} == report["quarantined"]
    for row in named:
        if row["kind"] != "too long":
            assert (bytes.fromhex(row["hex"]) if "hex" in row else row["text"].encode()) == BROKEN[row["kind"]](row["row"] - 1)
    rialto("data", "tokenize", tmp_path / "clean.jsonl", "--tokenizer", root / "tok", "--output-prefix", tmp_path / "clean")
    assert pair(tmp_path / "mixed") == pair(tmp_path / "clean")


def test_memory_does_not_grow_with_the_corpus(made, tmp_path):
    root, texts = made
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)

    def peak(times):
        (tmp_path / "big.jsonl").write_text(lines * times)
        # VmHWM: the address space that was touched, mapped files included, of the one child
        script = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
                  "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
        command = [folder() / "rialto", "data", "tokenize", tmp_path / "big.jsonl", "--tokenizer", root / "tok", "--output-prefix", tmp_path / "big", "--overwrite", "--threads", 2]
        return int(subprocess.run(["python3", "-c", script, *map(str, command)], capture_output=True, check=True).stdout)

    small, large = peak(15), peak(45)   # 4 and 13 MB: about what is on its way at once, and three times that
    assert large < 1.25 * small, (small, large)
    assert documents(tmp_path / "big") == documents(root / "plain") * 45


def test_memory_does_not_grow_with_the_corpus(made):
    """Peak resident memory (VmHWM) of tokenizing four times the text, bounded by chunks on their way and one part."""
    root, texts = made
    peaks = []
    for times in (40, 160):
        with open(root / f"big{times}.jsonl", "w") as out:
            for i in range(times):
                out.writelines(json.dumps({"id": i, "text": text}) + "\n" for text in texts)
        command = [folder() / "rialto", "data", "tokenize", root / f"big{times}.jsonl", "--tokenizer", root / "tok", "--output-prefix", root / f"big{times}", "--threads", "2", "--part-bytes", "4000000"]
        process = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0
        peaks.append(usage.ru_maxrss * 1024)
    assert (root / "big160.bin").stat().st_size == 4 * (root / "big40.bin").stat().st_size > 10_000_000 // 2
    assert peaks[1] < 1.1 * peaks[0] + 4e6, peaks
