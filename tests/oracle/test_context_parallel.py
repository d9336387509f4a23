"""Context parallel: ranks that share each sequence are one process, in every kind of attention, beside the other axes."""
import json

import pytest

import toys
import training_runs
from test_data_parallel import BATCH, LATE, assert_close_runs, assert_same_numbers, launch, resumed, run
from test_pipeline_parallel import EXPERTS, TIED
from test_resume import data, documents  # noqa: F401  (a fixture)

CP2 = {"model.context_parallel_size": 2}
MODELS = {
    "tied": TIED,
    "experts": "mixtral",
    "latent attention and depths": "deepseek_v3-mtp",
    "windows": "gemma3",
    "caps": "gemma2",
    "sinks and windows": "gpt_oss",
}
DOCUMENTS = {"dataset.reset_attention_mask": True, "dataset.reset_position_ids": True}
AXES = {"data": {}, "context": {**CP2, "model.cp_comm_type": "all_gather"}, "stages": {"model.pipeline_model_parallel_size": 2, "model.num_layers_in_first_pipeline_stage": 1},
        "sequence": {"model.tensor_model_parallel_size": 2, "model.sequence_parallel": True}}


def values_of(model, data, shelf, **more):  # noqa: F811
    start = MODELS[model]
    if not isinstance(start, dict):
        start = {"checkpoint.pretrained_checkpoint": shelf.path(toys.BY_NAME[start]), **EXPERTS}
    return {**data, **BATCH, **start, "validation.eval_interval": 2, "validation.eval_iters": 2, "logger.log_params_norm": True, **more}


@pytest.mark.parametrize("model", MODELS)
def test_two_ranks_are_one_process(model, data, shelf, tmp_path):  # noqa: F811
    values = values_of(model, data, shelf)
    assert_close_runs(run(tmp_path / "two", 2, {**values, **CP2}), run(tmp_path / "one", 1, values))


SHAPES = {
    "four ranks": (4, {"model.context_parallel_size": 4}, {}),
    "losses per token": (2, CP2, {"model.calculate_per_token_loss": True}),
    "beside data parallel": (4, {**CP2, **LATE}, {}),
    "beside stages": (4, {**CP2, "model.pipeline_model_parallel_size": 2}, {}),
    "beside sequence parallel": (4, {**CP2, "model.tensor_model_parallel_size": 2, "model.sequence_parallel": True}, {"model.num_attention_heads": 8, "model.num_query_groups": 4}),
    "recomputed": (2, CP2, {"model.recompute_granularity": "full", "model.recompute_method": "uniform", "model.recompute_num_layers": 1}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_one_process(shape, data, shelf, tmp_path):  # noqa: F811
    ranks, split, both = SHAPES[shape]
    values = values_of("tied", data, shelf, **both)
    got = run(tmp_path / "ranks", ranks, {**values, **split})
    assert_close_runs(got, run(tmp_path / "one", 1, values))
    if shape == "beside data parallel":
        plain = {**values, **CP2, "ddp.bucket_size": LATE["ddp.bucket_size"], "optimizer.use_distributed_optimizer": False}
        assert_same_numbers(run(tmp_path / "plain", 4, plain), got)


@pytest.mark.parametrize("model", ["gemma3", "deepseek_v3-mtp"])
def test_documents_in_a_row_under_every_axis(model, data, shelf, tmp_path):  # noqa: F811
    """Tokens see their own document only: several short ones in every row."""
    short = [document[:4 + i % 6] + [2] for i, document in enumerate(documents(200, 3))]   # 2: the toys' end of text
    values = {**data, **BATCH, "dataset.data_path": training_runs.write_indexed(tmp_path / "short", short), "checkpoint.pretrained_checkpoint": shelf.path(toys.BY_NAME[model]), **EXPERTS, **DOCUMENTS}
    one = run(tmp_path / "one", 1, values)
    apart = run(tmp_path / "apart", 1, {**values, "dataset.reset_attention_mask": False})
    assert abs(one[0][0]["lm loss"] - apart[0][0]["lm loss"]) > 1e-3, "the masks matter"
    for axis, more in AXES.items():
        assert_close_runs(run(tmp_path / axis, 2, {**values, **more, "model.expert_tensor_parallel_size": 1}), one)


def test_experts_beside_sequence_parallel(data, shelf, tmp_path):  # noqa: F811
    values = values_of("experts", data, shelf)
    one = run(tmp_path / "one", 1, values)
    for name, more in (("split", {}), ("whole", {"model.expert_tensor_parallel_size": 1})):
        ranks = {**CP2, "model.tensor_model_parallel_size": 2, "model.sequence_parallel": True, **more}
        assert_close_runs(run(tmp_path / name, 4, {**values, **ranks}), one)


def test_a_run_goes_on_with_any_share(data, tmp_path):  # noqa: F811
    values = {**data, **BATCH, **TIED, "train.train_iters": 4}
    straight = run(tmp_path / "straight", 4, {**values, **CP2})
    for name, first, second in (("same", (4, CP2), (4, CP2)), ("joined", (4, CP2), (1, {})), ("split", (1, {}), (2, CP2))):
        got = resumed(tmp_path / name, values, first, second)
        (assert_same_numbers if name == "same" else assert_close_runs)(got, straight)


def test_what_is_not_shared_is_refused(data, tmp_path):  # noqa: F811
    done = launch(tmp_path, 2, {**data, **BATCH, **TIED, **CP2, "dataset.seq_length": 22}, exit_code=2)
    assert "R462" in done.stderr + done.stdout


FP8 = {"delayed": "bf16_with_fp8_delayed_scaling_mixed", "current": "bf16_with_fp8_current_scaling_mixed", "blocks": "bf16_with_fp8_subchannel_scaling_mixed"}


@pytest.mark.parametrize("preset", FP8)
def test_fp8_learns_what_one_process_learns(preset, data, tmp_path):  # noqa: F811
    """Of delayed scaling the codes are those of one process; other scales follow what a rank has."""
    values = {**data, **BATCH, **TIED, "train.train_iters": 6, "mixed_precision": FP8[preset]}
    one, two = run(tmp_path / "one", 1, values), run(tmp_path / "two", 2, {**values, **CP2})
    for a, b in zip(two[0], one[0], strict=True):
        assert a["lm loss"] == pytest.approx(b["lm loss"], rel=4e-3)
        assert a["grad norm"] == pytest.approx(b["grad norm"], rel=8e-2)


def test_samples_are_those_of_one_process(data, shelf, tmp_path):  # noqa: F811
    """One rank writes them, with experts too, whose choices other passes make together."""
    values = {**values_of("experts", data, shelf), "logger.sample_tokens": 6}
    training_runs.train(tmp_path / "one", {**values, "checkpoint.save": tmp_path / "one/run"})
    launch(tmp_path / "two", 2, {**values, **CP2, "checkpoint.save": tmp_path / "two/run"})
    one, two = ([r for r in map(json.loads, (tmp_path / name / "run" / "metrics.jsonl").read_text().splitlines()) if r.get("kind") == "sample"] for name in ("one", "two"))
    assert one == two and len(one) > 1 and all(0 < len(r["text"]) <= 6 for r in one)
