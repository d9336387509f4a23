"""Layouts of eight ranks drawn from all axes: each is one process."""
import itertools
import random
import re
import signal
import time

import pytest

import conftest
import toys
from test_data_parallel import BATCH, assert_close_runs, by_hand, endless, free_port, run, wait_for
from test_pipeline_parallel import TIED
from test_resume import data  # noqa: F401  (a fixture)

DENSE = {**TIED, "model.num_attention_heads": 8, "model.num_query_groups": 4}
EXPERTS = {"model.moe_aux_loss_coeff": 0.02, "model.moe_z_loss_coeff": 0.001}


def legal(tp, cp, pp, vpp, ep, etp, zero, sequence, experts):
    """Whether the toys can be cut so: 4 layers (experts: 3), 4 key/value heads (experts: 2), 8 experts, 24 tokens, 8 samples in the global batch."""
    dp = 8 // (tp * cp * pp)
    if (ep > 1 or etp > 1) and (not experts or 8 % (pp * ep * etp)):
        return False
    if tp * cp * pp * dp != 8 or (vpp > 1 and (pp == 1 or 4 % (pp * vpp) or 8 // dp < pp)):
        return False
    if experts and (vpp > 1 or pp > 2 or tp > 2 or (tp > 1 and not sequence)):
        return False
    return not (sequence and tp == 1) and not (zero and dp * cp == 1)


def way_of(tp, cp, experts, draw):
    """How context-parallel ranks exchange what attention needs, drawn from what the heads allow."""
    groups = (2 if experts else 4) // tp
    ways = [{}, {"model.cp_comm_type": "all_gather"}]
    if cp > 1 and groups % cp == 0:
        ways.append({"model.cp_comm_type": "a2a"})
    if cp == 4 and groups % 2 == 0:
        ways.append({"model.cp_comm_type": "a2a+p2p", "model.hierarchical_context_parallel_sizes": [2, 2]})
    return draw.choice(ways)


def keys_of(tp, cp, pp, vpp, ep, etp, zero, sequence, experts):
    keys = {**way_of(tp, cp, experts, random.Random(f"ways {conftest.SEED} {tp} {cp} {pp}")), "model.tensor_model_parallel_size": tp, "model.context_parallel_size": cp, "model.pipeline_model_parallel_size": pp, "model.sequence_parallel": sequence,
            "optimizer.use_distributed_optimizer": zero, "ddp.overlap_grad_reduce": zero, "ddp.bucket_size": 2000}
    if vpp > 1:
        keys["model.virtual_pipeline_model_parallel_size"] = vpp
    if experts:
        keys.update({"model.expert_model_parallel_size": ep, "model.expert_tensor_parallel_size": etp, "model.moe_token_dispatcher_type": "alltoall" if zero else "allgather"})
    if experts and pp == 2:
        keys["model.num_layers_in_first_pipeline_stage"] = 1
    return keys


def draw(seed, count):
    choices = [row for row in itertools.product((1, 2, 4), (1, 2, 4), (1, 2, 4), (1, 2), (1, 2, 4), (1, 2), (False, True), (False, True), (False, True)) if legal(*row)]
    random.Random(f"layouts {seed}").shuffle(choices)
    # Combinations first: eight ranks on one axis are what other tests do with fewer.
    choices.sort(key=lambda row: -sum(size > 1 for size in (*row[:3], row[4])) // 2)
    return choices[:count]


@pytest.fixture(scope="module")
def alone(data, shelf, tmp_path_factory):  # noqa: F811
    """Values and the run of one process, for each toy."""
    runs = {}
    for experts in (False, True):
        start = {"checkpoint.pretrained_checkpoint": shelf.path(toys.Toy("mixtral-eight-wide", "mixtral", {"num_local_experts": 8})), **EXPERTS} if experts else DENSE
        values = {**data, **BATCH, **start, "train.global_batch_size": 8, "train.train_iters": 2, "validation.eval_interval": 2, "validation.eval_iters": 1, "logger.log_params_norm": True}
        runs[experts] = values, run(tmp_path_factory.mktemp("alone"), 1, values)
    return runs


@pytest.mark.parametrize("row", draw(conftest.SEED, 12 if conftest.ALL else 5), ids=lambda row: "tp{}-cp{}-pp{}-vpp{}-ep{}-etp{}-zero{:d}-sp{:d}-experts{:d}".format(*row))
def test_eight_ranks_are_one_process(row, alone, tmp_path):
    values, one = alone[row[-1]]
    assert_close_runs(run(tmp_path / "ranks", 8, {**values, **keys_of(*row)}), one)


AXIS = {"stage": "pp", "part of layers": "tp", "part of a sequence": "cp"}
AXES = {"stage": {"model.pipeline_model_parallel_size": 2}, "part of layers": {"model.tensor_model_parallel_size": 2},
        "part of a sequence": {"model.context_parallel_size": 2}}


@pytest.mark.parametrize("axis", AXES)
def test_the_other_rank_ends_and_says_what_it_waited_for(axis, data, tmp_path):  # noqa: F811
    """Two ranks without a launcher that would see to it; the second is killed."""
    recipe = endless(data, tmp_path, **AXES[axis])
    first, second = by_hand([recipe, recipe], free_port())
    wait_for(tmp_path / "run" / "metrics.jsonl", 3, first)
    second.send_signal(signal.SIGKILL)
    begin = time.monotonic()
    output, _ = first.communicate(timeout=30)
    second.communicate()
    assert first.returncode == 70, output
    assert time.monotonic() - begin < 15
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and re.search(rf"\[iteration \d+\] \[rank 0 of 2 on \S+\] \S.* over {AXIS[axis]} failed: ", errors[0]), output
