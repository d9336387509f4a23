"""What ranks send each other in an iteration, counted, is what docs/parallelism.md says."""
import pytest

import toys
from test_data_parallel import BATCH, launch
from test_pipeline_parallel import TIED
from test_resume import data  # noqa: F401  (a fixture)

LAYERS, HIDDEN, GROUPS, HEAD, VOCAB, TOKENS, MICRO = 4, 36, 2, 8, 211, 24, 4
HEADS, FFN = 6, 56
FP32 = 4
TH = TOKENS * HIDDEN * FP32        # hidden states of a micro-batch of one sample


def padded():
    """Bytes of a rank's flat buffer: every weight on a multiple of 64, the whole on one of lcm(2 ranks, 128)."""
    sizes = [VOCAB * HIDDEN, HIDDEN]
    for _ in range(LAYERS):
        sizes += [HIDDEN, (HEADS + 2 * GROUPS) * HEAD * HIDDEN, HIDDEN * HEADS * HEAD, HIDDEN, 2 * FFN * HIDDEN, FFN * HIDDEN]
    total = sum((size + 63) // 64 * 64 for size in sizes)
    return (total + 127) // 128 * 128 * FP32


def tensor(micro):
    """Two sums a layer forward and two backward, one for the embedding, one before the head; of the loss its largest logits, then two sums."""
    return {"tp all_reduce": micro * (4 * LAYERS + 2) * TH + micro * 3 * TOKENS * FP32}


def sequence(micro):
    """Each of those sums becomes a scattered sum and a gathering; the inputs of two products a layer are gathered once more. Norms: summed over ranks."""
    return {"tp reduce_scatter": micro * (4 * LAYERS + 2) * TH, "tp all_gather": micro * (4 * LAYERS + 2 + 2 * LAYERS) * TH,
            "tp all_reduce": micro * 3 * TOKENS * FP32 + (2 * LAYERS + 1) * HIDDEN * FP32}


TOP_K = EXPERTS = 8   # every expert: else what comes to a rank's experts depends on the routes
MOE_LAYERS = 3
MIXTRAL = toys.Toy("mixtral-all-of-eight", "mixtral", {"num_local_experts": 8, "num_experts_per_tok": 8})


def expert_buffer(layers=MOE_LAYERS, experts=EXPERTS):
    """Bytes of a rank's experts."""
    return layers * experts * ((2 * FFN * HIDDEN + 63) // 64 * 64 + (FFN * HIDDEN + 63) // 64 * 64) * FP32


PLAIN = {"optimizer.use_distributed_optimizer": False}
KEYS = MICRO * LAYERS * 2 * TOKENS * GROUPS * HEAD * FP32   # keys and values of whole sequences


def context(ranks, kind=None, levels=None):
    return {"model.context_parallel_size": ranks, "model.cp_comm_type": kind, "model.hierarchical_context_parallel_sizes": levels, **PLAIN}


def ring(axis, ranks, context_ranks):
    """Keys and values go round once in each pass, to ranks - 1 neighbours; their gradients go the whole way. Of each context-parallel rank's tokens."""
    return {f"{axis} {what}": (3 * ranks - 2) * KEYS // context_ranks for what in ("send", "receive")}


def heads(context_ranks):
    """Queries, keys and values there, outputs back, in each pass."""
    return 2 * MICRO * LAYERS * TOKENS // context_ranks * (2 * HEADS + 2 * GROUPS) * HEAD * FP32


ROWS = {
    "data": (PLAIN, {"dp all_reduce": padded()}),
    "sharded": ({}, {"dp reduce_scatter": padded(), "dp all_gather": padded()}),
    "tensor": ({"model.tensor_model_parallel_size": 2}, tensor(MICRO)),
    "sequence": ({"model.tensor_model_parallel_size": 2, "model.sequence_parallel": True}, sequence(MICRO)),
    "context, gathered": (context(2, "all_gather"), {"cp all_gather": 2 * KEYS, "cp reduce_scatter": KEYS, "cp all_reduce": padded()}),
    "context, ring": (context(2), {**ring("cp", 2, 2), "cp all_reduce": padded()}),
    "context, ring of four": (context(4), {**ring("cp", 4, 4), "cp all_reduce": padded()}),
    "context, heads": (context(2, "a2a"), {"cp all_to_all": heads(2), "cp all_reduce": padded()}),
    "context, both": (context(4, "a2a+p2p", [2, 2]), {"cp-inner all_to_all": heads(4), **ring("cp-outer", 2, 4), "cp all_reduce": padded()}),
    "context, by layer": (context(2, ["p2p", "a2a", "p2p", "all_gather"]),
                          {"cp all_gather": KEYS // 2, "cp reduce_scatter": KEYS // 4, "cp all_to_all": heads(2) // 4, "cp send": ring("cp", 2, 2)["cp send"] // 2,
                           "cp receive": ring("cp", 2, 2)["cp receive"] // 2, "cp all_reduce": padded()}),
    "pipeline": ({"model.pipeline_model_parallel_size": 2}, {"pp send": MICRO * TH, "pp receive": MICRO * TH, "ends all_reduce": VOCAB * HIDDEN * FP32}),
    "chunks": ({"model.pipeline_model_parallel_size": 2, "model.virtual_pipeline_model_parallel_size": 2},
               {"pp send": MICRO * 3 * TH, "pp receive": MICRO * 3 * TH, "ends all_reduce": VOCAB * HIDDEN * FP32}),
}


MOVED = MICRO // 2 * MOE_LAYERS * 2   # micro-batches of a rank, forward and backward
EXPERT_ROWS = {
    "rows travel": (2, {"model.expert_model_parallel_size": 2, "model.moe_token_dispatcher_type": "alltoall"}, {"ep all_to_all": MOVED * 2 * TOP_K * TH}),
    "all are gathered": (2, {"model.expert_model_parallel_size": 2}, {"ep all_gather": MOVED * 2 * TH, "ep reduce_scatter": MOVED * 2 * TH}),
    "split experts": (4, {"model.expert_model_parallel_size": 2, "model.expert_tensor_parallel_size": 2, "model.moe_token_dispatcher_type": "alltoall"},
                      {"ep all_to_all": MOVED // 2 * 2 * 2 * TOP_K * TH}),
}


@pytest.mark.parametrize("row", ROWS)
def test_volume_of_an_iteration(row, data, tmp_path):  # noqa: F811
    more, want = ROWS[row]
    values = {**data, **BATCH, **TIED, "dataset.valid_data_path": None, **more}
    counted = []
    for iterations in (2, 3):
        ranks = max(2, more.get("model.context_parallel_size", 2))
        report = launch(tmp_path / str(iterations), ranks, {**values, "train.train_iters": iterations})
        counted.append({name: (volume["bytes"], volume["calls"]) for name, volume in report["communication"].items()})
    one = {name: counted[1][name][0] - counted[0].get(name, (0, 0))[0] for name in counted[1]}
    numbers = [one.pop(name) for name in list(one) if name.endswith(" numbers")]
    assert {name: volume for name, volume in one.items() if volume} == want
    assert sum(numbers) <= 1024 * 8, "counts, losses and norms: a few numbers"


@pytest.mark.parametrize("row", EXPERT_ROWS)
def test_volume_of_experts(row, data, shelf, tmp_path):  # noqa: F811
    """Beside it some numbers of every token: which experts it chose, and their weights."""
    ranks, more, want = EXPERT_ROWS[row]
    values = {**data, **BATCH, "checkpoint.pretrained_checkpoint": shelf.path(MIXTRAL), "dataset.valid_data_path": None, **PLAIN, **more}
    counted = []
    for iterations in (2, 3):
        report = launch(tmp_path / str(iterations), ranks, {**values, "train.train_iters": iterations})
        counted.append({name: volume["bytes"] for name, volume in report["communication"].items()})
    one = {name: counted[1][name] - counted[0].get(name, 0) for name in counted[1]}
    for name, volume in want.items():
        small = MOVED * (EXPERTS + 2 * 2 * TOP_K * TOKENS) * 8 if name != "ep all_to_all" else 0
        assert volume <= one[name] <= volume + small, (name, one)
    experts = expert_buffer() // 2
    if ranks == 2:
        assert not any(name.startswith("edp") for name in one), "each expert is on one rank"
    assert one["dp all_reduce"] < (experts if ranks == 2 else one["dp all_reduce"] + 1), "no expert's gradient is summed over copies of the model"
