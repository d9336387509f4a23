"""Weights stored as codes and scales: imported as torch multiplies them out, written back as the codes they were. Scales are
larger than the numbers need, so that codes come back only where the old scales do."""
import json
import shutil

import pytest
import torch
import transformers
from safetensors.torch import load_file

import closeness
import programs
import torch_dist
import toys
from toy_files import read_config, write_config

E2M1 = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0])
DEEPSEEK = toys.Toy("codes-deepseek", "deepseek_v3", {"hidden_size": 160, "moe_intermediate_size": 64})
GPT_OSS = toys.Toy("codes-gpt_oss", "gpt_oss", {"hidden_size": 64, "intermediate_size": 64})
KIMI = toys.Toy("codes-kimi", "kimi_k2", {"hidden_size": 64, "moe_intermediate_size": 64})


def fp8_blocks(name, weight):
    """Codes and scales of blocks of 128 x 128, as DeepSeek publishes them, and the numbers they mean."""
    rows, cols = weight.shape
    down, across = -(-rows // 128), -(-cols // 128)
    padded = torch.zeros(down * 128, across * 128)
    padded[:rows, :cols] = weight.float()
    blocks = padded.view(down, 128, across, 128).transpose(1, 2)
    scales = blocks.abs().amax((2, 3)).clamp_min(1e-6) / 300
    codes = (blocks / scales[:, :, None, None]).to(torch.float8_e4m3fn)
    numbers = (codes.float() * scales[:, :, None, None]).transpose(1, 2).reshape(padded.shape)[:rows, :cols]
    codes = codes.view(torch.uint8).transpose(1, 2).reshape(padded.shape)[:rows, :cols].contiguous().view(torch.float8_e4m3fn)
    return {name: codes, name + "_scale_inv": scales}, numbers.to(torch.bfloat16)


def fp8_tensor(name, weight):
    scale = weight.float().abs().max() / 300
    codes = (weight.float() / scale).to(torch.float8_e4m3fn)
    return {name: codes, name + "_scale_inv": scale}, (codes.float() * scale).to(torch.bfloat16)


def int4_groups(name, weight):
    """compressed-tensors' packed groups of 32 columns."""
    rows, cols = weight.shape
    groups = weight.float().view(rows, cols // 32, 32)
    scales = (groups.abs().amax(2) / 5).clamp_min(1e-6).to(torch.bfloat16)
    codes = (groups / scales[:, :, None].float()).round().clamp(-8, 7).to(torch.int32).view(rows, cols)
    packed = torch.zeros(rows, cols // 8, dtype=torch.int32)
    for i in range(8):
        packed |= ((codes[:, i::8] + 8) & 15) << (4 * i)
    numbers = (codes.view(groups.shape).float() * scales[:, :, None].float()).to(torch.bfloat16).view(rows, cols)
    return {name + "_packed": packed, name + "_scale": scales, name + "_shape": torch.tensor([rows, cols])}, numbers


def mxfp4(name, weight):
    """transformers' experts are [E, in, out]; blocks are [E, out, in / 32, 16]. The numbers come back as transformers has them."""
    turned = weight.float().transpose(1, 2)
    groups = turned.reshape(*turned.shape[:-1], -1, 32)
    exponents = (torch.frexp(groups.abs().amax(-1).clamp_min(1e-6))[1] - 2).clamp(-127, 127)
    codes = (groups * torch.exp2(-exponents.float())[..., None]).unsqueeze(-1).sub(E2M1).abs().argmin(-1).to(torch.uint8)
    numbers = E2M1[codes.long()] * torch.exp2(exponents.float())[..., None]
    blocks = codes[..., 0::2] | (codes[..., 1::2] << 4)
    return ({name + "_blocks": blocks, name + "_scales": (exponents + 127).to(torch.uint8)},
            numbers.reshape(turned.shape).transpose(1, 2).contiguous().to(torch.bfloat16))


def fresh_fp8_blocks(weight):
    """What --dtype fp8-block writes: scale amax / 448 (1 for zeros), codes of w / scale to nearest even, saturating."""
    rows, cols = weight.shape
    down, across = -(-rows // 128), -(-cols // 128)
    padded = torch.zeros(down * 128, across * 128)
    padded[:rows, :cols] = weight.float()
    blocks = padded.view(down, 128, across, 128).transpose(1, 2)
    scales = blocks.abs().amax((2, 3)) / 448
    scales[scales == 0] = 1
    codes = (blocks / scales[:, :, None, None]).clamp(-448, 448).to(torch.float8_e4m3fn)
    back = lambda x: x.transpose(1, 2).reshape(padded.shape)[:rows, :cols].contiguous()
    return back(codes.view(torch.uint8)).view(torch.float8_e4m3fn), scales, back(codes.float() * scales[:, :, None, None])


FP8 = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128], "activation_scheme": "dynamic"}
INT4 = {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {
    "group_0": {"weights": {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": 32}}}}
SCHEMES = {
    "fp8-blocks": (DEEPSEEK, fp8_blocks, lambda n: n.endswith("_proj.weight"), FP8),
    "fp8-tensor": (DEEPSEEK, fp8_tensor, lambda n: n.endswith("_proj.weight"), {"quant_method": "fp8"}),
    "mxfp4": (GPT_OSS, mxfp4, lambda n: n.endswith(("gate_up_proj", "down_proj")), {"quant_method": "mxfp4"}),
    "int4": (KIMI, int4_groups, lambda n: ".experts." in n and n.endswith("_proj.weight"), INT4),
}


@pytest.fixture(scope="module", params=SCHEMES)
def folders(request, shelf, tmp_path_factory):
    """The folder of codes and its twin of plain numbers."""
    toy, encode, chosen, quantization = SCHEMES[request.param]
    source = shelf.path(toy, torch.bfloat16)
    root = tmp_path_factory.mktemp(request.param)
    coded, plain = root / "coded", root / "plain"
    for folder in (coded, plain):
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors*"))
    stored, numbers = {}, {}
    for name, tensor in toys.tensors(source).items():
        if chosen(name):
            codes, numbers[name] = encode(name, tensor)
            stored.update(codes)
        else:
            stored[name] = numbers[name] = tensor
    assert len(stored) > len(numbers), "nothing was encoded, so nothing is tested"
    toys.write_tensors(coded / "model.safetensors", stored)
    toys.write_tensors(plain / "model.safetensors", numbers)
    write_config(coded, {**read_config(coded), "quantization_config": quantization})
    return coded, plain


@pytest.fixture
def native(folders, tmp_path):
    programs.rialto("convert", folders[0], tmp_path / "native")
    return tmp_path / "native"


def test_numbers_are_what_torch_multiplies_out(folders, native, tmp_path):
    programs.rialto("convert", folders[1], tmp_path / "twin")
    want, got = (torch_dist.tensors(root / "iter_0000001") for root in (tmp_path / "twin", native))
    assert got.keys() == want.keys()
    for key, value in want.items():
        closeness.assert_same_bits(key, got[key], value)


def test_codes_come_back(folders, native, tmp_path):
    programs.rialto("verify", folders[0], native)
    programs.rialto("convert", native, tmp_path / "back")
    want, got = toys.tensors(folders[0]), toys.tensors(tmp_path / "back")
    assert got.keys() == want.keys()
    for name, value in want.items():
        assert got[name].dtype == value.dtype and got[name].shape == value.shape, name
        assert got[name].flatten().view(torch.uint8).equal(value.flatten().view(torch.uint8)), name
    assert read_config(tmp_path / "back") == read_config(folders[0])
    programs.rialto("verify", folders[0], tmp_path / "back")


def test_numbers_on_request(folders, native, tmp_path):
    programs.rialto("convert", native, tmp_path / "plain", "--dtype", "bf16")
    want, got = toys.tensors(folders[1]), toys.tensors(tmp_path / "plain")
    assert got.keys() == want.keys()
    for name, value in want.items():
        closeness.assert_same_bits(name, got[name].to(value.dtype), value)
    assert "quantization_config" not in read_config(tmp_path / "plain")


def test_a_missing_scale_is_named(folders, tmp_path):
    tensors = toys.tensors(folders[0])
    gone = next(n for n in tensors if n.endswith(("_scale_inv", "_scales", "_scale")))
    shutil.copytree(folders[0], tmp_path / "broken", ignore=shutil.ignore_patterns("*.safetensors*"))
    toys.write_tensors(tmp_path / "broken" / "model.safetensors", {n: t for n, t in tensors.items() if n != gone})
    done = programs.rialto("convert", tmp_path / "broken", tmp_path / "native", exit_code=3)
    assert "without their scales" in done.stderr and gone.rsplit("_scale", 1)[0] in done.stderr
    assert not (tmp_path / "native").exists()


def test_a_changed_scale_is_found(folders, native, tmp_path):
    tensors = toys.tensors(folders[0])
    name = next(n for n in tensors if n.endswith(("_scale_inv", "_scales", "_scale")))
    scales = tensors[name].clone()
    flat = scales.view(torch.uint8).flatten() if scales.dim() else scales.reshape(1).view(torch.uint8)
    flat[-1] ^= 1
    shutil.copytree(folders[0], tmp_path / "other", ignore=shutil.ignore_patterns("*.safetensors*"))
    toys.write_tensors(tmp_path / "other" / "model.safetensors", {**tensors, name: scales if scales.dim() else flat.view(torch.float32)[0]})
    done = programs.rialto("verify", tmp_path / "other", native, exit_code=4)
    assert "differs" in done.stdout


@pytest.mark.parametrize("change, word", [({"quant_method": "awq"}, "awq"), ({"fmt": "e5m2"}, "fmt"),
                                          ({"weight_block_size": [64, 64]}, "weight_block_size")])
def test_another_scheme_is_refused(change, word, shelf, tmp_path):
    shutil.copytree(shelf.path(DEEPSEEK, torch.bfloat16), tmp_path / "hf")
    write_config(tmp_path / "hf", {**read_config(tmp_path / "hf"), "quantization_config": {**FP8, **change}})
    done = programs.rialto("convert", tmp_path / "hf", tmp_path / "native", exit_code=3)
    assert word in done.stderr and "quantization_config" in done.stderr


WIDE_DEEPSEEK = toys.Toy("fp8-deepseek", "deepseek_v3", {"hidden_size": 160, "moe_intermediate_size": 136, "intermediate_size": 264})
EXPORTED = {"deepseek_v3": WIDE_DEEPSEEK, "qwen3_moe": toys.BY_NAME["qwen3_moe"], "phi3": toys.BY_NAME["phi3"]}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", EXPORTED)
def test_fp8_export(family, dtype, shelf, tmp_path):
    """Codes and scales are torch's; transformers computes with the numbers that they mean what `rialto` computes from the codes."""
    source = shelf.path(EXPORTED[family], dtype)
    programs.rialto("convert", source, tmp_path / "native")
    programs.rialto("convert", tmp_path / "native", tmp_path / "fp8", "--dtype", "fp8-block")
    plain, got = toys.tensors(source), toys.tensors(tmp_path / "fp8")
    numbers, coded = {}, 0
    for name, tensor in plain.items():
        if tensor.dim() == 2 and (".self_attn." in name or ".mlp." in name) and not name.endswith(("mlp.gate.weight", "kv_a_layernorm.weight")):
            codes, scales, value = fresh_fp8_blocks(tensor)
            assert got[name].dtype == torch.float8_e4m3fn, name
            assert got.pop(name).view(torch.uint8).equal(codes.view(torch.uint8)), name
            closeness.assert_same_bits(name, got.pop(name + "_scale_inv"), scales)
            numbers[name], coded = value.to(dtype), coded + 1
        else:
            closeness.assert_same_bits(name, got.pop(name), tensor)
            numbers[name] = tensor
    assert coded and not got
    programs.rialto("convert", tmp_path / "fp8", tmp_path / "again")
    programs.rialto("convert", tmp_path / "again", tmp_path / "back")
    assert {k: v for k, v in programs.snapshot(tmp_path / "back").items()} == programs.snapshot(tmp_path / "fp8")
    shutil.copytree(source, tmp_path / "plain", ignore=shutil.ignore_patterns("*.safetensors*"))
    toys.write_tensors(tmp_path / "plain" / "model.safetensors", numbers)
    programs.rialto("convert", tmp_path / "plain", tmp_path / "twin")
    want, found = (torch_dist.tensors(root / "iter_0000001") for root in (tmp_path / "twin", tmp_path / "again"))
    assert found.keys() == want.keys()
    for key, value in want.items():
        closeness.assert_same_bits(key, found[key], value)


@pytest.mark.parametrize("folders", ["fp8-blocks"], indirect=True)
def test_fp8_export_knows_its_numbers_in_a_wider_type(folders, tmp_path):
    """Cast to fp32 on import, they are still those that the source's codes mean: its scales, not fresh ones."""
    programs.rialto("convert", folders[0], tmp_path / "wide", "--dtype", "fp32")
    programs.rialto("convert", tmp_path / "wide", tmp_path / "back", "--dtype", "fp8-block")
    want, got = toys.tensors(folders[0]), toys.tensors(tmp_path / "back")
    assert got.keys() == want.keys()
    for name, value in want.items():
        if value.dtype == torch.float8_e4m3fn or name.endswith("_scale_inv"):
            assert got[name].flatten().view(torch.uint8).equal(value.flatten().view(torch.uint8)), name


def test_fp8_export_takes_packed_experts_apart(shelf, tmp_path):
    """Where a family's files may also hold a tensor for each expert, that layout is written."""
    programs.rialto("convert", shelf.path(toys.BY_NAME["qwen3_moe-packed"]), tmp_path / "native")
    programs.rialto("convert", tmp_path / "native", tmp_path / "fp8", "--dtype", "fp8-block")
    programs.rialto("convert", tmp_path / "native", tmp_path / "numbers", "--dtype", "fp32")
    packed, got = toys.tensors(tmp_path / "numbers"), toys.tensors(tmp_path / "fp8")
    experts = [name for name in got if ".experts." in name and name.endswith(".weight")]
    assert experts and all(got[name].dtype == torch.float8_e4m3fn for name in experts)
    for name, tensor in packed.items():
        if name.endswith("experts.down_proj"):
            for i, matrix in enumerate(tensor):
                codes, scales, _ = fresh_fp8_blocks(matrix)
                at = name.replace("down_proj", f"{i}.down_proj.weight")
                assert got[at].view(torch.uint8).equal(codes.view(torch.uint8)), at
                closeness.assert_same_bits(at, got[at + "_scale_inv"], scales)


def test_fp8_export_computes_what_its_numbers_compute(shelf, tmp_path):
    """transformers with the dequantised tensors, `rialto logits` with the folder of codes."""
    toy = WIDE_DEEPSEEK
    source = shelf.path(toy)
    programs.rialto("convert", source, tmp_path / "native")
    programs.rialto("convert", tmp_path / "native", tmp_path / "fp8", "--dtype", "fp8-block")
    programs.rialto("convert", tmp_path / "fp8", tmp_path / "again")
    programs.rialto("convert", tmp_path / "again", tmp_path / "numbers", "--dtype", "fp32")
    rows = toys.token_rows(toy)
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    programs.rialto_train("logits", tmp_path / "fp8", "--tokens", tmp_path / "rows.json", "--out", tmp_path / "logits")
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "numbers", attn_implementation="eager", dtype=torch.float32)
    with torch.no_grad():
        want = model(torch.tensor(rows)).logits
    closeness.assert_close("logits", load_file(tmp_path / "logits")["logits"], want)


def test_fp8_export_of_packed_experts_is_refused(shelf, tmp_path):
    programs.rialto("convert", shelf.path(GPT_OSS, torch.bfloat16), tmp_path / "native")
    done = programs.rialto("convert", tmp_path / "native", tmp_path / "fp8", "--dtype", "fp8-block", exit_code=2)
    programs.refused(done, "experts.gate_up_proj", "fp8-block")
    assert not (tmp_path / "fp8").exists()
