"""Expert parallel: ranks that share the experts out are one process, with both dispatchers, beside the other axes."""
import pytest

import programs
import toys
import training_runs
from test_data_parallel import BATCH, LATE, PLAIN, assert_close_runs, assert_same_numbers, launch, resumed, run
from test_resume import data, documents  # noqa: F401  (a fixture)

LOSSES = {"model.moe_aux_loss_coeff": 0.02, "model.moe_z_loss_coeff": 0.001, "model.moe_router_bias_update_rate": 0.01}
GATHER, TRAVEL = {"model.moe_token_dispatcher_type": "allgather"}, {"model.moe_token_dispatcher_type": "alltoall"}
DISPATCHERS = {"allgather": GATHER, "alltoall": TRAVEL}
MODELS = {
    "softmax": toys.Toy("mixtral-eight", "mixtral", {"num_local_experts": 8, "num_attention_heads": 8, "num_key_value_heads": 4}),
    "bias routing, shared experts, latent attention": toys.BY_NAME["deepseek_v3"],
    "sinks and biases": toys.BY_NAME["gpt_oss"],
}


def sizes(ep, etp=1, **more):
    return {"model.expert_model_parallel_size": ep, "model.expert_tensor_parallel_size": etp, **more}


SEQUENCE = {"model.tensor_model_parallel_size": 2, "model.sequence_parallel": True}
UNEVEN = {"model.pipeline_model_parallel_size": 2, "model.num_layers_in_first_pipeline_stage": 1}
# ranks, keys
ROWS = {
    "two": (2, sizes(2)),
    "four": (4, sizes(4)),
    "beside data parallel": (4, sizes(2)),
    "split experts": (4, sizes(2, 2)),
    "split experts of sequence parallel": (4, {**sizes(2, 2), **SEQUENCE}),
    "split over fewer than share a layer": (4, {**sizes(1, 2), **SEQUENCE, "model.tensor_model_parallel_size": 4}),
    "over the ranks of sequence parallel": (2, {**sizes(2), **SEQUENCE}),
    "over both": (4, {**sizes(4), **SEQUENCE}),
    "over ranks of a context": (2, {**sizes(2), "model.context_parallel_size": 2}),
    "beside stages": (4, {**sizes(2), **UNEVEN}),
}


def values_of(model, data, shelf, **more):  # noqa: F811
    return {**data, **BATCH, **LOSSES, "checkpoint.pretrained_checkpoint": shelf.path(MODELS[model]), "validation.eval_interval": 2, "validation.eval_iters": 2,
            "logger.log_params_norm": True, "optimizer.log_num_zeros_in_grad": True, **more}


@pytest.fixture(scope="module")
def alone(data, shelf, tmp_path_factory):  # noqa: F811
    """Values and the run of one process, for each model."""
    runs = {}

    def get(model):
        if model not in runs:
            values = values_of(model, data, shelf)
            runs[model] = values, run(tmp_path_factory.mktemp("alone"), 1, values)
        return runs[model]
    return get


@pytest.mark.parametrize("dispatcher", DISPATCHERS)
@pytest.mark.parametrize("row", ROWS)
def test_ranks_are_one_process(row, dispatcher, alone, tmp_path):
    values, one = alone("softmax")
    ranks, keys = ROWS[row]
    assert_close_runs(run(tmp_path / "ranks", ranks, {**values, **keys, **DISPATCHERS[dispatcher]}), one)


@pytest.mark.parametrize("model", [model for model in MODELS if model != "softmax"])
@pytest.mark.parametrize("row,dispatcher", [("two", "allgather"), ("over the ranks of sequence parallel", "alltoall"), ("beside stages", "alltoall")])
def test_every_router_is_one_process(row, dispatcher, model, alone, tmp_path):
    values, one = alone(model)
    ranks, keys = ROWS[row]
    assert_close_runs(run(tmp_path / "ranks", ranks, {**values, **keys, **DISPATCHERS[dispatcher]}), one)


@pytest.mark.parametrize("dispatcher", DISPATCHERS)
def test_sharding_and_overlap_change_no_bit(dispatcher, alone, tmp_path):
    values, one = alone("softmax")
    values = {**values, **sizes(2), **DISPATCHERS[dispatcher], "ddp.bucket_size": LATE["ddp.bucket_size"]}
    late = run(tmp_path / "late", 4, {**values, **LATE})
    assert_close_runs(late, one)
    assert_same_numbers(run(tmp_path / "plain", 4, {**values, **PLAIN}), late)
    assert_close_runs(run(tmp_path / "averaged", 4, {**values, **LATE, "ddp.average_in_collective": True}), one)


MEMORY = {
    "all layers": {"model.recompute_granularity": "full", "model.recompute_method": "uniform", "model.recompute_num_layers": 1},
    "parts": {"model.recompute_granularity": "selective", "model.recompute_modules": ["moe_act", "shared_experts", "layernorm"]},
    "the block": {"model.recompute_granularity": "selective", "model.recompute_modules": ["moe"]},
}


@pytest.mark.parametrize("memory", MEMORY)
@pytest.mark.parametrize("dispatcher", DISPATCHERS)
def test_recompute_changes_no_bit(dispatcher, memory, alone, tmp_path):
    model = "bias routing, shared experts, latent attention"
    values, _ = alone(model)
    values = {**values, **sizes(2), **DISPATCHERS[dispatcher]}
    assert_same_numbers(run(tmp_path / "again", 2, {**values, **MEMORY[memory]}), run(tmp_path / "kept", 2, values))


@pytest.mark.parametrize("policy", ["probs", "position"])
def test_full_experts_drop_the_same_on_any_ranks(policy, alone, tmp_path):
    """Of the whole micro-batch, whoever has its tokens."""
    values, dropless = alone("softmax")
    values = {**values, "model.moe_expert_capacity_factor": 1.0, "model.moe_token_drop_policy": policy}
    one = run(tmp_path / "one", 1, values)
    for kind in ("train", "validation"):   # the first of each: before any update
        ours, theirs = (next(record for record in of[0] if record["kind"] == kind) for of in (one, dropless))
        assert ours["iteration"] <= 1 and abs(ours["lm loss"] - theirs["lm loss"]) > 1e-3, f"some are dropped in {kind}"
    for dispatcher, row in (("allgather", "over both"), ("alltoall", "over both"), ("alltoall", "over ranks of a context"), ("allgather", "two")):
        if policy == "position" and row == "over ranks of a context":
            continue   # R057, below
        ranks, keys = ROWS[row]
        assert_close_runs(run(tmp_path / f"{dispatcher} {row}", ranks, {**values, **keys, **DISPATCHERS[dispatcher]}), one)


@pytest.mark.parametrize("dispatcher", DISPATCHERS)
def test_documents_in_a_row(dispatcher, data, shelf, tmp_path):  # noqa: F811
    short = [document[:4 + i % 6] + [2] for i, document in enumerate(documents(200, 3))]
    values = values_of("softmax", data, shelf, **{"dataset.data_path": training_runs.write_indexed(tmp_path / "short", short), "dataset.reset_attention_mask": True, "dataset.reset_position_ids": True})
    assert_close_runs(run(tmp_path / "two", 2, {**values, **sizes(2), **DISPATCHERS[dispatcher]}), run(tmp_path / "one", 1, values))


@pytest.mark.parametrize("dispatcher", DISPATCHERS)
def test_ranks_without_a_micro_batch_serve_those_that_have_one(dispatcher, data, shelf, tmp_path):  # noqa: F811
    """All of the held-out set at once: its last batch does not go round."""
    values = values_of("softmax", data, shelf, **{"validation.full_validation": True, "train.micro_batch_size": 2})
    one = run(tmp_path / "one", 1, values)
    assert any("validation lm loss" in record or "validation" in str(record) for record in one[0]), one[0]
    assert_close_runs(run(tmp_path / "two", 2, {**values, **sizes(2), **DISPATCHERS[dispatcher]}), one)


def test_a_run_goes_on_with_any_share(data, shelf, tmp_path):  # noqa: F811
    values = values_of("softmax", data, shelf, **{"train.train_iters": 4, "validation.eval_interval": 4})
    straight = run(tmp_path / "straight", 2, {**values, **sizes(2)})
    for name, first, second in (("same", (2, sizes(2)), (2, sizes(2))), ("joined", (4, {**sizes(2, 2), **SEQUENCE}), (1, {})), ("split", (1, {}), (4, sizes(4)))):
        got = resumed(tmp_path / name, values, first, second)
        (assert_same_numbers if name == "same" else assert_close_runs)(got, straight)


def test_what_is_not_shared_is_refused(data, shelf, tmp_path):  # noqa: F811
    values = {**data, **BATCH}
    for model, ranks, more, words in (("softmax", 2, {**sizes(2), "model.moe_token_dispatcher_type": "flex"}, "R491"), ("softmax", 2, {**sizes(2), "logger.sample_tokens": 3}, "R490"),
                                      ("softmax", 2, {"model.context_parallel_size": 2, "model.moe_expert_capacity_factor": 1.0, "model.moe_token_drop_policy": "position"}, "R057"),
                                      ("softmax", 2, {"model.moe_expert_capacity_factor": 0.0}, "R055"), ("softmax", 2, {"model.moe_token_drop_policy": "worst"}, "R056"),
                                      ("softmax", 3, sizes(3), "R473"), ("softmax", 2, sizes(4), "R461"), ("sinks and biases", 2, sizes(1, 2), "R494"),
                                      ("softmax", 2, {**sizes(2), "mixed_precision": "bf16_with_fp8_current_scaling_mixed"}, "R490")):
        start = {"checkpoint.pretrained_checkpoint": shelf.path(MODELS[model])}
        programs.refused(launch(tmp_path / words, ranks, {**values, **start, **more, "train.global_batch_size": 12}, exit_code=2), words)
