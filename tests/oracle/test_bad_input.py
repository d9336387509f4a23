"""Bad input: one error line that names file, tensor or key, the exit code of its kind, nothing half-written, old output intact."""
import json
import os
import pickle
import shutil
import struct

import pytest
import torch

import programs
import torch_dist
import toys
import training_runs
from mutations import Safetensors
from test_resume import RANDOM_MODEL, documents

LLAMA = toys.BY_NAME["llama"]
NORM = "model.norm.weight"


@pytest.fixture
def hf(shelf, tmp_path):
    """A HF directory to damage; one file."""
    return shutil.copytree(shelf.path(LLAMA), tmp_path / "hf")


@pytest.fixture
def sharded(shelf, tmp_path):
    return shutil.copytree(shelf.path(LLAMA, torch.bfloat16, sharded=True), tmp_path / "sharded")


@pytest.fixture(scope="module")
def converted(shelf, tmp_path_factory):
    root = tmp_path_factory.mktemp("converted") / "root"
    programs.rialto("convert", shelf.path(LLAMA), root)
    return root


@pytest.fixture
def native(converted, tmp_path):
    """A native root to damage."""
    return shutil.copytree(converted, tmp_path / "native")


def refuses_to_convert(source, out, *words, exit_code=3):
    """Refused into nothing, and again over an older output, which stays as it was."""
    line = programs.refused(programs.rialto("convert", source, out, exit_code=exit_code), *words)
    assert not out.exists()
    out.mkdir()
    (out / "config.json").write_text("{}")
    (out / "old").write_text("old output")
    before = programs.snapshot(out.parent)
    programs.refused(programs.rialto("convert", source, out, "--overwrite", exit_code=exit_code), *words)
    assert programs.snapshot(out.parent) == before
    return line


def edit_header(path, edit):
    """Rewrites a safetensors header in place: edit(header) -> header or raw bytes."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = edit(json.loads(data[8:8 + size]))
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + data[8 + size:])


def shifted(name, begin, end):
    def edit(header):
        offsets = header[name]["data_offsets"]
        header[name]["data_offsets"] = [offsets[0] + begin, offsets[1] + end]
        return header
    return edit


def changed(name, **values):
    def edit(header):
        header[name].update(values)
        return header
    return edit


def weights_of(folder):
    return folder / "model.safetensors"


# --- safetensors that are cut or lie

@pytest.mark.parametrize("keep", [0, 4, 8, 100, -1, -5000])
def test_truncated_safetensors(keep, hf, tmp_path):
    data = weights_of(hf).read_bytes()
    weights_of(hf).write_bytes(data[:keep])
    refuses_to_convert(hf, tmp_path / "out", "model.safetensors")


@pytest.mark.parametrize("what,edit,names_tensor", [
    ("an offset past the end", shifted(NORM, 10**7, 10**7), True),
    ("a huge offset", changed(NORM, data_offsets=[2**63, 2**63 + 144]), False),
    ("a negative offset", changed(NORM, data_offsets=[-144, 0]), False),
    ("overlap", shifted(NORM, -8, -8), False),
    ("a gap", shifted(NORM, 8, 8), False),
    ("more bytes than the shape", shifted(NORM, 0, 4), False),
    ("the wrong dtype size", changed(NORM, dtype="BF16"), True),
    ("an unknown dtype", changed(NORM, dtype="F33"), True),
    ("a negative size", changed(NORM, shape=[-36]), False),
    ("a shape that overflows", changed(NORM, shape=[2**40, 2**40]), True),
    ("no JSON", lambda header: b'{"model.norm.weight": ', False),
    ("no object", lambda header: b"[1, 2, 3]", False),
    ("deep nesting", lambda header: b"[" * 100000, False),
], ids=lambda v: v if isinstance(v, str) else "")
def test_lying_safetensors(what, edit, names_tensor, hf, tmp_path):
    edit_header(weights_of(hf), edit)
    line = refuses_to_convert(hf, tmp_path / "out", "model.safetensors")
    assert not names_tensor or NORM in line, line


def test_duplicate_name(hf, tmp_path):
    file = Safetensors(weights_of(hf))
    file.entries.append(next(e for e in file.entries if e[0] == NORM))
    file.write(weights_of(hf))
    refuses_to_convert(hf, tmp_path / "out", NORM)


def test_a_header_of_100_mb_and_more(hf, tmp_path):
    data = weights_of(hf).read_bytes()
    weights_of(hf).write_bytes(struct.pack("<Q", 101 * 10**6) + data[8:])
    refuses_to_convert(hf, tmp_path / "out", "model.safetensors")
    with open(weights_of(hf), "r+b") as f:   # and one that is really there
        f.truncate(102 * 10**6)
    refuses_to_convert(hf, tmp_path / "out2", "model.safetensors")


def test_a_name_in_two_shards(sharded, tmp_path):
    first, second = sorted(sharded.glob("*.safetensors"))[:2]
    file, other = Safetensors(first), Safetensors(second)
    other.entries.append(file.entries[0])
    other.write(second)
    refuses_to_convert(sharded, tmp_path / "out", file.entries[0][0])


# --- the directory

def test_an_index_that_names_a_missing_shard(sharded, tmp_path):
    gone = sorted(sharded.glob("*.safetensors"))[1]
    gone.unlink()
    refuses_to_convert(sharded, tmp_path / "out", gone.name)


def test_an_index_that_names_a_missing_tensor(sharded, tmp_path):
    path = sharded / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["model.layers.9.mlp.up_proj.weight"] = sorted(set(index["weight_map"].values()))[0]
    path.write_text(json.dumps(index))
    refuses_to_convert(sharded, tmp_path / "out", "model.layers.9.mlp.up_proj.weight")


def test_an_index_that_points_outside(sharded, tmp_path):
    path = sharded / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    name = sorted(index["weight_map"])[0]
    index["weight_map"][name] = "../hf/model.safetensors"
    path.write_text(json.dumps(index))
    refuses_to_convert(sharded, tmp_path / "out", "../hf/model.safetensors")


def test_missing_config(hf, tmp_path):
    (hf / "config.json").unlink()
    refuses_to_convert(hf, tmp_path / "out", "config.json")


def test_nothing_there(tmp_path):
    refuses_to_convert(tmp_path / "nowhere", tmp_path / "out", "nowhere")


def edit_config(folder, **values):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for key, value in values.items():
        if value is KeyError:
            del config[key]
        else:
            config[key] = value
    path.write_text(json.dumps(config))


@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size", "architectures"])
def test_missing_config_key(key, hf, tmp_path):
    edit_config(hf, **{key: KeyError})
    refuses_to_convert(hf, tmp_path / "out", "config.json", key)


@pytest.mark.parametrize("key,value", [("hidden_size", "36"), ("hidden_size", -36), ("num_hidden_layers", 2.5), ("num_hidden_layers", 10**9), ("vocab_size", None),
                                       ("rms_norm_eps", "small"), ("tie_word_embeddings", "no"), ("mlp_bias", True), ("hidden_act", "gelu"),
                                       ("no_such_key", 3), ("rope_parameters", {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}),
                                       ("num_key_value_heads", 4), ("quantization_config", {"quant_method": "awq"})])
def test_config_that_cannot_be_computed(key, value, hf, tmp_path):
    edit_config(hf, **{key: value})
    refuses_to_convert(hf, tmp_path / "out", "config.json", key)


def test_config_that_is_no_json(hf, tmp_path):
    (hf / "config.json").write_text('{"hidden_size": 36,')
    refuses_to_convert(hf, tmp_path / "out", "config.json")


def test_an_unknown_architecture_lists_the_known_and_the_nearest(hf, tmp_path):
    edit_config(hf, architectures=["Qwen33ForCausalLM"])
    line = refuses_to_convert(hf, tmp_path / "out", "Qwen33ForCausalLM", "LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")
    assert "nearest" in line and line.index("Qwen3ForCausalLM") >= 0


# --- tensors

@pytest.mark.parametrize("kind", ["missing", "extra", "reshaped", "another layer"])
def test_tensors_that_do_not_fit_the_config(kind, hf, tmp_path):
    file = Safetensors(weights_of(hf))
    number = next(i for i, e in enumerate(file.entries) if e[0] == "model.layers.1.mlp.up_proj.weight")
    name, dtype, shape, data = file.entries[number]
    if kind == "missing":
        del file.entries[number]
    elif kind == "reshaped":
        file.entries[number] = [name, dtype, shape[::-1], data]
    else:
        name = "model.layers.1.mlp.up_proj.scale" if kind == "extra" else "model.layers.7.mlp.up_proj.weight"
        file.entries.append([name, dtype, shape, data])
    file.write(weights_of(hf))
    refuses_to_convert(hf, tmp_path / "out", name)


def test_a_tied_model_whose_head_is_another(shelf, tmp_path):
    hf = shutil.copytree(shelf.path(toys.BY_NAME["llama-tied"]), tmp_path / "tied")
    file = Safetensors(weights_of(hf))
    name, dtype, shape, data = next(e for e in file.entries if e[0] == "model.embed_tokens.weight")
    file.entries.append(["lm_head.weight", dtype, shape, data])
    file.write(weights_of(hf))
    programs.rialto("convert", hf, tmp_path / "same")     # a copy of the embedding is the embedding
    file.entries[-1][3] = data[:-4] + struct.pack("<f", 3.0)
    file.write(weights_of(hf))
    refuses_to_convert(hf, tmp_path / "out", "lm_head.weight")


# --- destinations

def test_a_destination_that_is_not_empty(hf, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("precious")
    before = programs.snapshot(tmp_path)
    programs.refused(programs.rialto("convert", hf, out, exit_code=2), "out", "empty")
    assert programs.snapshot(tmp_path) == before


@pytest.mark.parametrize("inside", ["inside", "."])
def test_a_destination_inside_the_source(inside, hf, tmp_path):
    before = programs.snapshot(tmp_path)
    programs.refused(programs.rialto("convert", hf, hf / inside, "--overwrite", exit_code=2), "hf")
    assert programs.snapshot(tmp_path) == before


def test_a_source_inside_the_destination(hf, tmp_path):
    before = programs.snapshot(tmp_path)
    programs.refused(programs.rialto("convert", hf, tmp_path, "--overwrite", exit_code=2))
    assert programs.snapshot(tmp_path) == before


def test_a_destination_that_is_a_file(hf, tmp_path):
    (tmp_path / "out").write_text("precious")
    programs.refused(programs.rialto("convert", hf, tmp_path / "out", exit_code=2), "out")
    assert (tmp_path / "out").read_text() == "precious"


@pytest.mark.parametrize("room", [0, 1000, 50000, 150000])
@pytest.mark.parametrize("kind", ["hf", "native"])
def test_a_full_disk(kind, room, shelf, converted, tmp_path):
    source = shelf.path(LLAMA) if kind == "hf" else converted
    fault = {"RIALTO_TEST_FAULT": f"full:write:{room}"}
    programs.refused(programs.rialto("convert", source, tmp_path / "out", exit_code=1, env=fault), "No space left")
    assert programs.snapshot(tmp_path) == {}
    programs.rialto("convert", source, tmp_path / "out")
    before = programs.snapshot(tmp_path)
    programs.refused(programs.rialto("convert", source, tmp_path / "out", "--overwrite", exit_code=1, env=fault), "No space left")
    assert programs.snapshot(tmp_path) == before


def test_a_dry_run_writes_nothing(shelf, tmp_path):
    programs.rialto("convert", shelf.path(LLAMA), tmp_path / "out", "--dry-run")
    assert programs.snapshot(tmp_path) == {}


# --- native checkpoints

def iter_of(root):
    return next(root.glob("iter_*"))


def write_manifestless(folder, metadata):
    (folder / "manifest.json").unlink()
    with open(folder / ".metadata", "wb") as f:
        pickle.dump(metadata, f)


@pytest.mark.parametrize("name", ["__0_0.distcp", ".metadata", "manifest.json", "common.pt"])
@pytest.mark.parametrize("damage", ["truncated", "bit", "missing"])
def test_damaged_native_files_are_named(name, damage, native, tmp_path):
    if name == "manifest.json" and damage == "missing":
        pytest.skip("listed reason: a checkpoint without manifest is a foreign one")
    path = iter_of(native) / name
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(data[:-40] if damage == "truncated" else data[:len(data) // 2] + bytes([data[len(data) // 2] ^ 4]) + data[len(data) // 2 + 1:])
    out = tmp_path / "out"
    programs.refused(programs.rialto("convert", native, out, exit_code=3), name)
    assert not out.exists()


def test_metadata_that_asks_for_code(native, tmp_path):
    """A pickle that would run a command when Python loads it: refused, and the class it asks for is named."""
    folder = iter_of(native)

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/ran",)
    write_manifestless(folder, Evil())
    refuses_to_convert(native, tmp_path / "out", ".metadata", "system")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("protocol", [2, 4])
def test_common_state_that_asks_for_code(protocol, native, train_values, tmp_path):
    """Read by resuming only; a conversion of weights has no use for it."""
    import zipfile
    folder = iter_of(native)
    (folder / "manifest.json").unlink()

    class Evil:
        def __reduce__(self):
            return eval, (f"open({str(tmp_path / 'ran')!r}, 'w')",)
    with zipfile.ZipFile(folder / "common.pt", "w") as z:
        z.writestr("archive/data.pkl", pickle.dumps({"iteration": Evil()}, protocol))
        z.writestr("archive/version", "3\n")
    programs.rialto("convert", native, tmp_path / "out")
    values = {k: v for k, v in train_values.items() if not k.startswith("model.")}
    before = programs.snapshot(native)
    programs.refused(training_runs.train(tmp_path, {**values, "checkpoint.load": native, "checkpoint.save": native, "mixed_precision": "fp32"}, exit_code=3), "common.pt")
    assert programs.snapshot(native) == before and not (tmp_path / "ran").exists()


@pytest.mark.parametrize("raw", [b"", b"\x80", b"\x80\x02.", b"\x80\x04" + b"(" * 5000, b"not a pickle", b"\x80\x02]" + b"q\x00" * 100])
def test_metadata_that_is_no_pickle(raw, native, tmp_path):
    folder = iter_of(native)
    (folder / "manifest.json").unlink()
    (folder / ".metadata").write_bytes(raw)
    refuses_to_convert(native, tmp_path / "out", ".metadata")


def test_metadata_that_points_past_its_file(native, tmp_path):
    folder = iter_of(native)
    metadata = torch_dist.metadata(folder)
    index = next(i for i in metadata.storage_data if i.fqn == "output_layer.weight")
    metadata.storage_data[index].offset += 10**6
    write_manifestless(folder, metadata)
    refuses_to_convert(native, tmp_path / "out", "output_layer.weight", metadata.storage_data[index].relative_path)


def test_metadata_that_points_outside(native, tmp_path):
    folder = iter_of(native)
    metadata = torch_dist.metadata(folder)
    index = next(i for i in metadata.storage_data if i.fqn == "output_layer.weight")
    metadata.storage_data[index].relative_path = "../../secret.distcp"
    write_manifestless(folder, metadata)
    refuses_to_convert(native, tmp_path / "out", "../../secret.distcp")


def test_a_damaged_newest_iteration_falls_back_and_says_so(shelf, tmp_path):
    data = training_runs.write_indexed(tmp_path / "data", documents(30, 4))
    values = {**RANDOM_MODEL, "dataset.data_path": data, "dataset.seq_length": 24, "train.train_iters": 4, "checkpoint.save_interval": 2,
              "checkpoint.save": tmp_path / "run", "checkpoint.load": tmp_path / "run"}
    training_runs.train(tmp_path, values)
    newest = tmp_path / "run" / "iter_0000004" / "__0_0.distcp"
    newest.write_bytes(newest.read_bytes()[:-100])
    done = programs.rialto("convert", tmp_path / "run", tmp_path / "out", exit_code=0)
    assert "iter_0000004" in done.stderr + done.stdout and "newest complete iteration, 2" in done.stderr + done.stdout
    report = training_runs.train(tmp_path / "more", values)
    assert report["first_iteration"] == 2


# --- training

@pytest.fixture(scope="module")
def train_values(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad-training")
    return {**RANDOM_MODEL, "dataset.data_path": training_runs.write_indexed(folder / "data", documents(30, 5)), "dataset.seq_length": 24, "train.train_iters": 4}


def refuses_to_train(tmp_path, values, *words, exit_code=2):
    done = training_runs.train(tmp_path, {**values, "checkpoint.save": tmp_path / "run"}, exit_code=exit_code)
    line = programs.refused(done, *words)
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").glob("*iter_*")), "something was saved"
    return line


@pytest.mark.parametrize("values,words", [
    ({"train.globl_batch_size": 4}, ["recipe.yaml:", "globl_batch_size", "global_batch_size"]),
    ({"trian.train_iters": 4}, ["recipe.yaml:", "trian", "train"]),
    ({"train.train_iters": "many"}, ["recipe.yaml:", "train.train_iters", "many"]),
    ({"optimizer.lr": True}, ["recipe.yaml:", "optimizer.lr"]),
    ({"train.global_batch_size": 5}, ["train.global_batch_size", "train.micro_batch_size"]),
    ({"train.micro_batch_size": 0}, ["train.micro_batch_size"]),
    ({"train.global_batch_size": -4}, ["train.global_batch_size"]),
    ({"scheduler.lr_warmup_iters": 9, "scheduler.lr_decay_iters": 5, "scheduler.lr_decay_style": "cosine"}, ["scheduler.lr_warmup_iters", "lr_decay_iters"]),
    ({"mixed_precision": "fp8"}, ["mixed_precision", "fp8"]),
    ({"model.num_query_groups": 4}, ["num_query_groups"]),
    ({"scheduler.lr_decay_style": "cosin"}, ["lr_decay_style", "cosin", "cosine"]),
], ids=lambda v: ",".join(v) if isinstance(v, dict) else "")
def test_configuration_that_is_refused(values, words, train_values, tmp_path):
    refuses_to_train(tmp_path, {**train_values, **values}, *words)


@pytest.mark.parametrize("setting,words", [("train.globl_batch_size=4", ["globl_batch_size", "global_batch_size"]), ("train.train_iters", ["train.train_iters"]),
                                           ("train.train_iters=1.5", ["train.train_iters", "1.5"])])
def test_settings_that_are_refused(setting, words, train_values, tmp_path):
    recipe = training_runs.write_recipe(tmp_path / "recipe.yaml", train_values)
    programs.refused(programs.rialto_train("train", recipe, "--set", setting, exit_code=2), *words)


def damaged_index(folder, edit):
    prefix = training_runs.write_indexed(folder / "bad", documents(30, 6))
    path = prefix.with_suffix(".idx")
    path.write_bytes(edit(path.read_bytes()))
    return prefix


@pytest.mark.parametrize("what,edit", [
    ("empty", lambda d: b""), ("cut", lambda d: d[:-9]), ("magic", lambda d: b"X" + d[1:]), ("version", lambda d: d[:9] + b"\x07" + d[10:]),
    ("type", lambda d: d[:17] + b"\x63" + d[18:]), ("count", lambda d: d[:18] + struct.pack("<Q", 2**60) + d[26:]),
    ("length", lambda d: d[:34] + struct.pack("<i", -4) + d[38:]), ("offset", lambda d: d[:34 + 4 * 30 + 8] + struct.pack("<q", 2**40) + d[34 + 4 * 30 + 16:]),
    ("longer", lambda d: d + b"12345678")], ids=lambda v: v if isinstance(v, str) else "")
def test_corrupt_index(what, edit, train_values, tmp_path):
    refuses_to_train(tmp_path, {**train_values, "dataset.data_path": damaged_index(tmp_path, edit)}, "bad.idx", exit_code=3)


def test_a_bin_file_that_is_cut(train_values, tmp_path):
    prefix = damaged_index(tmp_path, lambda d: d)
    path = prefix.with_suffix(".bin")
    path.write_bytes(path.read_bytes()[:-100])
    refuses_to_train(tmp_path, {**train_values, "dataset.data_path": prefix}, "bad.bin", exit_code=3)


def test_tokens_beyond_the_vocabulary(train_values, tmp_path):
    prefix = training_runs.write_indexed(tmp_path / "big", [[3, 4, 60000] * 100])
    line = refuses_to_train(tmp_path, {**train_values, "dataset.data_path": prefix}, "60000", exit_code=3)
    assert "0 to 210" in line


def test_data_that_is_not_there(train_values, tmp_path):
    refuses_to_train(tmp_path, {**train_values, "dataset.data_path": tmp_path / "nowhere"}, "nowhere", exit_code=3)


def test_a_loss_that_is_not_finite_stops_before_the_update(shelf, train_values, tmp_path):
    """A weight that makes the loss infinite: exit 1, the iteration is named, the state before it is saved (or nothing is, when
    the weights themselves are not finite)."""
    hf = shutil.copytree(shelf.path(LLAMA), tmp_path / "hf")
    file = Safetensors(weights_of(hf))
    for entry in file.entries:
        if entry[0] == "lm_head.weight":
            entry[3] = struct.pack("<f", 3e38) * (len(entry[3]) // 4)
    file.write(weights_of(hf))
    data = {k: v for k, v in train_values.items() if not k.startswith("model.")}
    values = {**data, "checkpoint.pretrained_checkpoint": hf, "checkpoint.save": tmp_path / "run", "mixed_precision": "fp32"}
    done = training_runs.train(tmp_path, values, exit_code=1)
    line = programs.refused(done, "iteration 1")
    assert "finite" in line
    saved = torch_dist.tensors(tmp_path / "run" / "iter_0000000")
    assert all(value.isfinite().all() for value in saved.values())
    assert torch.equal(saved["output_layer.weight"], torch.full_like(saved["output_layer.weight"], 3e38))


def test_weights_that_are_not_finite_are_never_saved(shelf, train_values, tmp_path):
    hf = shutil.copytree(shelf.path(LLAMA), tmp_path / "hf")
    file = Safetensors(weights_of(hf))
    entry = next(e for e in file.entries if e[0] == "model.layers.0.mlp.up_proj.weight")
    entry[3] = struct.pack("<f", float("nan")) + entry[3][4:]
    file.write(weights_of(hf))
    data = {k: v for k, v in train_values.items() if not k.startswith("model.")}
    done = training_runs.train(tmp_path, {**data, "checkpoint.pretrained_checkpoint": hf, "checkpoint.save": tmp_path / "run"}, exit_code=1)
    programs.refused(done, "finite")
    assert not list((tmp_path / "run").glob("iter_*"))


# --- command lines

@pytest.mark.parametrize("arguments", [["convert"], ["convert", "a"], ["convert", "a", "b", "c"], ["convert", "a", "b", "--dtype", "fp7"],
                                       ["convert", "a", "b", "--to", "onnx"], ["convertt", "a", "b"], ["verify", "a"], ["inspect"], ["--no-such-flag"]])
def test_wrong_command_lines(arguments, tmp_path):
    done = programs.rialto(*arguments, exit_code=2, cwd=tmp_path)
    assert done.stderr.startswith("error: ") and programs.snapshot(tmp_path) == {}


@pytest.mark.parametrize("tokens,words", [("[[1, 2], [3]]", []), ("[[1, 500]]", ["500"]), ("[[1, -1]]", ["-1"]), ("[1, 2]", []), ("[[1.5, 2]]", []), ("nonsense", []), ("[]", [])])
def test_wrong_token_files(tokens, words, shelf, tmp_path):
    (tmp_path / "ids.json").write_text(tokens)
    done = programs.rialto_train("logits", shelf.path(LLAMA), "--tokens", tmp_path / "ids.json", "--out", tmp_path / "out.safetensors", exit_code=None)
    assert done.returncode in (2, 3), done.stderr
    programs.refused(done, "ids.json", *words)
    assert not (tmp_path / "out.safetensors").exists()


def test_verify_says_what_differs(shelf, converted, tmp_path):
    """Exit 4, and what differs, is missing, is extra; --ulp accepts what was rounded."""
    hf = shutil.copytree(shelf.path(LLAMA), tmp_path / "hf")
    assert "equal" in programs.rialto("verify", hf, converted).stdout
    values = toys.tensors(hf)
    values[NORM][3] = torch.nextafter(values[NORM][3], torch.tensor(9.0))
    toys.write_tensors(weights_of(hf), values)
    done = programs.rialto("verify", hf, converted, exit_code=4)
    assert NORM in done.stdout + done.stderr
    programs.rialto("verify", hf, converted, "--ulp", "1")
    report = json.loads(programs.rialto("verify", hf, converted, "--json", exit_code=4).stdout)
    assert [d["tensor"] for d in report["differences"]] == [NORM]
