"""`rialto verify A B --logits`: two checkpoints compute the same, or the command says where they do not."""
import json

import pytest
import torch

import closeness
import programs
import toys

CHOSEN = ("llama-llama3", "qwen3", "gemma2", "gpt_oss", "deepseek_v3-mtp", "ling")   # the last has no class in transformers


@pytest.fixture(scope="module")
def native(shelf, tmp_path_factory):
    """native(name): the toy converted, once."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = tmp_path_factory.mktemp("native") / name
            programs.rialto("convert", shelf.path(toys.BY_NAME[name]), made[name])
        return made[name]
    return get


def compare(a, b, *more, exit_code=0):
    return json.loads(programs.rialto("verify", a, b, "--logits", "--json", *more, exit_code=exit_code).stdout)


def perturbed(source, folder, change):
    """A copy of a HF folder of which `change(tensors)` moves some weights."""
    folder.mkdir()
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    tensors = toys.tensors(folder)
    change(tensors)
    toys.write_tensors(folder / "model.safetensors", tensors)
    return folder


@pytest.mark.parametrize("name", CHOSEN)
def test_a_conversion_computes_the_same(name, shelf, native):
    toy = toys.BY_NAME[name]
    report = compare(shelf.path(toy), native(name))
    assert report["equal"] and report["max_difference"] == 0
    assert report["vocab"] == toy.values["vocab_size"] and report["rows"] == 2
    assert report["length"] == toy.values["max_position_embeddings"] > 7 and report["positions"] == 2 * report["length"] == report["same_top"]
    assert report["family_a"] == report["family_b"] == toy.family


@pytest.mark.parametrize("name", CHOSEN)
def test_one_weight_that_moved_is_found(name, shelf, native, tmp_path):
    """Where and how far apart is what transformers says of the two folders."""
    toy = toys.BY_NAME[name]

    def move(tensors):
        key = next(k for k in sorted(tensors) if k.endswith(("layers.0.mlp.down_proj.weight", "layers.0.mlp.experts.down_proj")))
        tensors[key].view(-1)[3] += 0.05
    other = perturbed(shelf.path(toy), tmp_path / "other", move)
    rows = toys.token_rows(toy)
    ids = tmp_path / "ids.json"
    ids.write_text(json.dumps(rows))
    done = programs.rialto("verify", native(name), other, "--logits", "--tokens", ids, exit_code=4)
    assert len(done.stdout.splitlines()) == 1 and done.stdout.startswith("different logits: at most ")
    report = compare(native(name), other, "--tokens", ids, exit_code=4)
    assert not report["equal"] and report["max_difference"] > report["allowed"]
    with torch.no_grad():
        a, b = (toys.load(folder)(torch.tensor(rows)).logits for folder in (shelf.path(toy), other))
    bound = closeness.TOLERANCE * max(1.0, b.abs().max().item())
    assert abs(report["allowed"] - bound) <= 1e-3 * bound
    assert abs(report["max_difference"] - (a - b).abs().max().item()) <= 2 * bound
    at = report["at"]
    for side, logits in (("a", a), ("b", b)):
        assert abs(logits[at["row"], at["position"], at["token"]].item() - at[side]) <= bound
    assert report["same_top"] == (a.argmax(-1) == b.argmax(-1)).sum().item()
    compare(native(name), other, "--tokens", ids, "--tolerance", "1")


def test_families_may_differ_but_not_vocabularies(shelf, tmp_path):
    llama, qwen2 = (shelf.path(toys.BY_NAME[name]) for name in ("llama", "qwen2"))
    report = compare(llama, qwen2, exit_code=4)
    assert (report["family_a"], report["family_b"]) == ("llama", "qwen2") and report["same_top"] < report["positions"]
    toy = toys.Toy("llama-210", "llama", {"vocab_size": 210})
    small = toys.save(toy, tmp_path / "small")
    for program in (programs.rialto, programs.rialto_train):   # rialto refuses before it hands over; rialto-train by itself
        done = program("verify", llama, small, "--logits", exit_code=2)
        programs.refused(done, f"211 of {llama}", f"210 of {small}")


def test_what_is_not_finite_is_equal_to_nothing(shelf, tmp_path):
    def spoil(tensors):
        tensors["model.norm.weight"][2] = float("nan")
    source = perturbed(shelf.path(toys.BY_NAME["llama"]), tmp_path / "nan", spoil)
    report = compare(source, source, exit_code=4)
    assert not report["equal"] and report["not_finite"]["a"] == "nan" and report["not_finite"]["position"] == 0
