"""`rialto data pack` against pyarrow, NumPy and Bridge's way of packing, written out plainly."""
import collections
import json
import random

import numpy
import pyarrow
import pyarrow.parquet
import pytest

from programs import refused, rialto, rialto_json


def draw_rows(seed, count=2500, most=60):
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        length = draw.randint(2, draw.choice([6, 20, most]))
        rows.append({"input_ids": [draw.randrange(200_000) for _ in range(length)], "loss_mask": [draw.randint(0, 1) for _ in range(length)]})
    return rows


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def segments(table):
    """(ids, mask) of each segment of each packed row, as Bridge stores them."""
    out = []
    for row in table.to_pylist():
        bounds = row["seq_start_id"] + [len(row["input_ids"])]
        out.append([(tuple(row["input_ids"][a:b]), tuple(row["loss_mask"][a:b])) for a, b in zip(bounds, bounds[1:])])
    return out


def stored(row, multiple=1, pad=0):
    """What fill_packing_strategy makes of a row: the mask moved left by one; padded so that the room is a multiple."""
    more = -(len(row["input_ids"]) - 1) % multiple
    return tuple(row["input_ids"]) + (pad,) * more, tuple(row["loss_mask"][1:]) + (0,) * (more + 1)


def first_fit(lengths, size):
    """Upstream's list scan; the rows' lengths, bin by bin."""
    bins, sums = [], []
    for length in lengths:
        for i, used in enumerate(sums):
            if used + length <= size:
                bins[i].append(length)
                sums[i] += length
                break
        else:
            bins.append([length])
            sums.append(length)
    return bins


@pytest.mark.parametrize("algorithm", ["first-fit", "first-fit-decreasing", "best-fit", "first-fit-shuffle"])
def test_pyarrow_reads_every_row_once(tmp_path, seed, algorithm):
    rows = draw_rows(seed)
    write_rows(tmp_path / "rows.jsonl", rows)
    report = rialto_json("data", "pack", tmp_path / "rows.jsonl", "--size", 100, "--algorithm", algorithm,
                         "--output", tmp_path / "p.idx.parquet", "--metadata", tmp_path / "m.jsonl")
    table = pyarrow.parquet.read_table(tmp_path / "p.idx.parquet")
    assert table.schema == pyarrow.schema([("input_ids", pyarrow.list_(pyarrow.int32())), ("loss_mask", pyarrow.list_(pyarrow.int8())),
                                           ("seq_start_id", pyarrow.list_(pyarrow.int32()))])
    assert pyarrow.parquet.ParquetFile(tmp_path / "p.idx.parquet").metadata.row_group(0).num_rows == min(500, report["bins"])
    bins = segments(table)
    assert collections.Counter(s for b in bins for s in b) == collections.Counter(map(stored, rows))
    sums = [sum(len(ids) - 1 for ids, _ in b) for b in bins]
    assert max(sums) <= 100 and len(bins) == report["bins"]
    lengths = [len(row["input_ids"]) - 1 for row in rows]
    plain = first_fit(lengths, 100)
    if algorithm == "first-fit":
        assert [[len(ids) - 1 for ids, _ in b] for b in bins] == plain
    if algorithm == "first-fit-decreasing":
        assert [[len(ids) - 1 for ids, _ in b] for b in bins] == first_fit(sorted(lengths, reverse=True), 100)
        assert len(bins) <= len(plain)
    metadata = {"dataset_max_seqlen": max(lengths), "max_samples_per_bin": max(map(len, bins)), "packing_factor": round(len(lengths) / len(bins), 2),
                "packing_efficiency": round(sum(sums) / len(sums) / 100 * 100, 2), "pack_size": 100, "min_packed_seqlen": min(sums)}
    assert report["metadata"] == metadata and json.loads((tmp_path / "m.jsonl").read_text()) == [metadata]


def test_segments_are_multiples_for_parallel_sizes(tmp_path, seed):
    rows = draw_rows(seed, 400)
    write_rows(tmp_path / "rows.jsonl", rows)
    for options, multiple in ((["--context-parallel-size", 2], 4), (["--tensor-parallel-size", 3, "--context-parallel-size", 2], 12), (["--pad-multiple", 16], 16)):
        rialto("data", "pack", tmp_path / "rows.jsonl", "--size", 96, *options, "--pad-token", 7, "--output", tmp_path / "p.parquet", "--overwrite")
        bins = segments(pyarrow.parquet.read_table(tmp_path / "p.parquet"))
        assert all((len(ids) - 1) % multiple == 0 for b in bins for ids, _ in b)
        assert collections.Counter(s for b in bins for s in b) == collections.Counter(stored(row, multiple, 7) for row in rows)


def test_bridges_own_files_are_read(tmp_path, seed):
    """Parquet as its write_packed_parquet leaves it to pyarrow to choose types (int64), and the older .npy."""
    rows = draw_rows(seed, 1200)
    packed = []
    for i in range(0, len(rows), 3):
        item = {"input_ids": [], "loss_mask": [], "seq_start_id": []}
        for row in rows[i:i + 3]:
            ids, mask = stored(row)
            item["seq_start_id"].append(len(item["input_ids"]))
            item["input_ids"] += ids
            item["loss_mask"] += mask
        packed.append(item)
    table = pyarrow.table({key: [row[key] for row in packed] for key in packed[0]})
    pyarrow.parquet.write_table(table, tmp_path / "wide.parquet", row_group_size=150)
    narrow = table.cast(pyarrow.schema([("input_ids", pyarrow.list_(pyarrow.int32())), ("loss_mask", pyarrow.list_(pyarrow.int8())), ("seq_start_id", pyarrow.list_(pyarrow.int32()))]))
    pyarrow.parquet.write_table(narrow, tmp_path / "narrow.idx.parquet", compression="zstd", use_dictionary=False, data_page_version="2.0")
    numpy.save(tmp_path / "old.npy", packed)
    numpy.save(tmp_path / "bool.npy", [{**row, "loss_mask": [bool(m) for m in row["loss_mask"]]} for row in packed])
    for name in ("wide.parquet", "narrow.idx.parquet", "old.npy", "bool.npy"):
        report = rialto_json("data", "pack", tmp_path / name, "--output", tmp_path / f"out-{name}.parquet")
        assert pyarrow.parquet.read_table(tmp_path / f"out-{name}.parquet").to_pylist() == packed, name
        assert report == {"output": str(tmp_path / f"out-{name}.parquet"), "bins": len(packed), "segments": len(rows),
                          "tokens": sum(len(row["input_ids"]) - 1 for row in rows)}


def test_what_is_no_packed_file_is_refused(tmp_path):
    good = {"input_ids": [1, 2, 3, 4], "loss_mask": [1, 1, 1, 0], "seq_start_id": [0]}
    cases = {"mask length": {"loss_mask": [1]}, "mask value": {"loss_mask": [1, 2, 1, 0]}, "no segment": {"seq_start_id": []}, "segment at 1": {"seq_start_id": [1]},
             "falling": {"seq_start_id": [0, 2, 2]}, "beyond": {"seq_start_id": [0, 4]}, "negative id": {"input_ids": [1, -2, 3, 4]}, "wide id": {"input_ids": [1, 2 ** 31, 3, 4]},
             "null": {"input_ids": [1, None, 3, 4]}, "null list": {"loss_mask": None}}
    run = ["data", "pack", "--output", tmp_path / "out.parquet"]
    for name, change in cases.items():
        rows = [good, {**good, **change}]
        pyarrow.parquet.write_table(pyarrow.table({key: [row[key] for row in rows] for key in good}), tmp_path / "bad.parquet")
        refused(rialto(*run, tmp_path / "bad.parquet", exit_code=3), "bad.parquet")
        numpy.save(tmp_path / "bad.npy", rows)
        refused(rialto(*run, tmp_path / "bad.npy", exit_code=3), "bad.npy row 1")
    pyarrow.parquet.write_table(pyarrow.table({"input_ids": [[1, 2]], "loss_mask": [[1, 0]]}), tmp_path / "bad.parquet")
    refused(rialto(*run, tmp_path / "bad.parquet", exit_code=3), "seq_start_id", "it has input_ids, loss_mask")
    numpy.save(tmp_path / "bad.npy", numpy.arange(5))
    refused(rialto(*run, tmp_path / "bad.npy", exit_code=3), "numbers")
    numpy.save(tmp_path / "bad.npy", [{"input_ids": rialto}], allow_pickle=True)
    refused(rialto(*run, tmp_path / "bad.npy", exit_code=3), "no code is run")
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY\x01\x00\xff\xff")
    refused(rialto(*run, tmp_path / "bad.npy", exit_code=3), "bad.npy")
    assert not (tmp_path / "out.parquet").exists() and not list(tmp_path.glob(".*"))


def test_bad_rows_are_named(tmp_path):
    good = '{"input_ids": [1, 2, 3], "loss_mask": [0, 1, true]}\n'
    run = ["data", "pack", tmp_path / "rows.jsonl", "--size", 8, "--output", tmp_path / "out.parquet"]
    for line in ('{"input_ids": [1, 2]}', '{"input_ids": [1, 2], "loss_mask": [1]}', '{"input_ids": [1, "2"], "loss_mask": [1, 1]}', '{"input_ids": [1, 2], "loss_mask": [1, 3]}',
                 '{"input_ids": [1], "loss_mask": [1]}', '{"input_ids": [1, 4294967296], "loss_mask": [1, 1]}', "[1]", "{", json.dumps({"input_ids": [1] * 10, "loss_mask": [1] * 10})):
        (tmp_path / "rows.jsonl").write_text(good + "\n" + line + "\n" + good)
        refused(rialto(*run, exit_code=3), "rows.jsonl:3")
    (tmp_path / "rows.jsonl").write_text(good)
    assert rialto_json(*run)["rows"] == 1
    refused(rialto(*run, exit_code=2), "out.parquet", "already exists")
    refused(rialto(*run, tmp_path / "out.parquet", "--overwrite", exit_code=2), "mixed")


def test_conversations_are_packed_as_they_are_trained(tmp_path, seed):
    """Ids and masks of `data pack --tokenizer` are those that the encoder gives row by row."""
    import chats
    folder = chats.write_folder(tmp_path / "tok", "{% for m in messages %}{% if m.role == 'assistant' %}<a>{% generation %}{{ m.content }}</s>{% endgeneration %}"
                                "{% else %}<s>{{ m.role }}: {{ m.content }}{% endif %}\n{% endfor %}", chats.train_tokenizer())
    draw = random.Random(seed)
    words = ["one", "two", "three ", "vier", "fünf", "六", "\n"]
    rows = [{"messages": [{"role": role, "content": "".join(draw.choices(words, k=draw.randint(1, 20)))} for _ in range(draw.randint(1, 3)) for role in ("user", "assistant")]}
            for _ in range(200)]
    write_rows(tmp_path / "chats.jsonl", rows)
    want = [{"input_ids": answer["ids"], "loss_mask": [int(w) for w in answer["weights"]]}
            for answer in chats.ask(*({"do": "row", "path": str(folder), "row": row} for row in rows))]
    size = max(len(row["input_ids"]) for row in want)
    report = rialto_json("data", "pack", tmp_path / "chats.jsonl", "--tokenizer", folder, "--size", size, "--output", tmp_path / "p.parquet")
    bins = segments(pyarrow.parquet.read_table(tmp_path / "p.parquet"))
    assert collections.Counter(s for b in bins for s in b) == collections.Counter(map(stored, want)) and report["rows"] == 200
    (tmp_path / "weighted.jsonl").write_text(json.dumps({**rows[0], "weight": 0.5}) + "\n")
    done = rialto("data", "pack", tmp_path / "weighted.jsonl", "--tokenizer", folder, "--size", size, "--output", tmp_path / "q.parquet", exit_code=3)
    refused(done, "weighted.jsonl:1", "0.5")
