"""transformers as the reference: logits, loss, every gradient, greedy tokens; and the way HF -> native -> HF."""
import json
import zlib

import pytest
import torch
from safetensors.torch import load_file

import closeness
import conftest
import programs
import toy_files
import toys

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def write_json(path, value):
    path.write_text(json.dumps(value))
    return path


@pytest.fixture(scope="module")
def native(shelf, tmp_path_factory):
    """native(toy, dtype): the toy converted by rialto, once."""
    made = {}

    def get(toy, dtype=torch.float32):
        key = toy.name, dtype
        if key not in made:
            made[key] = tmp_path_factory.mktemp("native") / toy.name
            programs.rialto("convert", shelf.path(toy, dtype), made[key])
        return made[key]
    return get


def our_routes(model, rows, folder):
    """{layer: experts [tokens, k]} of every layer that has experts."""
    out = folder / "routes.safetensors"
    programs.rialto_train("logits", model, "--tokens", write_json(folder / "tokens.json", rows), "--out", out, "--routes")
    return {int(name.removeprefix("routes.")): value for name, value in load_file(out).items() if name.startswith("routes.")}


def our_logits(model, rows, folder, gradients=False):
    tokens = write_json(folder / "tokens.json", rows)
    out, grads = folder / "logits.safetensors", folder / "gradients.safetensors"
    extra = ["--gradients", grads] if gradients else []
    programs.rialto_train("logits", model, "--tokens", tokens, "--out", out, *extra)
    return load_file(out)["logits"], load_file(grads) if gradients else None


def split_mtp(gradients, toy):
    """Those of the model, and those of its blocks of multi-token prediction, which transformers does not load."""
    theirs = tuple("grad." + name for m in range(toy.mtp) for name in toy_files.mtp_names(toy, m))
    blocks = {name: g for name, g in gradients.items() if theirs and name.startswith(theirs)}
    assert bool(blocks) == bool(toy.mtp)
    return {name: g for name, g in gradients.items() if name not in blocks}, blocks


@pytest.mark.parametrize("toy", toys.TOYS, ids=lambda t: t.name)
def test_logits_loss_and_every_gradient(toy, shelf, native, tmp_path, proves):
    for column in ("logits", "gradients"):
        proves(toy.family, column)
    rows = toys.token_rows(toy)
    model = toys.load(shelf.path(toy))
    ids = torch.tensor(rows)
    want = model(ids, labels=ids)
    want.loss.backward()

    logits, ours = our_logits(shelf.path(toy), rows, tmp_path, gradients=True)
    closeness.assert_close("logits", logits, want.logits.detach())
    closeness.assert_close("loss", ours.pop("loss"), want.loss.detach())
    assert all(name.startswith("grad.") for name in ours), sorted(ours)
    ours, blocks = split_mtp(ours, toy)
    assert all(not g.any() for g in blocks.values())   # the loss is the model's; blocks of multi-token prediction have their own
    closeness.assert_gradients_close({name.removeprefix("grad."): g for name, g in ours.items()}, toys.gradients(model))

    from_native, again = our_logits(native(toy), rows, tmp_path, gradients=True)
    assert again.keys() - {"loss"} == ours.keys() | blocks.keys()
    closeness.assert_same_bits("logits of the native checkpoint", from_native, logits)
    for name, gradient in ours.items():
        closeness.assert_same_bits(name, again[name], gradient)


@pytest.mark.parametrize("toy", [t for t in toys.TOYS if toys.has_experts(t)], ids=lambda t: t.name)
def test_routers_choose_the_same_experts(toy, shelf, native, tmp_path):
    rows = toys.token_rows(toy)
    want = toys.routes(toys.load(shelf.path(toy)), rows)
    assert want
    for source in (shelf.path(toy), native(toy)):
        got = our_routes(source, rows, tmp_path)
        assert got.keys() == want.keys()
        for layer, chosen in want.items():
            closeness.assert_same_bits(f"routes of layer {layer}", got[layer].sort(-1).values, chosen.sort(-1).values)


def test_routes_of_a_model_without_experts_are_refused(shelf, tmp_path):
    tokens = write_json(tmp_path / "tokens.json", [[1, 2]])
    out = tmp_path / "out.safetensors"
    programs.refused(programs.rialto_train("logits", shelf.path(toys.BY_NAME["llama"]), "--tokens", tokens, "--out", out, "--routes", exit_code=2),
                     "--routes", "no experts")
    assert not out.exists()


def halves(full=conftest.ALL, seed=conftest.SEED):
    """(family, dtype): both dtypes for the first four families; for the others, by default, the seed draws one."""
    for number, family in enumerate(toys.FAMILIES):
        both = full or family in ("llama", "mistral", "qwen2", "qwen3")
        for dtype in ("bf16", "fp16") if both else [("bf16", "fp16")[(number + seed) % 2]]:
            yield family, dtype


@pytest.mark.parametrize("family, dtype", halves())
def test_logits_of_half_precision_shards(family, dtype, shelf, tmp_path):
    toy = toys.BY_NAME[family]
    folder = shelf.path(toy, DTYPES[dtype], sharded=True)
    rows = toys.token_rows(toy)
    with torch.no_grad():
        want = toys.load(folder)(torch.tensor(rows)).logits
    closeness.assert_close("logits", our_logits(folder, rows, tmp_path)[0], want)


@pytest.mark.parametrize("toy", toys.TOYS, ids=lambda t: t.name)
def test_greedy_generation_of_32_tokens(toy, shelf, native, proves):
    proves(toy.family, "generate")
    ids = toys.prompt(toy)
    want, margin = toys.greedy(toys.load(shelf.path(toy)), ids, toys.NEW_TOKENS)
    assert margin >= toys.MARGIN
    for source in (shelf.path(toy), native(toy))[: 2 if toy.name == toy.family else 1]:
        report = programs.rialto_json("generate", source, "--prompt-tokens", json.dumps(ids), "--max-new-tokens", toys.NEW_TOKENS, "--greedy",
                                      program="rialto-train")
        assert report["tokens"] == want
        assert report["prompt_tokens"] == ids and report["finish_reason"] == "length"


def ways(toy, seed, full):
    """(dtype, sharded): every toy in fp32 and in bf16; the default tier draws which of the two is sharded."""
    if full:
        return [(dtype, sharded) for dtype in DTYPES for sharded in (False, True)]
    first = (zlib.crc32(toy.name.encode()) + seed) % 2 == 1
    return [("fp32", first), ("bf16", not first)]


@pytest.mark.parametrize("toy", toys.TOYS, ids=lambda t: t.name)
def test_round_trip_is_byte_identical(toy, shelf, tmp_path, seed, full, proves):
    proves(toy.family, "convert")
    for dtype, sharded in ways(toy, seed, full):
        round_trip(shelf.path(toy, DTYPES[dtype], sharded), tmp_path / f"{dtype}-{sharded}")


def round_trip(source, tmp_path):
    tmp_path.mkdir()
    native_root, back = tmp_path / "native", tmp_path / "back"
    programs.rialto("convert", source, native_root)
    programs.rialto("verify", source, native_root)
    programs.rialto("convert", native_root, back)
    programs.rialto("verify", source, back)
    for name in ("config.json", "generation_config.json"):
        assert (back / name).read_bytes() == (source / name).read_bytes(), name
    weights = sorted(p.name for p in source.glob("*.safetensors"))
    assert sorted(p.name for p in back.glob("*.safetensors")) == weights
    for name in weights:   # the same tensors in the same shards
        want, got = load_file(source / name), load_file(back / name)
        assert got.keys() == want.keys(), name
        for key, value in want.items():
            closeness.assert_same_bits(key, got[key], value)
    index = "model.safetensors.index.json"
    assert (back / index).exists() == (source / index).exists()
    if (source / index).exists():
        want, got = (json.loads((folder / index).read_text()) for folder in (source, back))
        assert got["weight_map"] == want["weight_map"]
        assert got["metadata"]["total_size"] == want["metadata"]["total_size"]


@pytest.mark.parametrize("family", toys.FAMILIES)
def test_dtype_casts_as_torch_does(family, shelf, tmp_path):
    toy = toys.BY_NAME[family]
    source = shelf.path(toy)
    programs.rialto("convert", source, tmp_path / "native", "--dtype", "bf16")
    programs.rialto("convert", tmp_path / "native", tmp_path / "back")
    got = toys.tensors(tmp_path / "back")
    for name, value in toys.tensors(source).items():
        kept = name.endswith(toys.SELECTION_BIASES)   # routers choose in fp32, whatever the model's dtype
        closeness.assert_same_bits(name, got[name], value if kept else value.to(torch.bfloat16))


@pytest.mark.parametrize("family", [f for f in toys.FAMILIES if not toys.FAMILY_TABLE[f].plain])
def test_transformers_loads_an_export_without_a_word(family, shelf, tmp_path):
    """An export of a native checkpoint is a model directory like any other: nothing missing, nothing unexpected."""
    programs.rialto("convert", shelf.path(toys.BY_NAME[family], torch.bfloat16, sharded=True), tmp_path / "native")
    programs.rialto("convert", tmp_path / "native", tmp_path / "back")
    _, info = toys.load(tmp_path / "back", output_loading_info=True)
    assert not any(info.values()), info
