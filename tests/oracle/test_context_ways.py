"""The ways in which context-parallel ranks get at each other's tokens: gradients of every step are those of one process."""
import random

import pytest

import closeness
import conftest
import torch_dist
import toys
import training_runs
from test_context_parallel import DOCUMENTS
from test_data_parallel import BATCH, assert_close_runs, assert_same_numbers, launch, run
from test_layouts import DENSE
from test_pipeline_parallel import EXPERTS
from test_resume import data, documents  # noqa: F401  (a fixture)

STEPS = 3
# Without a first moment what is saved as one is the gradient of the step; nothing clips it.
BARE = {**BATCH, "train.train_iters": STEPS, "optimizer.adam_beta1": 0.0, "optimizer.clip_grad": 0.0, "checkpoint.save_interval": 1}
LEVELS = {"model.cp_comm_type": "a2a+p2p", "model.hierarchical_context_parallel_sizes": [2, 2]}


def way(ranks, **keys):
    return ranks, {"model.context_parallel_size": ranks, **keys}


def rows():
    """{name: (ranks, keys)}"""
    of = {f"{kind} {ranks}": way(ranks, **{"model.cp_comm_type": kind}) for ranks in (2, 4) for kind in ("p2p", "all_gather", "a2a")}
    return {**of, "a2a+p2p": way(4, **LEVELS)}


WAYS = rows()
MODELS = {"dense": DENSE, "experts": "mixtral", "latent attention": "deepseek_v3", "sinks and windows": "gpt_oss"}
HEADS = {"dense": 4, "experts": 2, "latent attention": 6, "sinks and windows": 2}   # that ranks can exchange: key/value heads


def values_of(model, data, shelf, **more):  # noqa: F811
    start = MODELS[model]
    if not isinstance(start, dict):
        start = {"checkpoint.pretrained_checkpoint": shelf.path(toys.BY_NAME[start]), **EXPERTS}
    return {**data, **BARE, **start, **more}


def gradients(folder, ranks, values):
    """Of each step, by parameter."""
    last = run(folder, ranks, values)[1]
    steps = [torch_dist.tensors(last.parent / f"iter_{step:07d}") for step in range(1, STEPS + 1)]
    found = [{key: tensor for key, tensor in step.items() if key.endswith("exp_avg") or ".exp_avg." in key} for step in steps]
    assert all(len(step) > 5 for step in found)
    return found


def assert_same_gradients(got, want):
    for ours, theirs in zip(got, want, strict=True):
        closeness.assert_gradients_close(ours, theirs)


def legal(model, name):
    heads = {"a2a 2": 2, "a2a 4": 4, "a2a+p2p": 2}.get(name, 1)
    return HEADS[model] % heads == 0


def drawn(model):
    """All of them; by default two for each number of ranks, such that four models try every one."""
    names = [name for name in WAYS if legal(model, name)]
    if conftest.ALL:
        return names
    turn = list(MODELS).index(model) + conftest.SEED
    two, four = ([name for name in names if WAYS[name][0] == ranks] for ranks in (2, 4))
    return [group[(turn + i) % len(group)] for group in (two, four) for i in range(2 if len(group) > 3 or group is two else 1)]


@pytest.mark.parametrize("model", MODELS)
def test_ranks_have_the_gradients_of_one(model, data, shelf, tmp_path):  # noqa: F811
    values = values_of(model, data, shelf)
    want = gradients(tmp_path / "one", 1, values)
    for name in drawn(model):
        ranks, keys = WAYS[name]
        assert_same_gradients(gradients(tmp_path / name, ranks, {**values, **keys}), want)


BESIDE = {"tensor parallel": {"model.tensor_model_parallel_size": 2}, "sequence parallel": {"model.tensor_model_parallel_size": 2, "model.sequence_parallel": True},
          "stages": {"model.pipeline_model_parallel_size": 2}}


@pytest.mark.parametrize("beside", BESIDE)
def test_beside_another_axis(beside, data, shelf, tmp_path):  # noqa: F811
    values = values_of("dense", data, shelf)
    want = gradients(tmp_path / "one", 1, values)
    kinds = ["p2p 2", "a2a 2", "all_gather 2"]
    for name in kinds if conftest.ALL else kinds[:2]:
        assert_same_gradients(gradients(tmp_path / name, 4, {**values, **WAYS[name][1], **BESIDE[beside]}), want)


def test_documents_in_a_row(data, shelf, tmp_path):  # noqa: F811
    short = [document[:4 + i % 6] + [2] for i, document in enumerate(documents(200, 3))]
    values = values_of("sinks and windows", data, shelf, **DOCUMENTS, **{"dataset.data_path": training_runs.write_indexed(tmp_path / "short", short)})
    want = gradients(tmp_path / "one", 1, values)
    for name in ("p2p 2", "p2p 4", "a2a+p2p") if conftest.ALL else ("p2p 2", "a2a+p2p"):
        assert_same_gradients(gradients(tmp_path / name, WAYS[name][0], {**values, **WAYS[name][1]}), want)


def test_each_layer_has_its_own(data, shelf, tmp_path):  # noqa: F811
    """And some layers run again."""
    types = ["p2p", "all_gather", "a2a", "a2a+p2p"]
    random.Random(f"ways {conftest.SEED}").shuffle(types)
    values = values_of("dense", data, shelf, **{"model.recompute_granularity": "selective", "model.recompute_modules": ["core_attn"]})
    keys = {"model.context_parallel_size": 4, "model.cp_comm_type": types, "model.hierarchical_context_parallel_sizes": [2, 2]}
    assert_same_gradients(gradients(tmp_path / "each", 4, {**values, **keys}), gradients(tmp_path / "one", 1, values))


@pytest.mark.parametrize("name", ["p2p 2", "all_gather 2", "a2a 2"])
def test_what_is_dropped_is_what_one_process_drops(name, data, shelf, tmp_path):  # noqa: F811
    values = values_of("dense", data, shelf, **{"model.hidden_dropout": 0.1, "model.attention_dropout": 0.2, "train.micro_batch_size": 2})
    assert_same_gradients(gradients(tmp_path / "two", 2, {**values, **WAYS[name][1]}), gradients(tmp_path / "one", 1, values))


@pytest.mark.parametrize("name", ["p2p 2", "a2a 2", "all_gather 2"])
def test_bf16_learns_what_one_process_learns(name, data, shelf, tmp_path):  # noqa: F811
    values = {**values_of("dense", data, shelf), "mixed_precision": "bf16_mixed"}
    one, two = run(tmp_path / "one", 1, values)[0], run(tmp_path / "two", 2, {**values, **WAYS[name][1]})[0]
    for a, b in zip(two, one, strict=True):
        assert a["lm loss"] == pytest.approx(b["lm loss"], rel=2e-3)
        assert a["grad norm"] == pytest.approx(b["grad norm"], rel=3e-2)


def test_the_same_again(data, shelf, tmp_path):  # noqa: F811
    """Bit for bit, and unsaid is p2p."""
    values = values_of("dense", data, shelf)
    first, second = (run(tmp_path / name, 4, {**values, "model.context_parallel_size": 4, **keys}) for name, keys in (("first", {}), ("second", {"model.cp_comm_type": "p2p"})))
    assert_same_numbers(first, second)
    assert_close_runs(first, run(tmp_path / "one", 1, values))


def test_what_does_not_fit_is_refused(data, shelf, tmp_path):  # noqa: F811
    levels = "model.hierarchical_context_parallel_sizes"
    for more, words in (({"model.cp_comm_type": "ring"}, "R495"), ({"model.cp_comm_type": "a2a", "model.num_query_groups": 2, "model.num_attention_heads": 6}, "R492"),
                        ({"model.cp_comm_type": ["p2p", "a2a"]}, "R497"), ({"model.cp_comm_type": "a2a+p2p"}, "R496"), ({**LEVELS, levels: [2, 4]}, "R496"), ({levels: [2, 2]}, "R496")):
        done = launch(tmp_path / words, 4, {**values_of("dense", data, shelf), "model.context_parallel_size": 4, **more}, exit_code=2)
        assert words in done.stderr + done.stdout, (more, done.stderr)
