"""Real Megatron-Core opens what we trained of the families beyond the first four (test_megatron.py), weights and optimizer, and
goes on: with its plain bf16 and its distributed optimizer, on one rank. State is compared bit for bit; then both sides go one
step further. The models are those of megatron_families.py; the routers' biases stay as they are on both sides."""
import pytest

import closeness
import conftest
import core_toys
import toys
import training_runs
from megatron_client import MegatronError, joined_logits, on_last_stage
from megatron_runs import LEARNING_RATE, OPTIMIZERS, STEPS, Theirs, assert_step_counts, assert_we_go_on, batch_of, new, trained_once


@pytest.fixture(scope="module")
def ours(shelf, tmp_path_factory):
    return trained_once(core_toys.TRAINED, shelf, tmp_path_factory)


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
                       ("loss", {"rows": batch, "main": True}))
    _, loaded, compared, *_ = answers[0]
    assert loaded == {"iteration": STEPS, "steps": [float(STEPS)], "version": 3.0, "num_steps": 2 * STEPS}
    assert compared["wrong"] == [] and compared["compared"] > 30
    closeness.assert_close("logits", joined_logits(answers, 3), run.logits)
    before, after = on_last_stage(answers, 4), on_last_stage(answers, 6)
    assert_step_counts(before, after, run.loss_after)


@pytest.mark.parametrize("family", ["glm4_moe", "deepseek_v3", "gpt_oss"])
def test_expert_parallelism_opens_a_checkpoint_that_is_meant_for_it(family, ours, megatron, tmp_path):
    """With expert parallelism Megatron chains an optimizer of the experts to the other, each with its own groups (those of GPT-OSS
    have biases, which do not decay); without that it takes one. Neither opens the other's checkpoint, not even Megatron's own."""
    run = ours(family)
    values = {**run.values, "checkpoint.load": run.root, "checkpoint.save": tmp_path / "run", "train.train_iters": STEPS + 1}
    training_runs.train(tmp_path, {**values, "checkpoint.separate_expert_optimizer": True})
    separate, together = tmp_path / "run" / f"iter_{STEPS + 1:07d}", run.saved
    for optimizer in OPTIMIZERS:
        build = new(core_toys.config_of(run.toy, run.source), optimizer)
        answers = megatron("ep2", build, ("load", {"path": str(separate)}), ("compare", {"path": str(separate)}))
        for _, loaded, compared in answers:
            assert loaded == {"iteration": STEPS + 1, "steps": [STEPS + 1.0], "version": 3.0, "num_steps": 2 * STEPS + 2}
            assert compared["wrong"] == []
        assert sum(compared["compared"] for _, _, compared in answers) > 60
        for layout, other, complaint in (("ep2", together, "Expected 2 entries in state dict"), ("1x1", separate, "KeyError: '(pre_wd_mult|optimizer)'")):
            with pytest.raises(MegatronError, match=complaint):
                megatron(layout, build, ("load", {"path": str(other)}))


def ways_back(full=conftest.ALL, seed=conftest.SEED):
    """(optimizer, family): one family with experts, one with latent attention, one variant; by default the seed draws the optimizer."""
    for number, family in enumerate(["qwen3_moe", "deepseek_v3", "gemma3"]):
        for optimizer in OPTIMIZERS if full else [list(OPTIMIZERS)[(number + seed) % 2]]:
            yield optimizer, family


@pytest.mark.parametrize("optimizer, family", list(ways_back()))
def test_we_go_on_from_megatrons_checkpoint(family, optimizer, ours, megatron, tmp_path, proves):
    """run_config.yaml is the one of our conversion."""
    proves(family, "megatron")
    run = ours(family)
    build = new(core_toys.config_of(run.toy, run.source), optimizer)
    assert_we_go_on(run, Theirs(run.toy, run.source, build, "1x1", megatron, tmp_path), optimizer, tmp_path)
