"""Tensor parallel: ranks that share each layer are one process, alone and beside data parallel, saved and resumed."""
import pytest
import torch

import programs
import toys
from test_data_parallel import BATCH, LATE, assert_close_runs, assert_same_numbers, launch, resumed, run
from test_resume import RANDOM_MODEL, data  # noqa: F401  (a fixture)

TP2 = {"model.tensor_model_parallel_size": 2}
SP2 = {**TP2, "model.sequence_parallel": True}
# Four groups of two heads: what two and four ranks can share. The vocabulary (211) divides by neither.
DENSE = {**RANDOM_MODEL, "model.num_attention_heads": 8, "model.num_query_groups": 4}
MODELS = {
    "untied": DENSE,
    "tied": {**DENSE, "model.share_embeddings_and_output_weights": True},
    "norms of heads": "qwen3",
    "biases": "qwen2",
    "windows": "gemma3",
    "caps": toys.Toy("gemma2-shared", "gemma2", {"num_key_value_heads": 2}),
    "not gated": "nemotron",
    "prediction blocks": "mimo-mtp",
}


def values_of(model, data, shelf, **more):  # noqa: F811
    start = MODELS[model]
    if not isinstance(start, dict):
        start = {"checkpoint.pretrained_checkpoint": shelf.path(toys.BY_NAME[start] if isinstance(start, str) else start)}
    return {**data, **BATCH, **start, "validation.eval_interval": 2, "validation.eval_iters": 2, "logger.log_params_norm": True, "model.mtp_loss_scaling_factor": 0.3, **more}


@pytest.mark.parametrize("model", MODELS)
def test_ranks_are_one_process(model, data, shelf, tmp_path):  # noqa: F811
    values = values_of(model, data, shelf)
    one = run(tmp_path / "one", 1, values)
    assert_close_runs(run(tmp_path / "two", 2, {**values, **TP2}), one)
    assert_close_runs(run(tmp_path / "sequence", 2, {**values, **SP2}), one)
    if model != "norms of heads":
        return
    both = run(tmp_path / "both", 4, {**values, **TP2, **LATE})
    assert_close_runs(both, one)
    assert_same_numbers(run(tmp_path / "plain", 4, {**values, **TP2, "ddp.bucket_size": LATE["ddp.bucket_size"], "optimizer.use_distributed_optimizer": False}), both)


SHARED = {
    "plain": {**RANDOM_MODEL, "model.num_attention_heads": 8, "model.num_query_groups": 2},
    "one for all": {**RANDOM_MODEL, "model.num_attention_heads": 8, "model.num_query_groups": 1},
    "biases": toys.Toy("qwen2-eight", "qwen2", {"num_attention_heads": 8, "num_key_value_heads": 2, "hidden_size": 64}),
    "norms of heads": toys.Toy("qwen3-eight", "qwen3", {"num_attention_heads": 8, "num_key_value_heads": 2}),
    "sinks and windows": toys.Toy("gpt_oss-eight", "gpt_oss", {"num_attention_heads": 8, "num_key_value_heads": 2}),
}


@pytest.mark.parametrize("model", SHARED)
def test_ranks_share_key_heads(model, data, shelf, tmp_path):  # noqa: F811
    """Four ranks, two key/value heads or one."""
    start, tp4 = SHARED[model], {**SP2, "model.tensor_model_parallel_size": 4, "model.expert_tensor_parallel_size": 1}
    if not isinstance(start, dict):
        start = {"checkpoint.pretrained_checkpoint": shelf.path(start)}
    values = {**data, **BATCH, **start, "validation.eval_interval": 2, "validation.eval_iters": 2, "logger.log_params_norm": True, "optimizer.log_num_zeros_in_grad": True}
    one = run(tmp_path / "one", 1, values)
    assert_close_runs(run(tmp_path / "sequence", 4, {**values, **tp4}), one)
    if model == "plain":
        assert_close_runs(run(tmp_path / "four", 4, {**values, **tp4, "model.sequence_parallel": False}), one)
        got = resumed(tmp_path / "resumed", {**values, "train.train_iters": 4}, (4, tp4), (1, {}))
        assert_close_runs(got, run(tmp_path / "straight", 1, {**values, "train.train_iters": 4}))


WHOLE = {"model.expert_tensor_parallel_size": 1}
EXPERTS = {
    "split experts": ("mixtral", {}),
    "whole experts": ("mixtral", WHOLE),
    "shared experts": ("glm4_moe", WHOLE),
    "latent attention, bias routing": ("deepseek_v3", WHOLE),
    "latent attention, groups of experts": ("deepseek_v2", {}),
    "sinks and biases": ("gpt_oss", WHOLE),
    "prediction blocks": ("deepseek_v3-mtp2", WHOLE),
}


@pytest.mark.parametrize("model", EXPERTS)
def test_experts_are_one_process(model, data, shelf, tmp_path):  # noqa: F811
    toy, more = EXPERTS[model]
    values = {**data, **BATCH, "checkpoint.pretrained_checkpoint": shelf.path(toys.BY_NAME[toy]), "validation.eval_interval": 2, "validation.eval_iters": 2,
              "logger.log_params_norm": True, "model.moe_aux_loss_coeff": 0.02, "model.moe_z_loss_coeff": 0.001, "model.moe_router_bias_update_rate": 0.01,
              "model.mtp_loss_scaling_factor": 0.3}
    one = run(tmp_path / "one", 1, values)
    assert_close_runs(run(tmp_path / "two", 2, {**values, **SP2, **more}), one)
    if model in ("split experts", "latent attention, bias routing"):
        both = run(tmp_path / "both", 4, {**values, **SP2, **more, **LATE})
        assert_close_runs(both, one)
        assert_same_numbers(run(tmp_path / "plain", 4, {**values, **SP2, **more, "ddp.bucket_size": LATE["ddp.bucket_size"], "optimizer.use_distributed_optimizer": False}), both)
        assert_close_runs(run(tmp_path / "stages", 4, {**values, **SP2, **more, "model.pipeline_model_parallel_size": 2, "model.num_layers_in_first_pipeline_stage": 1}), one)


def test_sequences_over_four_ranks(data, shelf, tmp_path):  # noqa: F811
    """Three samples of 24 tokens over four ranks: parts begin inside of a sample."""
    values = values_of("tied", data, shelf, **{"model.hidden_dropout": 0.1, "train.micro_batch_size": 3, "train.global_batch_size": 6,
                                               "model.recompute_granularity": "full", "model.recompute_method": "uniform", "model.recompute_num_layers": 1})
    one = run(tmp_path / "one", 1, values)
    assert_close_runs(run(tmp_path / "four", 4, {**values, **SP2, "model.tensor_model_parallel_size": 4}), one)


def test_four_ranks_with_dropout_and_recompute(data, shelf, tmp_path):  # noqa: F811
    values = values_of("tied", data, shelf, **{"model.hidden_dropout": 0.1, "model.attention_dropout": 0.2, "model.recompute_granularity": "selective",
                                               "model.recompute_modules": ["mlp", "core_attn", "layernorm"]})
    one = run(tmp_path / "one", 1, values)
    assert_close_runs(run(tmp_path / "four", 4, {**values, "model.tensor_model_parallel_size": 4}), one)


@pytest.mark.parametrize("precision", ["fp32", "bf16_mixed"])
def test_a_run_goes_on_with_any_sharing(precision, data, tmp_path):  # noqa: F811
    values = {**data, **BATCH, **DENSE, "train.train_iters": 4, "mixed_precision": precision}
    straight = run(tmp_path / "straight", 2, {**values, **TP2})
    for name, first, second in (("same", (2, TP2), (2, TP2)), ("joined", (2, TP2), (1, {})), ("split", (1, {}), (4, TP2))):
        got = resumed(tmp_path / name, values, first, second)
        if name == "same":
            assert_same_numbers(got, straight)
        elif precision == "fp32":
            assert_close_runs(got, straight)


def test_what_is_not_split_is_refused(data, shelf, tmp_path):  # noqa: F811
    for more, words in (({"model.num_attention_heads": 9, "model.num_query_groups": 3}, "R470"),
                        ({"model.ffn_hidden_size": 57}, "R472"), ({"logger.sample_tokens": 3}, "R051"),
                        ({"mixed_precision": "bf16_with_fp8_current_scaling_mixed"}, "R051"), ({"model.sequence_parallel": True, "dataset.seq_length": 25}, "R464")):
        done = launch(tmp_path / words, 2, {**data, **BATCH, **DENSE, **TP2, **more}, exit_code=2)
        assert words in done.stderr + done.stdout, (more, done.stderr)
    for toy, more, words in (("mixtral", TP2, "R476"), ("gpt_oss", SP2, "R494"), ("deepseek_v3", SP2, "R475")):
        experts = {**data, **BATCH, **more, "checkpoint.pretrained_checkpoint": shelf.path(toys.BY_NAME[toy])}
        programs.refused(launch(tmp_path / words, 2, experts, exit_code=2), words)


def test_initial_weights_do_not_depend_on_the_ranks(data, tmp_path):  # noqa: F811
    """Rates of 0 leave them as they were drawn."""
    still = {**data, **BATCH, **DENSE, "optimizer.lr": 1e-30, "optimizer.weight_decay": 0.0, "train.train_iters": 1}
    one, four = (run(tmp_path / str(n), n, {**still, "model.tensor_model_parallel_size": n}) for n in (1, 4))
    import torch_dist
    ours, theirs = torch_dist.tensors(four[1]), torch_dist.tensors(one[1])
    weights = [key for key in theirs if not key.startswith("optimizer.")]
    assert len(weights) == 9
    for key in weights:
        assert torch.equal(ours[key], theirs[key]), key
