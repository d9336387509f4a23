"""Real Megatron-Core opens what we trained of the families beyond the first four (test_megatron.py), weights and optimizer, and
goes on: with its plain bf16 and its distributed optimizer, on one rank. State is compared bit for bit; then both sides go one
step further. The models are those of megatron_families.py; the routers' biases stay as they are on both sides."""
import pytest
import torch

import closeness
import core_toys
import toys
from megatron_client import joined_logits, on_last_stage
from megatron_runs import LEARNING_RATE, OPTIMIZERS, STEPS, Ours, assert_step_counts, batch_of, new


@pytest.fixture(scope="module")
def ours(shelf, tmp_path_factory):
    made = {}

    def get(family):
        if family not in made:
            toy = core_toys.TRAINED[family]
            made[family] = Ours(toy, shelf.path(toy, torch.bfloat16), tmp_path_factory.mktemp(f"ours-{family}"))
        return made[family]
    return get


def test_every_family_is_trained_on():
    assert sorted([*core_toys.TRAINED, *toys.MEGATRON]) == sorted(toys.FAMILIES)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("family", core_toys.TRAINED)
def test_megatron_goes_on_from_our_checkpoint(family, optimizer, ours, megatron, proves):
    proves(family, "megatron")
    run = ours(family)
    batch, saved = batch_of(run.toy), {"path": str(run.saved)}
    build = new(core_toys.config_of(run.toy, run.source), optimizer)
    step = "step", {"rows": batch, "learning_rate": LEARNING_RATE, "fp32_gradients": True}
    answers = megatron("1x1", build, ("load", saved), ("compare", saved), ("logits", {"rows": run.rows}), ("loss", {"rows": batch}), step,
                       ("loss", {"rows": batch}))
    _, loaded, compared, *_ = answers[0]
    assert loaded == {"iteration": STEPS, "steps": [float(STEPS)], "version": 3.0, "num_steps": 2 * STEPS}
    assert compared["wrong"] == [] and compared["compared"] > 30
    closeness.assert_close("logits", joined_logits(answers, 3), run.logits)
    before, after = on_last_stage(answers, 4), on_last_stage(answers, 6)
    closeness.assert_close("loss before the step", before, run.loss_before)
    assert_step_counts(before, after, run.loss_after)
