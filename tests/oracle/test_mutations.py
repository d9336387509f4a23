"""Checkpoints damaged in one place: the structure's damage is refused by convert, the values' is found by verify and the manifest."""
import re
import shutil

import pytest
import torch

import mutations
import programs
import toys

FULL, FIRST_FOUR, OTHERS = 200, 30, 8


def count_of(family, full):
    return FULL if full else FIRST_FOUR if family in ("llama", "mistral", "qwen2", "qwen3") else OTHERS


@pytest.fixture(scope="module")
def natives(shelf, tmp_path_factory):
    made = {}

    def get(family):
        if family not in made:
            made[family] = tmp_path_factory.mktemp("natives") / family
            programs.rialto("convert", source_of(shelf, family), made[family])
        return made[family]
    return get


def source_of(shelf, family):
    return shelf.path(toys.BY_NAME[family], torch.bfloat16, sharded=toys.FAMILIES.index(family) % 2 == 0)


def check(mutation, damaged, reference, out):
    """What must be said about a damaged checkpoint. Returns it."""
    where = f"{mutation.kind} of {mutation.target}"
    done = programs.rialto("convert", damaged, out, exit_code=None)
    if mutation.value:
        found = programs.rialto("verify", reference, damaged, exit_code=None)
        said = found.stdout + found.stderr
        assert found.returncode in (3, 4), f"{where}: verify ends with {found.returncode}\n{said}"
        # exit 4 compares in HF names; exit 3 is the manifest or an archive, which name the key or the file
        assert found.returncode == 4 or any(name in said for name in mutation.named), f"{where}: verify names none of {mutation.named}: {said}"
        if done.returncode == 0:   # a reader that looks at the archive's own checksum refuses
            shutil.rmtree(out)
            return said
    assert done.returncode == 3, f"{where}: convert ends with {done.returncode}\n{done.stdout}{done.stderr}"
    line = programs.refused(done)
    # a missing stacked key is named layer by layer and expert by expert
    line += re.sub(r"experts\.linear_(fc\d\.\w+?)\d+\b", r"experts.experts.linear_\1", line)
    line += re.sub(r"layers\.\d+\.", "layers.", line)
    assert any(name in line for name in mutation.named), f"{where}: none of {mutation.named} is named in: {line}"
    assert not out.exists(), f"{where}: something was written"
    return line


@pytest.mark.parametrize("family", toys.FAMILIES)
def test_damaged_hf_directories(family, shelf, tmp_path, seed, full):
    draw = mutations.drawn(seed, "hf", family)
    source = source_of(shelf, family)
    kinds = mutations.kinds_of(source)
    for number in range(count_of(family, full)):
        damaged = tmp_path / str(number)
        mutation = mutations.mutate_hf(source, damaged, draw, kinds[number % len(kinds)])
        check(mutation, damaged, source, tmp_path / "out")
        shutil.rmtree(damaged)


@pytest.mark.parametrize("family", toys.FAMILIES)
def test_damaged_native_checkpoints_without_manifest(family, shelf, natives, tmp_path, seed, full):
    draw = mutations.drawn(seed, "native", family)
    for number in range(count_of(family, full)):
        damaged = tmp_path / str(number)
        mutation = mutations.mutate_native(natives(family), damaged, draw, mutations.NATIVE_KINDS[number % len(mutations.NATIVE_KINDS)])
        check(mutation, damaged, natives(family), tmp_path / "out")
        shutil.rmtree(damaged)


@pytest.mark.parametrize("family", toys.FAMILIES)
def test_the_manifest_finds_any_flipped_bit(family, natives, tmp_path, seed, full):
    """Any bit of any file of a native checkpoint: reading it says which file, and nothing is written."""
    draw = mutations.drawn(seed, "manifest", family)
    for number in range(count_of(family, full)):
        damaged = tmp_path / str(number)
        mutation = mutations.flip_anywhere(natives(family), damaged, draw)
        done = programs.rialto("inspect", damaged, "--hash", exit_code=None)
        assert done.returncode in (3, 4), f"{mutation.target}: inspect --hash ends with {done.returncode}\n{done.stdout}{done.stderr}"
        assert any(name in done.stdout + done.stderr for name in mutation.named), f"{mutation.target} is not named: {done.stdout}{done.stderr}"
        verified = programs.rialto("verify", natives(family), damaged, exit_code=None)
        assert verified.returncode in (3, 4), f"{mutation.target}: verify ends with {verified.returncode}\n{verified.stdout}{verified.stderr}"
        shutil.rmtree(damaged)


@pytest.mark.parametrize("family", toys.FAMILIES)
def test_the_manifest_names_the_tensor(family, natives, tmp_path, seed):
    """A flipped bit inside a tensor's elements: convert names tensor and file and writes nothing."""
    import torch_dist
    draw = mutations.drawn(seed, "names", family)
    folder = next(natives(family).glob("iter_*"))
    places = torch_dist.metadata(folder).storage_data
    indices = sorted((i for i in places if ".distcp" in places[i].relative_path and "_extra_state" not in i.fqn), key=lambda i: (i.fqn, tuple(i.offset)))
    for index in draw.sample(indices, 6 if count_of(family, False) == FIRST_FOUR else 2):
        damaged = tmp_path / "damaged"
        shutil.copytree(natives(family), damaged)
        mutations.flip_stored(next(damaged.glob("iter_*")), places[index], draw)
        done = programs.rialto("convert", damaged, tmp_path / "out", exit_code=3)
        line = programs.refused(done, places[index].relative_path)
        assert any(i.fqn in line for i in places if mutations.span(places[i]) == mutations.span(places[index]))   # it may have several keys
        assert not (tmp_path / "out").exists()
        shutil.rmtree(damaged)


def test_damaged_codes(shelf, tmp_path, seed, full):
    """A DeepSeek folder of FP8 blocks: codes, scales and plain tensors damaged, scales taken away."""
    import test_codecs
    source, draw, stored = tmp_path / "coded", mutations.drawn(seed, "codes"), {}
    plain = shelf.path(test_codecs.DEEPSEEK, torch.bfloat16)
    shutil.copytree(plain, source)
    for name, value in toys.tensors(plain).items():
        stored |= test_codecs.fp8_blocks(name, value)[0] if name.endswith("_proj.weight") else {name: value}
    toys.write_tensors(source / "model.safetensors", stored)
    test_codecs.write_config(source, {**test_codecs.read_config(source), "quantization_config": test_codecs.FP8})
    kinds = mutations.kinds_of(source)
    assert kinds == list(mutations.HF_KINDS)
    for number in range(FULL if full else 2 * len(kinds)):
        damaged = tmp_path / str(number)
        check(mutations.mutate_hf(source, damaged, draw, kinds[number % len(kinds)]), damaged, source, tmp_path / "out")
        shutil.rmtree(damaged)


def test_a_value_that_the_published_type_cannot_hold(shelf, tmp_path):
    """A selection bias is fp32 here and was bf16 in the files: a change of its last bit is a change."""
    import torch_dist
    programs.rialto("convert", shelf.path(toys.BY_NAME["minimax_m2"], torch.bfloat16), tmp_path / "native")
    shutil.copytree(tmp_path / "native", tmp_path / "changed")
    folder = next((tmp_path / "changed").glob("iter_*"))
    (folder / "manifest.json").unlink()
    bias = torch_dist.tensors(folder)["decoder.layers.mlp.router.expert_bias"][0].contiguous()
    path = folder / "__0_0.distcp"
    data = bytearray(path.read_bytes())
    at = data.find(bias.numpy().tobytes())
    assert at > 0 and bias.dtype == torch.float32
    data[at] ^= 1
    path.write_bytes(data)
    for other in (tmp_path / "native", shelf.path(toys.BY_NAME["minimax_m2"], torch.bfloat16)):
        done = programs.rialto("verify", other, tmp_path / "changed", exit_code=4)
        assert "e_score_correction_bias" in done.stdout
