"""Pipeline parallel: stages on ranks of their own are one process, in every order, split and kind of model."""
import json

import pytest
import torch

import programs
import torch_dist
import toys
from test_data_parallel import BATCH, LATE, assert_close_runs, assert_same_numbers, launch, resumed, run
from test_resume import RANDOM_MODEL, data  # noqa: F401  (a fixture)

PP2 = {"model.pipeline_model_parallel_size": 2}
FOUR_LAYERS = {**RANDOM_MODEL, "model.num_layers": 4}
TIED = {**FOUR_LAYERS, "model.share_embeddings_and_output_weights": True}
EXPERTS = {"model.moe_aux_loss_coeff": 0.02, "model.moe_z_loss_coeff": 0.001, "model.moe_router_bias_update_rate": 0.01,
           "model.mtp_loss_scaling_factor": 0.3}
MODELS = {
    "untied": FOUR_LAYERS,
    "tied": TIED,
    "experts": "mixtral",
    "latent attention and depths": "deepseek_v3-mtp",
    "windows": "gemma3",
    "sinks": "gpt_oss",
}


def values_of(model, data, shelf, **more):  # noqa: F811
    start = MODELS[model]
    if not isinstance(start, dict):
        start = {"checkpoint.pretrained_checkpoint": shelf.path(toys.BY_NAME[start]), **EXPERTS}
    return {**data, **BATCH, **start, "validation.eval_interval": 2, "validation.eval_iters": 2, "logger.log_params_norm": True, **more}


def halves(model, shelf):
    """Two stages of a toy: an odd number of layers needs an uneven split."""
    start = MODELS[model]
    if isinstance(start, dict):
        return PP2
    config = json.loads((shelf.path(toys.BY_NAME[start]) / "config.json").read_text())
    layers = config.get("text_config", config)["num_hidden_layers"]
    return {**PP2, "model.num_layers_in_first_pipeline_stage": layers - layers // 2} if layers % 2 else PP2


@pytest.mark.parametrize("model", MODELS)
def test_two_stages_are_one_process(model, data, shelf, tmp_path):  # noqa: F811
    values = values_of(model, data, shelf)
    assert_close_runs(run(tmp_path / "two", 2, {**values, **halves(model, shelf)}), run(tmp_path / "one", 1, values))


# Order and split change nothing: each is compared with the same run of one process.
SHAPES = {
    "four stages": (4, {"model.pipeline_model_parallel_size": 4}),
    "chunks": (2, {**PP2, "model.virtual_pipeline_model_parallel_size": 2}),
    "chunks of four in groups of three": (2, {**PP2, "model.virtual_pipeline_model_parallel_size": 2, "model.microbatch_group_size_per_vp_stage": 3,
                                              "train.global_batch_size": 5}),
    "a layout": (2, {**PP2, "model.pipeline_model_parallel_layout": "E|tt|tt|L"}),
    "uneven ends": (2, {**PP2, "model.num_layers_in_first_pipeline_stage": 3}),
    "ends that count": (2, {**PP2, "model.account_for_embedding_in_pipeline_split": True, "model.account_for_loss_in_pipeline_split": True}),
    "split gradients": (2, {**PP2, "model.delay_wgrad_compute": True}),
    "split gradients of chunks": (2, {**PP2, "model.virtual_pipeline_model_parallel_size": 2, "model.delay_wgrad_compute": True}),
    "muon": (2, {**PP2, "optimizer.optimizer": "muon", "optimizer.use_distributed_optimizer": False, "optimizer.muon_fp32_matmul_prec": "highest"}),
    "beside data parallel": (4, {**PP2, **LATE}),
    "beside tensor parallel": (4, {**PP2, "model.tensor_model_parallel_size": 2, "model.num_attention_heads": 8, "model.num_query_groups": 4}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_one_process(shape, data, shelf, tmp_path):  # noqa: F811
    ranks, more = SHAPES[shape]
    values = values_of("tied", data, shelf, **{"model.hidden_dropout": 0.1})
    alone = {key: value for key, value in more.items() if "parallel" not in key and "pipeline" not in key and "wgrad" not in key and key not in LATE}
    got = run(tmp_path / "stages", ranks, {**values, **more})
    assert_close_runs(got, run(tmp_path / "one", 1, {**values, **alone}))
    if shape == "beside data parallel":
        plain = {**values, **PP2, "ddp.bucket_size": LATE["ddp.bucket_size"], "optimizer.use_distributed_optimizer": False}
        assert_same_numbers(run(tmp_path / "plain", 4, plain), got)


def test_eight_ranks(data, shelf, tmp_path):  # noqa: F811
    values = {**values_of("tied", data, shelf), "model.num_attention_heads": 8, "model.num_query_groups": 4,
              "model.recompute_granularity": "full", "model.recompute_method": "uniform", "model.recompute_num_layers": 1}
    eight = run(tmp_path / "eight", 8, {**values, **PP2, "model.tensor_model_parallel_size": 2})
    assert_close_runs(eight, run(tmp_path / "one", 1, values))


@pytest.mark.parametrize("precision", ["fp32", "bf16_mixed"])
def test_a_run_goes_on_with_any_stages(precision, data, tmp_path):  # noqa: F811
    values = {**data, **BATCH, **TIED, "train.train_iters": 4, "mixed_precision": precision}
    straight = run(tmp_path / "straight", 2, {**values, **PP2})
    chunks = {**PP2, "model.virtual_pipeline_model_parallel_size": 2}
    for name, first, second in (("same", (2, PP2), (2, PP2)), ("joined", (2, chunks), (1, {})), ("split", (1, {}), (4, PP2))):
        got = resumed(tmp_path / name, values, first, second)
        if name == "same":
            assert_same_numbers(got, straight)
        elif precision == "fp32":
            assert_close_runs(got, straight)


def test_initial_weights_do_not_depend_on_the_stages(data, tmp_path):  # noqa: F811
    """Rates of 0 leave them as they were drawn."""
    still = {**data, **BATCH, **TIED, "optimizer.lr": 1e-30, "optimizer.weight_decay": 0.0, "train.train_iters": 1}
    one, four = (run(tmp_path / str(n), n, {**still, "model.pipeline_model_parallel_size": n}) for n in (1, 4))
    ours, theirs = torch_dist.tensors(four[1]), torch_dist.tensors(one[1])
    assert ours.keys() == theirs.keys()
    for key in theirs:
        if not key.startswith("optimizer."):
            assert torch.equal(ours[key], theirs[key]), key


def test_what_is_not_cut_is_refused(data, tmp_path):  # noqa: F811
    for more, words in (({"model.num_layers": 3}, "R477"), ({"logger.sample_tokens": 3}, "R052"), ({"model.pipeline_model_parallel_size": 3}, "R460"),
                        ({"mixed_precision": "bf16_with_fp8_current_scaling_mixed"}, "R052"), ({"model.pipeline_model_parallel_layout": "Ettt|L"}, "R478")):
        done = launch(tmp_path / words, 2, {**data, **BATCH, **TIED, **PP2, **more}, exit_code=2)
        assert words in done.stderr + done.stdout, (more, done.stderr)
