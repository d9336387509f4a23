"""Traces of 20 steps of every optimizer on the same gradients as torch's, or as a plain reference where torch has none; schedules
against their formulas and Megatron-Core's own scheduler. What acts is set by configuration keys."""
import json
import math

import pytest
import torch
from safetensors.torch import load_file, save_file

import closeness
import plain_optimizers as plain
import programs

STEPS, BATCH, VOCAB = 20, 4, 211
HEADS, GROUPS, HEAD_DIM = 6, 2, 8
KEYS = {"model.family": "qwen3", "model.num_layers": 2, "model.hidden_size": 36, "model.ffn_hidden_size": 56, "model.num_attention_heads": HEADS,
        "model.num_query_groups": GROUPS, "model.kv_channels": HEAD_DIM, "model.vocab_size": VOCAB, "model.seq_length": 32,
        "train.train_iters": STEPS, "train.global_batch_size": BATCH, "mixed_precision": "fp32", "optimizer.use_distributed_optimizer": False,
        "optimizer.lr": 1e-2, "optimizer.min_lr": 1e-3, "optimizer.decoupled_lr": 4e-3, "optimizer.decoupled_min_lr": 2e-3, "optimizer.weight_decay": 0.1,
        "optimizer.clip_grad": 8.0, "scheduler.lr_decay_style": "cosine", "scheduler.lr_warmup_iters": 4, "scheduler.lr_warmup_init": 1e-4}
ADAM = {"betas": (0.9, 0.98), "eps": 1e-3}
ADAM_KEYS = {"optimizer.adam_beta2": 0.98, "optimizer.adam_eps": 1e-3}
BF16 = {"mixed_precision": "bf16_mixed"}
AWARE = {**BF16, "optimizer.use_precision_aware_optimizer": True}


def tool(operation, *arguments, **keys):
    words = [f"{key}={str(value).lower() if isinstance(value, bool) else value}" for key, value in keys.items()]
    return programs.run("optim_tool", operation, *arguments, "--", *words).stdout


def own_rate(name):
    return name in ("embedding.word_embeddings.weight", "output_layer.weight")


def matrix(name, tensor):
    return tensor.dim() == 2 and not own_rate(name)


class Trace:
    """Our steps under `keys`, on gradients that clipping shrinks in some steps and leaves in others."""

    def __init__(self, folder, keys):
        keys = {**KEYS, **keys}
        save_file({}, folder / "none.safetensors")
        tool("trace", folder / "none.safetensors", folder / "start.safetensors", **keys)
        self.start = {k.removeprefix("0/"): v for k, v in load_file(folder / "start.safetensors").items() if k.startswith("0/")}
        draw = torch.Generator().manual_seed(5)
        self.gradients = [{name: torch.randn(p.shape, generator=draw) * 10 ** -(t % 4) for name, p in self.start.items()} for t in range(STEPS)]
        save_file({f"{t + 1}/{name}": g for t, step in enumerate(self.gradients) for name, g in step.items()}, folder / "gradients.safetensors")
        tool("trace", folder / "gradients.safetensors", folder / "out.safetensors", **keys)
        self.ours = load_file(folder / "out.safetensors")
        self.rates = json.loads(tool("schedule", *range(0, STEPS * BATCH, BATCH), **keys))
        self.clip = keys["optimizer.clip_grad"]

    def kept(self, prefix):
        return {k.removeprefix(f"{prefix}/"): v for k, v in self.ours.items() if k.startswith(f"{prefix}/")}

    def other(self, make, decays=lambda name, p: p.dim() == 2):
        """The main parameters after each step, and the optimizers, of `make(name, parameter)` -> an optimizer of it alone."""
        parameters = {name: torch.nn.Parameter(p.clone()) for name, p in self.start.items()}
        optimizers = {name: make(name, p) for name, p in parameters.items()}
        after, clipped = [], 0
        for gradients, (lr, decoupled_lr, weight_decay) in zip(self.gradients, self.rates, strict=True):
            norm = sum(g.double().square().sum() for g in gradients.values()).sqrt().item()
            scale = min(1.0, self.clip / (norm + 1e-6))
            clipped += scale < 1
            for name, p in parameters.items():
                p.grad = gradients[name] * scale
                group, = optimizers[name].param_groups
                group["lr"] = decoupled_lr if own_rate(name) else lr
                group["weight_decay"] = weight_decay if decays(name, p) else 0.0
                optimizers[name].step()
            after.append({name: p.detach().clone() for name, p in parameters.items()})
        assert 0 < clipped < STEPS
        return after, {name: next(iter(o.state.values()), {}) for name, o in optimizers.items()}

    def assert_equals(self, make, states, dtype=torch.float32, rounding=0.0, rare=False, **options):
        """`states`: name of the moment here -> the other's, of the parameters that have it there. `rounding`: of the way from
        the start, where both sides round to bf16 what differs by fp32's rounding; `rare`: of one value in a thousand."""
        after, others = self.other(make, **options)
        for t, step in enumerate(after, 1):
            for name, p in step.items():
                assert_near(f"step {t} {name}", self.ours[f"{t}/{name}"], p, rounding * (p - self.start[name]).abs().max().item(), rare)
        for name, p in after[-1].items():
            assert torch.equal(self.ours[f"weight/{name}"], self.ours[f"{STEPS}/{name}"].to(dtype).float()), name
        for state, theirs in states.items():
            want = {name: kept[theirs] for name, kept in others.items() if theirs in kept}
            assert self.kept(state).keys() == want.keys()
            for name, value in want.items():
                assert_near(f"{state} of {name}", self.ours[f"{state}/{name}"], value.float(), rare * rounding * value.abs().max().item(), rare)


def assert_near(what, got, want, rounding=0.0, rare=False):
    difference, bound = (got - want).abs(), closeness.TOLERANCE * want.abs().max().item()
    worst, beyond = difference.max().item(), int((difference > bound).sum())
    assert worst <= bound + rounding, f"{what}: differs by {worst:.3g}, allowed {bound + rounding:.3g}"
    assert not rare or beyond <= 1 + got.numel() / 1000, f"{what}: {beyond} of {got.numel()} values differ by more than {bound:.3g}"


ADAM_STATES = {"exp_avg": "exp_avg", "exp_avg_sq": "exp_avg_sq"}


@pytest.mark.parametrize("precision", ["fp32", "bf16_mixed"])
@pytest.mark.parametrize("decoupled", [True, False], ids=["adamw", "adam"])
def test_adam_is_torchs(decoupled, precision, tmp_path):
    keys = {**ADAM_KEYS, "mixed_precision": precision, "optimizer.decoupled_weight_decay": decoupled}
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    dtype = torch.float32 if precision == "fp32" else torch.bfloat16
    Trace(tmp_path, keys).assert_equals(lambda name, p: kind([p], foreach=False, **ADAM), ADAM_STATES, dtype)


def test_norms_of_queries_and_keys_decay_when_told(tmp_path):
    run = Trace(tmp_path, {**ADAM_KEYS, "optimizer.apply_wd_to_qk_layernorm": True})
    norms = [name for name in run.start if name.endswith(("q_layernorm.weight", "k_layernorm.weight"))]
    assert len(norms) == 4
    run.assert_equals(lambda name, p: torch.optim.AdamW([p], foreach=False, **ADAM), ADAM_STATES, decays=lambda name, p: p.dim() == 2 or name in norms)


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_sgd_is_torchs(momentum, tmp_path):
    states = {"momentum_buffer": "momentum_buffer"} if momentum else {}
    Trace(tmp_path, {"optimizer.optimizer": "sgd", "optimizer.sgd_momentum": momentum}).assert_equals(
        lambda name, p: torch.optim.SGD([p], lr=0.0, momentum=momentum, foreach=False), states)


def test_lion_is_the_papers(tmp_path):
    Trace(tmp_path, {"optimizer.optimizer": "lion", "optimizer.lion_beta1": 0.9, "optimizer.lion_beta2": 0.97}).assert_equals(
        lambda name, p: plain.Lion([p], betas=(0.9, 0.97)), {"exp_avg": "exp_avg"})


def plain_muon(p, name="", split=True, **options):
    qkv = [HEADS // GROUPS * HEAD_DIM, HEAD_DIM, HEAD_DIM] if split and name.endswith("linear_qkv.weight") else None
    return plain.Muon([p], **{"momentum": 0.95, "nesterov": False, "coefficients": plain.QUINTIC, "steps": 5, "scale": "spectral", "factor": 1.0,
                              "bf16": True, "qkv": qkv, **options})


MUON = {"plain": ({}, {}), "fp32": ({"muon_fp32_matmul_prec": "highest"}, {"bf16": False}),
        "whole-qkv": ({"muon_split_qkv": False, "muon_fp32_matmul_prec": "high"}, {"split": False, "bf16": False}),
        "nesterov": ({"muon_use_nesterov": True, "muon_momentum": 0.9, "muon_scale_mode": "shape_scaling", "muon_fp32_matmul_prec": "high"},
                     {"nesterov": True, "momentum": 0.9, "scale": "shape_scaling", "bf16": False}),
        "ten-steps": ({"muon_num_ns_steps": 10, "muon_scale_mode": "unit_rms_norm", "muon_extra_scale_factor": 0.2, "muon_fp32_matmul_prec": "high"},
                      {"steps": 10, "scale": "unit_rms_norm", "factor": 0.2, "bf16": False})}


@pytest.mark.parametrize("case", MUON)
def test_muon_is_the_plain_one(case, tmp_path):
    keys, options = MUON[case]
    run = Trace(tmp_path, {**ADAM_KEYS, "optimizer.optimizer": "muon", **{f"optimizer.{k}": v for k, v in keys.items()}})
    run.assert_equals(lambda name, p: plain_muon(p, name, **options) if matrix(name, p) else torch.optim.AdamW([p], foreach=False, **ADAM),
                      {"momentum_buffer": "momentum_buffer", **ADAM_STATES}, rounding=2**-6 if case == "plain" else 0.0)


@pytest.mark.parametrize("shape", [(24, 40), (40, 24)])
def test_the_plain_muon_is_torchs(shape):
    """torch has one set of coefficients and rounds to bf16 before it divides by the norm: equal but for bf16's rounding."""
    torch.manual_seed(3)
    start = torch.randn(shape)
    torchs, ours = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    settings = dict(lr=0.01, momentum=0.9, nesterov=True, weight_decay=0.1)
    a = torch.optim.Muon([torchs], ns_coefficients=(3.4445, -4.7750, 2.0315), ns_steps=5, adjust_lr_fn="match_rms_adamw", **settings)
    b = plain_muon(ours, coefficients=((3.4445, -4.7750, 2.0315),), factor=0.2, **settings)
    for _ in range(STEPS):
        torchs.grad = ours.grad = torch.randn(shape)
        a.step()
        b.step()
    assert (torchs - ours).abs().max() <= 2**-6 * (torchs - start).abs().max()


def test_remainders_change_no_bit(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    copies, remainders = Trace(tmp_path / "a", {**ADAM_KEYS, **BF16}), Trace(tmp_path / "b", {**ADAM_KEYS, **AWARE})
    assert copies.ours.keys() == remainders.ours.keys()
    for name, value in copies.ours.items():
        closeness.assert_same_bits(name, remainders.ours[name], value)


@pytest.mark.parametrize("fraction", [0.3, 1.0])
def test_offload_changes_no_bit(fraction, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    keys = {**ADAM_KEYS, **BF16}
    here = Trace(tmp_path / "a", keys)
    there = Trace(tmp_path / "b", {**keys, "optimizer.optimizer_cpu_offload": True, "optimizer.optimizer_offload_fraction": fraction})
    for name, value in here.ours.items():
        closeness.assert_same_bits(name, there.ours[name], value)


@pytest.mark.parametrize("remainders", [True, False])
def test_moments_in_bf16_are_rounded_after_each_step(remainders, tmp_path):
    run = Trace(tmp_path, {**ADAM_KEYS, **AWARE, "optimizer.store_param_remainders": remainders, "optimizer.exp_avg_dtype": "torch.bfloat16",
                           "optimizer.exp_avg_sq_dtype": "torch.bfloat16"})
    for state in ADAM_STATES:
        for name, value in run.kept(state).items():
            assert torch.equal(value, value.bfloat16().float()), name
    run.assert_equals(lambda name, p: plain.SmallAdamW([p], moments=dict.fromkeys(ADAM_STATES, torch.bfloat16), **ADAM), ADAM_STATES, torch.bfloat16,
                      rounding=2**-7, rare=True)


# Schedules

RUN = 200   # samples
LR, MIN_LR, OWN_LR, OWN_MIN_LR, INIT = 1e-2, 1e-3, 4e-3, 2e-3, 5e-4
DECAYS = {"constant": (0.1, 0.1), "linear": (0.02, 0.3), "cosine": (0.02, 0.3)}
STYLES = ["constant", "linear", "cosine", "inverse-square-root", "WSD linear", "WSD cosine", "WSD exponential", "WSD minus_sqrt"]
LENGTHS = {   # keys -> samples of the warm-up, of the decay, of WSD's own decay
    "iterations": ({"lr_warmup_iters": 7, "lr_decay_iters": 40, "lr_wsd_decay_iters": 11}, (28, 160, 44)),
    "samples": ({"lr_warmup_samples": 30, "lr_decay_samples": 150, "lr_wsd_decay_samples": 33}, (30, 150, 33)),
    "fraction": ({"lr_warmup_fraction": 0.13, "lr_wsd_decay_iters": 11}, (26.0, RUN, 44)),
    "none": ({"lr_wsd_decay_samples": 50}, (0, RUN, 50))}


def formula(n, high, low, style, warm_up, decay, wsd):
    """training.md 3.9, of n samples."""
    if warm_up and n <= warm_up:
        return INIT + (high - INIT) * n / warm_up
    if style == "constant":
        return high
    if n > decay:
        return low
    if style == "inverse-square-root":
        return max(low, high * math.sqrt(max(warm_up, 1) / max(n, 1)))
    r = (n - warm_up) / (decay - warm_up)
    style, _, of_wsd = style.partition(" ")
    factor = {"linear": 1 - r, "cosine": (1 + math.cos(math.pi * r)) / 2, "WSD": 1}[style]
    if style == "WSD" and n > decay - wsd:
        r = (n - (decay - wsd)) / wsd
        factor = {"linear": 1 - r, "cosine": (1 + math.cos(math.pi * r)) / 2, "exponential": 2 * 0.5**r - 1, "minus_sqrt": 1 - math.sqrt(r)}[of_wsd]
    return low + (high - low) * factor


def decay_formula(n, style, start, end):
    if style == "constant" or n > RUN:
        return end
    return start + (end - start) * {"linear": n / RUN, "cosine": (math.cos(math.pi * (1 - n / RUN)) + 1) / 2}[style]


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("number, style", list(enumerate(STYLES)))
def test_schedules_are_the_formulas_and_megatrons(number, style, lengths, megatron):
    keys, (warm_up, decay, wsd) = LENGTHS[lengths]
    grows = list(DECAYS)[number % 3]
    start, end = DECAYS[grows]
    name, _, of_wsd = style.partition(" ")
    length = {"train.train_samples": RUN} if lengths == "samples" else {"train.train_iters": RUN // BATCH}
    samples = list(range(0, RUN + 20))
    ours = json.loads(tool("schedule", *samples, **{
        **length, "train.global_batch_size": BATCH, "optimizer.lr": LR, "optimizer.min_lr": MIN_LR, "optimizer.decoupled_lr": OWN_LR,
        "optimizer.decoupled_min_lr": OWN_MIN_LR, "scheduler.lr_decay_style": name, "scheduler.lr_warmup_init": INIT if warm_up else 0.0,
        "scheduler.lr_wsd_decay_style": of_wsd or "exponential", "scheduler.start_weight_decay": start, "scheduler.end_weight_decay": end,
        "scheduler.weight_decay_incr_style": grows, **{f"scheduler.{k}": v for k, v in keys.items()}}))
    megatrons, = megatron("1x1", ("rates", {"samples": samples, "groups": [{}, {"max_lr": OWN_LR, "min_lr": OWN_MIN_LR}], "schedule": dict(
        init_lr=INIT if warm_up else 0.0, max_lr=LR, min_lr=MIN_LR, lr_warmup_steps=warm_up, lr_decay_steps=decay, lr_decay_style=name, start_wd=start,
        end_wd=end, wd_incr_steps=RUN, wd_incr_style=grows, wsd_decay_steps=wsd, lr_wsd_decay_style=of_wsd or "exponential")}))
    for n, got, theirs in zip(samples, ours, megatrons[0], strict=True):
        want = [formula(n, LR, MIN_LR, style, warm_up, decay, wsd), formula(n, OWN_LR, OWN_MIN_LR, style, warm_up, decay, wsd),
                decay_formula(n, grows, start, end)]
        assert got == pytest.approx(want, rel=1e-14, abs=1e-17), n
        assert got == pytest.approx(theirs, rel=1e-14, abs=1e-17), n
