"""pytorch_model.bin and its shards: the same native bytes as their safetensors twins; nothing in a pickle is ever run."""
import collections
import json
import os
import pickle
import shutil
import subprocess
import zipfile

import pytest
import torch

import programs
import toys

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
TOYS = ["llama", "qwen3-tied", "mixtral", "phi3", "deepseek_v3"]
LAYOUT = ("rialto_source/tensors.json", "manifest.json")  # where the files and their order are told


def pickled(folder, out, state, shards=1):
    """The folder's twin with `state` saved by torch.save."""
    shutil.copytree(folder, out, ignore=shutil.ignore_patterns("*.safetensors*"))
    if shards == 1:
        torch.save(state, out / "pytorch_model.bin")
        return out
    names, weight_map = list(state), {}
    for i in range(shards):
        file = f"pytorch_model-{i + 1:05}-of-{shards:05}.bin"
        part = names[i::shards]
        torch.save({name: state[name] for name in part}, out / file)
        weight_map.update(dict.fromkeys(part, file))
    index = {"metadata": {"total_size": sum(t.nbytes for t in state.values())}, "weight_map": weight_map}
    (out / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return out


def state_of(folder):
    """As model.state_dict() has it: a tied head is a second name for the embedding."""
    state = collections.OrderedDict(toys.tensors(folder))
    if toys.toy_files.read_config(folder).get("tie_word_embeddings"):
        state[HEAD] = state[EMBEDDING]
    state._metadata = collections.OrderedDict({"": {"version": 1}})
    return state


def native_bytes(root):
    return {name: data for name, data in programs.snapshot(root).items() if not name.endswith(LAYOUT)}


def forms(state):
    """The same weights in every form that torch.save gives them."""
    flat = torch.cat([t.reshape(-1) for t in state.values()])
    views, at = {}, 0
    for name, tensor in state.items():
        views[name] = flat[at:at + tensor.numel()].view(tensor.shape)
        at += tensor.numel()
    return {"ordered": state, "plain": dict(state), "one-storage": views,
            "parameters": {name: torch.nn.Parameter(tensor) for name, tensor in state.items()}}


@pytest.mark.parametrize("name", TOYS)
@pytest.mark.parametrize("shards", [1, 3])
def test_the_same_native_bytes_as_the_safetensors_twin(shelf, tmp_path, name, shards):
    folder = shelf.path(toys.BY_NAME[name], torch.bfloat16)
    twin = pickled(folder, tmp_path / "twin", state_of(folder), shards)
    programs.rialto("convert", folder, tmp_path / "a")
    report = programs.rialto_json("convert", twin, tmp_path / "b")
    assert native_bytes(tmp_path / "a") == native_bytes(tmp_path / "b")
    assert any("pytorch_model.bin" in notice and "safetensors" in notice for notice in report["notices"])
    programs.rialto("verify", twin, tmp_path / "a")
    programs.rialto("convert", tmp_path / "b", tmp_path / "back")
    assert not list((tmp_path / "back").glob("*.bin*"))
    assert len(list((tmp_path / "back").glob("*.safetensors"))) == shards
    back, want = toys.tensors(tmp_path / "back"), state_of(folder)
    assert back.keys() == want.keys()
    assert all(back[key].dtype == want[key].dtype and torch.equal(back[key], want[key]) for key in want)


@pytest.mark.parametrize("form", ["ordered", "plain", "one-storage", "parameters"])
def test_every_form_of_a_state_dict(shelf, tmp_path, form):
    folder = shelf.path(toys.BY_NAME["llama-tied"])
    twin = pickled(folder, tmp_path / "twin", forms(state_of(folder))[form])
    programs.rialto("convert", folder, tmp_path / "a")
    programs.rialto("verify", twin, tmp_path / "a")


def test_a_pickled_model_computes_as_its_twin(shelf, tmp_path):
    folder = shelf.path(toys.BY_NAME["llama"])
    twin = pickled(folder, tmp_path / "twin", state_of(folder))
    (tmp_path / "rows.json").write_text("[[1, 2, 3, 4]]")
    for source, out in ((folder, "a"), (twin, "b")):
        programs.rialto("logits", source, "--tokens", tmp_path / "rows.json", "--out", tmp_path / out)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


class Command:
    """What an attacker would save in place of a tensor."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


HOSTILE = {"posix.system": lambda path: Command(os.system, f"touch {path}"),
           "eval": lambda path: Command(eval, f"open({str(path)!r}, 'w')"),
           "exec": lambda path: Command(exec, f"open({str(path)!r}, 'w')"),
           "Popen": lambda path: Command(subprocess.Popen, ["touch", str(path)]),
           "getattr": lambda path: Command(getattr, "text", "upper")}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("place", ["value", "key", "whole"])
def test_hostile_pickles_are_refused(shelf, tmp_path, name, place):
    folder, mark = shelf.path(toys.BY_NAME["llama"]), tmp_path / "mark"
    state, bomb = dict(state_of(folder)), HOSTILE[name](mark)
    if place == "value":
        state["model.norm.weight"] = bomb
    elif place == "key":
        state[bomb] = torch.zeros(1)
    twin = pickled(folder, tmp_path / "twin", bomb if place == "whole" else state)
    for command in (["convert", twin, tmp_path / "out"], ["inspect", twin], ["verify", twin, folder]):
        programs.refused(programs.rialto(*command, exit_code=3), "pytorch_model.bin", name)
    assert not mark.exists() and not (tmp_path / "out").exists()


def test_what_is_no_state_dict_is_named(shelf, tmp_path):
    folder = shelf.path(toys.BY_NAME["llama"])
    state = dict(state_of(folder))
    twin = pickled(folder, tmp_path / "twin", state)

    def refused(*words, **save):
        if save:
            torch.save(save.pop("value"), twin / "pytorch_model.bin", **save)
        programs.refused(programs.rialto("convert", twin, tmp_path / "out", exit_code=3), "pytorch_model.bin", *words)

    refused("old format", value=state, _use_new_zipfile_serialization=False)
    refused("'model'", value={"model": state})
    refused("'step'", value={**state, "step": 3})
    refused("no dict", value=list(state.values()))
    refused("'model.norm.weight'", "not contiguous", value={**state, "model.norm.weight": torch.zeros(100)[::2]})
    refused("not contiguous", value={**state, EMBEDDING: state[EMBEDDING].T})
    refused("sparse", value={**state, EMBEDDING: torch.eye(4).to_sparse()})
    torch.save(state, twin / "pytorch_model.bin")
    whole = (twin / "pytorch_model.bin").read_bytes()
    for size in (0, 100, len(whole) // 2, len(whole) - 1):
        (twin / "pytorch_model.bin").write_bytes(whole[:size])
        refused()
    (twin / "pytorch_model.bin").write_bytes(pickle.dumps({"a": 1}))
    refused("torch archive")
    with zipfile.ZipFile(twin / "pytorch_model.bin", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("archive/data.pkl", pickle.dumps({"a": [1] * 1000}))
    refused("compressed")
