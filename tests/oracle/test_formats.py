"""Our files opened by torch, torch.distributed.checkpoint, safetensors and Megatron-Core; theirs opened by us."""
import argparse
import json
import os
import pickle
import pickletools
import subprocess

import numpy
import pytest
import torch
import torch.distributed.checkpoint as dcp

TOOL = os.path.join(os.environ.get("RIALTO_BIN", ""), "formats_tool")
DTYPES = ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int64", "int32", "int16", "int8",
          "uint8", "uint16", "bool"]


def tool(*args, stdin=None, fails=None):
    """Runs the tool; returns its JSON, or with `fails` (an exit code) its message."""
    text = None if stdin is None else json.dumps(stdin)
    done = subprocess.run([TOOL, *map(str, args)], input=text, capture_output=True, text=True, timeout=60)
    if fails is not None:
        assert done.returncode == fails, (done.returncode, done.stderr)
        return done.stderr
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout else None


def elements(dtype, first, count):
    """What the tool writes: flat indices; one-byte types wrap."""
    index = torch.arange(first, first + count)
    kind = getattr(torch, dtype)
    if dtype == "bool":
        return (index % 2).to(torch.bool)
    if kind.itemsize == 1:
        return (index % 100).to(torch.uint8).view(kind)
    return index.to(kind)


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a.contiguous().view(-1).view(torch.uint8), b.contiguous().view(-1).view(torch.uint8))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [[], [0], [5], [3, 4], [2, 1, 3, 2, 2]])
def test_torch_opens_our_archives(tmp_path, dtype, shape):
    path = tmp_path / "t.pt"
    tool("write-archive", path, dtype, json.dumps(shape))
    want = elements(dtype, 0, torch.Size(shape).numel()).reshape(shape)
    assert same(torch.load(path, weights_only=True), want)
    assert same(torch.load(path, weights_only=True, mmap=True), want)
    assert os.path.getsize(path) % 64 == 0
    assert tool("read-archive", path)["offset"] % 64 == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [[], [0], [7], [3, 4]])
def test_we_open_torch_archives(tmp_path, dtype, shape):
    path = tmp_path / "t.pt"
    want = elements(dtype, 3, torch.Size(shape).numel()).reshape(shape)
    torch.save(want, path)
    got = tool("read-archive", path)
    assert (got["dtype"], got["shape"]) == (dtype, shape)
    assert bytes.fromhex(got["hex"]) == want.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    # The same archive in the middle of another file.
    body = path.read_bytes()
    (tmp_path / "packed").write_bytes(b"x" * 13 + body + b"y" * 9)
    assert tool("read-archive", tmp_path / "packed", 13, len(body))["hex"] == got["hex"]


def test_views_are_read_or_refused(tmp_path):
    whole = torch.arange(24.0).reshape(4, 6)
    torch.save(whole[2:], tmp_path / "rows.pt")  # contiguous, at an offset in a larger storage
    assert bytes.fromhex(tool("read-archive", tmp_path / "rows.pt")["hex"]) == whole[2:].numpy().tobytes()
    torch.save(whole[:, 1:3], tmp_path / "columns.pt")
    assert "not contiguous" in tool("read-archive", tmp_path / "columns.pt", fails=3)
    torch.save([whole], tmp_path / "list.pt")
    assert "expected" in tool("read-archive", tmp_path / "list.pt", fails=3)
    torch.save(whole, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert "old format" in tool("read-archive", tmp_path / "old.pt", fails=3)


def test_torch_opens_our_values(tmp_path):
    path = tmp_path / "common.pt"
    tool("write-file", path)
    value = torch.load(path, weights_only=True)
    assert list(value)[:3] == ["none", "true", "int"]
    assert value["none"] is None and value["true"] is True
    assert (value["int"], value["big"], value["byte"], value["word"], value["float"]) == (-5, 1 << 40, 200, 60000, 0.1)
    assert value["text"] == "caf\u00e9" and value["tuple"] == (1, (), (1, 2, 3, 4)) and value["list"] == [1, []]
    assert value["size"] == torch.Size([2, 3]) and type(value["ordered"]).__name__ == "OrderedDict"
    assert value["step"].item() == 7 and value["step"].dtype == torch.int64
    assert value["empty"][0].dtype == torch.uint8 and value["empty"][0].numel() == 0
    assert same(value["bf16"], elements("bfloat16", 0, 6).reshape(2, 3))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_we_open_torch_values(tmp_path, protocol):
    value = {"iteration": 3, "args": argparse.Namespace(no_save_rng=True, lr=1e-3), "list": [1, -2, 1 << 40, 2.5], "raw": b"\x00\xff\x80a",
             "set": {4}, "t": torch.tensor(9), "f": torch.tensor(0.5, dtype=torch.bfloat16), "b": torch.tensor(True), "long": list(range(3000))}
    torch.save(value, tmp_path / "v.pt", pickle_protocol=protocol)
    got = dict(map(lambda kv: (kv[0], kv[1]), tool("read-file", tmp_path / "v.pt", "argparse.Namespace")["dict"]))
    assert got["iteration"] == 3 and got["list"] == [1, -2, 1 << 40, 2.5] and got["long"] == list(range(3000))
    assert got["args"]["call"] == "argparse.Namespace" and got["args"]["state"] == {"dict": [["no_save_rng", True], ["lr", 1e-3]]}
    assert [b & 255 for b in got["raw"]["bytes"]] == [0, 255, 128, 97] and got["set"] == {"set": [4]}
    assert got["t"] == {"scalar": 9} and got["f"] == {"scalar": 0.5} and got["b"] == {"scalar": True}
    assert "not allowed" in tool("read-file", tmp_path / "v.pt", fails=3)


class Evil:
    def __init__(self, call, *args):
        self.call, self.args = call, args

    def __reduce__(self):
        return self.call, self.args


@pytest.mark.parametrize("call", [os.system, eval, exec, __import__, subprocess.Popen, getattr, torch.load])
def test_no_code_runs(tmp_path, call):
    torch.save({"x": Evil(call, f"touch {tmp_path}/ran")}, tmp_path / "evil.pt")
    assert "not allowed" in tool("read-file", tmp_path / "evil.pt", fails=3)
    assert not (tmp_path / "ran").exists()


SPEC = {"tensors": {"a.weight": {"dtype": "float32", "shape": [4, 6], "chunks": [[[0, 0], [2, 6]], [[2, 0], [2, 6]]]},
                    "b": {"dtype": "bfloat16", "shape": [5], "chunks": [[[0], [5]]]},
                    "scalar": {"dtype": "int64", "shape": [], "chunks": [[[], []]]},
                    "deep": {"dtype": "float16", "shape": [2, 2, 2, 2], "chunks": [[[i, 0, 0, 0], [1, 2, 2, 2]] for i in range(2)]}},
        "objects": ["m._extra_state/shard_0_2", "m._extra_state/shard_1_2"]}


def test_dcp_opens_our_checkpoints(tmp_path):
    tool("write-dcp", tmp_path, stdin=SPEC)
    state = {key: torch.zeros(entry["shape"], dtype=getattr(torch, entry["dtype"])) for key, entry in SPEC["tensors"].items()}
    state["m._extra_state/shard_1_2"] = "to be replaced"
    dcp.load(state, checkpoint_id=tmp_path, no_dist=True)
    for key, entry in SPEC["tensors"].items():
        want = elements(entry["dtype"], 0, state[key].numel()).reshape(entry["shape"])
        assert same(state[key], want), key
    assert state["m._extra_state/shard_1_2"][0].numel() == 0
    raw = (tmp_path / ".metadata").read_bytes()
    assert str(tmp_path).encode() not in raw
    metadata = pickle.loads(raw)
    assert metadata.storage_meta.checkpoint_id is None and metadata.version == "1.0.0"
    assert metadata.state_dict_metadata["a.weight"].properties.memory_format is torch.contiguous_format
    dumped = tool("dump-dcp", tmp_path / ".metadata")
    assert set(dumped["tensors"]) == set(SPEC["tensors"]) and set(dumped["objects"]) == set(SPEC["objects"])


def test_our_metadata_says_what_torch_would(tmp_path):
    """Same objects as torch's own writer makes for the same state, but for the path and the ids."""
    dcp.save({"b": torch.arange(5).to(torch.bfloat16), "o": "text"}, checkpoint_id=tmp_path / "theirs", no_dist=True)
    theirs = pickle.loads((tmp_path / "theirs" / ".metadata").read_bytes())
    tool("write-dcp", tmp_path / "ours", stdin={"tensors": {"b": SPEC["tensors"]["b"]}, "objects": ["o"]})
    ours = pickle.loads((tmp_path / "ours" / ".metadata").read_bytes())
    assert repr(ours.state_dict_metadata) == repr(theirs.state_dict_metadata)
    assert set(ours.storage_data) == set(theirs.storage_data)
    assert vars(ours).keys() == vars(theirs).keys() and vars(ours.storage_meta).keys() == vars(theirs.storage_meta).keys()


def test_we_open_dcp_checkpoints(tmp_path):
    state = {"w": torch.arange(12, dtype=torch.float32).reshape(3, 4), "h": torch.arange(6).to(torch.bfloat16), "n": torch.tensor(4),
             "u": torch.arange(3).to(torch.uint16), "o": {"x": [1, 2], "y": "text"}}
    dcp.save(state, checkpoint_id=tmp_path, no_dist=True)
    got = tool("dump-dcp", tmp_path / ".metadata")
    assert set(got["tensors"]) == {"w", "h", "n", "u"}
    assert all(key.startswith("o.") for key in got["objects"])
    for key in got["tensors"]:
        (chunk,) = got["tensors"][key]["chunks"]
        file, offset, length = chunk["span"]
        archive = tool("read-archive", tmp_path / file, offset, length)
        assert bytes.fromhex(archive["hex"]) == state[key].reshape(-1).view(torch.uint8).numpy().tobytes(), key
        assert archive["shape"] == list(state[key].shape) == chunk["sizes"]


def test_damaged_metadata_is_refused(tmp_path):
    tool("write-dcp", tmp_path, stdin=SPEC)
    whole = pickle.loads((tmp_path / ".metadata").read_bytes())

    def refused(metadata, want):
        (tmp_path / "bad").write_bytes(pickle.dumps(metadata))
        assert want in tool("dump-dcp", tmp_path / "bad", fails=3)

    from torch.distributed.checkpoint.metadata import MetadataIndex
    lost = pickle.loads(pickle.dumps(whole))
    del lost.storage_data[MetadataIndex("a.weight", [2, 0])]
    refused(lost, "does not say where 'a.weight' at (2, 0) lies")
    hole = pickle.loads(pickle.dumps(whole))
    hole.state_dict_metadata["a.weight"].chunks.pop()
    refused(hole, "not covered")
    away = pickle.loads(pickle.dumps(whole))
    away.storage_data[MetadataIndex("b", [0])].relative_path = "../../etc/passwd"
    refused(away, "outside of its folder")
    refused({"state_dict_metadata": {}}, "not a torch.distributed.checkpoint Metadata")
    whole.planner_data = Evil(os.system, f"touch {tmp_path}/ran")
    refused(whole, "not allowed")
    assert not (tmp_path / "ran").exists()


def test_our_pickles_use_protocol_2_only(tmp_path):
    tool("write-dcp", tmp_path, stdin=SPEC)
    highest = max(op.proto for op, _, _ in pickletools.genops((tmp_path / ".metadata").read_bytes()))
    assert highest == 2


@pytest.mark.parametrize("dtype", [d for d in DTYPES])
def test_safetensors_both_ways(tmp_path, dtype):
    from safetensors import safe_open
    from safetensors.torch import save_file
    path = tmp_path / "m.safetensors"
    tool("write-safetensors", path, stdin=[["z", dtype, [2, 3]], ["a \"q\" \u00e9", dtype, []], ["empty", dtype, [0, 4]]])
    with safe_open(path, "pt") as file:
        assert set(file.keys()) == {"z", "a \"q\" \u00e9", "empty"} and file.metadata() == {"format": "pt"}
        assert same(file.get_tensor("z"), elements(dtype, 0, 6).reshape(2, 3))
        assert list(file.get_tensor("empty").shape) == [0, 4]
    save_file({"x": elements(dtype, 0, 6).reshape(3, 2), "y": elements(dtype, 1, 1)}, path, metadata={"k": "v"})
    got = tool("dump-safetensors", path)
    assert got["metadata"] == {"k": "v"} and {row[0]: row[1:3] for row in got["tensors"]} == {"x": [dtype, [3, 2]], "y": [dtype, [1]]}


@pytest.mark.parametrize("vocab", [300, 65499, 65500, 151936])
def test_indexed_data_byte_for_byte(tmp_path, vocab):
    from megatron.core.datasets.indexed_dataset import DType, IndexedDataset, IndexedDatasetBuilder
    rng = numpy.random.default_rng(1)
    documents = [rng.integers(0, vocab, size=n).tolist() for n in (5, 1, 0, 300, 17)] + [[vocab - 1]]
    tool("write-idx", tmp_path / "ours", vocab, stdin=documents)
    builder = IndexedDatasetBuilder(str(tmp_path / "theirs.bin"), dtype=DType.optimal_dtype(vocab))
    for document in documents:
        builder.add_document(torch.tensor(document, dtype=torch.int64), [len(document)])
    builder.finalize(str(tmp_path / "theirs.idx"))
    for ending in (".bin", ".idx"):
        assert (tmp_path / f"ours{ending}").read_bytes() == (tmp_path / f"theirs{ending}").read_bytes(), ending
    dataset = IndexedDataset(str(tmp_path / "ours"))
    assert [dataset[i].tolist() for i in range(len(dataset))] == documents
    got = tool("dump-idx", tmp_path / "theirs")
    assert got["sequences"] == documents and got["documents"] == dataset.document_indices.tolist()
    assert got["bytes"] == (2 if vocab < 65500 else 4)


def test_indexed_data_of_several_sequences(tmp_path):
    from megatron.core.datasets.indexed_dataset import IndexedDatasetBuilder
    builder = IndexedDatasetBuilder(str(tmp_path / "d.bin"), dtype=numpy.int32)
    builder.add_document(torch.arange(9), [4, 5])
    builder.add_document(torch.arange(3), [3])
    builder.finalize(str(tmp_path / "d.idx"))
    got = tool("dump-idx", tmp_path / "d")
    assert got["documents"] == [0, 2, 3] and got["sequences"] == [[0, 1, 2, 3], [4, 5, 6, 7, 8], [0, 1, 2]]


def test_damaged_index_is_refused(tmp_path):
    tool("write-idx", tmp_path / "d", 300, stdin=[[1, 2, 3], [4]])
    assert "vocabulary" in tool("write-idx", tmp_path / "e", 4, stdin=[[1, 4]], fails=3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d.bin", "d.idx"]  # nothing of e stays
    data = (tmp_path / "d.bin").read_bytes()
    (tmp_path / "d.bin").write_bytes(data[:-1])
    assert "does not fit" in tool("dump-idx", tmp_path / "d", fails=3)
