"""Multi-token prediction: loss of every depth and every gradient, the trunk's included, against a plain reference; copies of
embedding and head that some families keep in their blocks."""
import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

import closeness
import mtp_models
import programs
import toy_files
import toys
from toy_table import Toy

FACTOR = 0.3
# Core takes the latent norms' eps from the config, transformers fixes it; Core sums the best top_k / top_groups experts of a group,
# transformers the best two: sizes where both are the same.
LATENT, TWO = {"rms_norm_eps": 1e-6}, {"num_experts_per_tok": 4}
BLOCK, BLOCKS = {"num_nextn_predict_layers": 1}, {"num_nextn_predict_layers": 2}
CORE = [Toy("core-mimo-mtp", "mimo", BLOCKS, mtp=2), Toy("core-glm4_moe-mtp", "glm4_moe", BLOCK, mtp=1), Toy("core-hy_v3-mtp", "hy_v3", BLOCK, mtp=1),
        Toy("core-ling-mtp", "ling", {**BLOCK, **TWO}, mtp=1), Toy("core-deepseek_v3-mtp", "deepseek_v3", {**LATENT, **BLOCKS, **TWO}, mtp=2),
        Toy("core-glm4_moe_lite-mtp", "glm4_moe_lite", {**LATENT, **BLOCK}, mtp=1), Toy("core-exaone_moe-mtp", "exaone_moe", {**BLOCK, **TWO}, mtp=1)]
WITH_COPIES = [toy for toy in toys.WITH_MTP if toy.family in toy_files.WITH_COPIES]


def our_gradients(model, rows, folder, factor=FACTOR):
    (folder / "tokens.json").write_text(json.dumps(rows))
    out = folder / "gradients.safetensors"
    programs.rialto_train("logits", model, "--tokens", folder / "tokens.json", "--gradients", out, "--mtp-loss-scaling-factor", factor)
    ours = {name: value.clone() for name, value in load_file(out).items()}   # a copy: the next call writes the file again
    return ours, {name.removeprefix("grad."): g for name, g in ours.items() if name.startswith("grad.")}


def test_every_family_that_has_blocks_is_here():
    assert {toy.family for toy in toys.WITH_MTP} == set(toy_files.MTP_NAMES)
    assert {toy.mtp for toy in toys.WITH_MTP} == {1, 2}


@pytest.mark.parametrize("toy", toys.WITH_MTP, ids=lambda t: t.name)
def test_loss_of_every_depth_and_every_gradient(toy, shelf, tmp_path, proves):
    proves(toy.family, "gradients")
    rows = toys.token_rows(toy)
    reference = mtp_models.Reference(toy, shelf.path(toy))
    with toys.Margins() as margins:
        want = reference(rows, FACTOR)
    assert margins.smallest >= toys.MARGIN, "a router's choice is too close to compare: take another seed for the blocks"
    want.total.backward()

    ours, gradients = our_gradients(shelf.path(toy), rows, tmp_path)
    closeness.assert_close("loss", ours["loss"], want.loss.detach())
    closeness.assert_close("losses of the depths", ours["mtp_losses"], want.mtp_losses.detach())
    closeness.assert_gradients_close(gradients, reference.gradients())

    programs.rialto("convert", shelf.path(toy), tmp_path / "native")
    again, _ = our_gradients(tmp_path / "native", rows, tmp_path)
    assert again.keys() == ours.keys()
    for name, value in ours.items():
        closeness.assert_same_bits(name, again[name], value)


def test_a_model_without_blocks_has_no_such_loss(shelf, tmp_path):
    (tmp_path / "tokens.json").write_text("[[1, 2, 3]]")
    done = programs.rialto_train("logits", shelf.path(toys.BY_NAME["mimo"]), "--tokens", tmp_path / "tokens.json", "--gradients", tmp_path / "g",
                                 "--mtp-loss-scaling-factor", FACTOR, exit_code=2)
    programs.refused(done, "no blocks of multi-token prediction", FACTOR)


@pytest.mark.parametrize("toy", WITH_COPIES, ids=lambda t: t.name)
def test_copies_are_written_where_no_source_says_otherwise(toy, shelf, tmp_path):
    """A checkpoint of Megatron's, or of a model made here, has no files that could be recorded: the published layout holds."""
    source = shelf.path(toy, torch.bfloat16)
    programs.rialto("convert", source, tmp_path / "native")
    iteration = next((tmp_path / "native").glob("iter_*"))
    (iteration / "manifest.json").unlink()
    shutil.rmtree(iteration / "rialto_source")
    programs.rialto("convert", tmp_path / "native", tmp_path / "back")
    want, got = toys.tensors(source), toys.tensors(tmp_path / "back")
    assert got.keys() == want.keys()
    assert sum(name.endswith(tuple(toy_files.MTP_COPIES)) for name in got) == 2 * toy.mtp + 1   # shared_head.head, embed_tokens; model.embed_tokens
    for name, value in want.items():
        closeness.assert_same_bits(name, got[name], value)


@pytest.mark.parametrize("toy", WITH_COPIES, ids=lambda t: t.name)
def test_a_copy_that_is_none_is_refused(toy, shelf, tmp_path):
    source = shutil.copytree(shelf.path(toy), tmp_path / "source")
    layer = toy_files.mtp_names(toy, toy.mtp - 1)[0]
    for copy, original in toy_files.MTP_COPIES.items():
        tensors = load_file(shelf.path(toy) / "model.safetensors")
        tensors[layer + copy][-1, -1] += 1
        save_file(tensors, source / "model.safetensors", metadata={"format": "pt"})
        done = programs.rialto("convert", source, tmp_path / "native", exit_code=3)
        programs.refused(done, layer + copy, original)
        assert not (tmp_path / "native").exists()


def test_every_family_that_has_blocks_is_compared_with_core():
    assert {toy.family for toy in CORE} == set(toy_files.MTP_NAMES)


@pytest.mark.parametrize("toy", CORE, ids=lambda t: t.name)
def test_megatron_core_agrees_on_losses_and_every_gradient(toy, shelf, megatron, tmp_path):
    """Core's own block opens our checkpoint; its gradients come back as a checkpoint, which is converted as weights are."""
    source, rows = shelf.path(toy), toys.token_rows(toy)
    programs.rialto("convert", source, tmp_path / "native")
    weights, out = next((tmp_path / "native").glob("iter_*")), tmp_path / "gradients" / "iter_0000001"
    config = toy_files.read_config(source)
    answer = megatron("1x1", ("family_gradients", {"config": config, "path": str(weights), "rows": rows, "factor": FACTOR, "out": str(out)}))[0][0]
    programs.rialto("convert", out, tmp_path / "back", "--like", source)

    ours, gradients = our_gradients(tmp_path / "native", rows, tmp_path)
    closeness.assert_close("loss", ours["loss"], torch.tensor(answer["loss"]))
    closeness.assert_close("losses of the depths", ours["mtp_losses"], torch.tensor(answer["blocks"]))
    theirs = {name: g for name, g in toys.tensors(tmp_path / "back").items() if name in gradients}
    closeness.assert_gradients_close(gradients, theirs)
