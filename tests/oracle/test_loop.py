"""The loop beside Megatron-Core's own arithmetic: batch sizes of a ramp-up, iteration by iteration."""
import pytest
from megatron.core import num_microbatches_calculator as megatron

import training_runs
from test_resume import RANDOM_MODEL, documents


def upstream(global_batch, ramp, micro, decrease, iterations):
    """(global batch trained on, consumed samples, skipped samples) of every iteration, as megatron/training/training.py counts."""
    megatron.unset_num_microbatches_calculator()
    megatron.init_num_microbatches_calculator(0, ramp, global_batch, micro, 1, decrease)
    consumed = skipped = 0
    for _ in range(iterations):
        megatron.update_num_microbatches(consumed, consistency_check=True)
        running = megatron.get_num_microbatches() * micro
        consumed += running
        skipped += megatron.get_current_global_batch_size() - megatron.get_current_running_global_batch_size()
        yield running, consumed, skipped
    megatron.unset_num_microbatches_calculator()


@pytest.mark.parametrize("global_batch, ramp, micro, decrease", [
    (8, [2, 2, 17], 2, False), (8, [2, 2, 18], 2, False), (9, [3, 1, 25], 2, True), (7, None, 2, True), (12, [4, 4, 1], 4, False)])
def test_batch_sizes_are_megatrons(global_batch, ramp, micro, decrease, tmp_path):
    values = {**RANDOM_MODEL, "dataset.data_path": training_runs.write_indexed(tmp_path / "data", documents(30, 1)), "dataset.seq_length": 8,
              "train.global_batch_size": global_batch, "train.micro_batch_size": micro, "train.train_iters": 9,
              "train.decrease_batch_size_if_needed": decrease, "logger.metrics_jsonl": tmp_path / "metrics.jsonl"}
    if ramp:
        values["train.rampup_batch_size"] = ramp
    training_runs.train(tmp_path, values)
    got = [(r["global batch size"], r["consumed samples"], r.get("skipped samples", 0)) for r in training_runs.records(tmp_path / "metrics.jsonl")]
    assert got == list(upstream(global_batch, ramp, micro, decrease, 9))
    assert len({size for size, _, _ in got}) > 1 or not ramp
