"""bf16 arithmetic, weights and activations, of every kind of mixer: how far logits and gradients are from the fp32 result of the same
weights, beside how far transformers' own bf16 is. Both round at about the same places, so neither is the truth; ours may not be the
worse one. Which experts a token goes to is no continuous thing: rows where rounding changed a choice are counted, and left out of
the rest."""
import json

import pytest
import torch
import transformers
from safetensors.torch import load_file

import programs
import toys

LENGTH, ROWS = 12, 16   # tokens of a row: more than the windows; rows that are compared
CANDIDATES = 60         # rows drawn for a model with experts
WORSE = 1.0             # as many times transformers' error may ours be, over all logits or all gradients: it is 0.7 to 0.9
WORSE_TENSOR = 2.0      # the same of a single tensor, some of which have 8 values, beside TINY of its size
TINY = 2.0 ** -7        # a unit in the last place of bf16
KINDS = {
    "mistral": "grouped queries in a window", "qwen3": "norms of queries and keys", "gemma2": "capped scores and logits, sandwich norms, a window",
    "exaone4-mixed": "norms behind, layers without positions", "nemotron": "LayerNorm, squared ReLU", "gpt_oss": "sinks in a window, clamped experts",
    "deepseek_v3": "latent attention, sigmoid experts in groups", "qwen3_moe": "softmax experts",
}


def rms(x):
    return x.double().square().mean().sqrt().item()


def bf16_model(folder):
    """transformers' own, eager: torch's grouped product wants strides that no toy has."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, attn_implementation="eager").eval()
    model.set_experts_implementation("eager")
    return model


def run(model, rows):
    """(logits, gradients by published name) of transformers, as fp32."""
    ids = torch.tensor(rows)
    out = model(ids, labels=ids)
    out.loss.backward()
    return out.logits.detach().float(), {name: g.float() for name, g in toys.gradients(model).items()}


def run_ours(folder, rows, tmp_path):
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    programs.rialto_train("logits", folder, "--tokens", tmp_path / "rows.json", "--out", tmp_path / "logits", "--gradients", tmp_path / "gradients",
                          "--dtype", "bf16")
    gradients = {name.removeprefix("grad."): g.float() for name, g in load_file(tmp_path / "gradients").items() if name != "loss"}
    return load_file(tmp_path / "logits")["logits"], gradients


def our_routes(folder, rows, tmp_path):
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    programs.rialto_train("logits", folder, "--tokens", tmp_path / "rows.json", "--out", tmp_path / "routes", "--routes", "--dtype", "bf16")
    return {int(name.removeprefix("routes.")): value for name, value in load_file(tmp_path / "routes").items() if name.startswith("routes.")}


def kept(want, got):
    """[rows]: no choice of experts in any layer differs."""
    assert got.keys() == want.keys()
    layers = [(want[layer].sort(-1).values == got[layer].sort(-1).values).all(-1).view(-1, LENGTH).all(-1) for layer in want]
    return torch.stack(layers).all(0)


def comparable_rows(toy, folder, exact, theirs, tmp_path):
    if not toys.has_experts(toy):
        return [toys.prompt(toy, LENGTH, seed=400 + n) for n in range(ROWS)]
    rows = [toys.prompt(toy, LENGTH, seed=400 + n) for n in range(CANDIDATES)]
    want = toys.routes(exact, rows)
    by_them, by_us = kept(want, toys.routes(theirs, rows)), kept(want, our_routes(folder, rows, tmp_path))
    moved, allowed = CANDIDATES - by_us.sum().item(), WORSE * (CANDIDATES - by_them.sum().item()) + 4
    assert moved <= allowed, f"rounding moved the choices of {moved} rows, allowed {allowed}"
    rows = [row for row, both in zip(rows, by_them & by_us) if both][:ROWS]
    assert len(rows) == ROWS
    return rows


@pytest.mark.parametrize("name", KINDS)
def test_bf16_is_no_further_from_fp32_than_transformers(name, shelf, tmp_path):
    toy = toys.BY_NAME[name]
    folder = shelf.path(toy, torch.bfloat16)
    exact, theirs = toys.load(folder), bf16_model(folder)
    rows = comparable_rows(toy, folder, exact, theirs, tmp_path)
    (want, want_g), (other, other_g), (got, got_g) = run(exact, rows), run(theirs, rows), run_ours(folder, rows, tmp_path)

    error, allowed = rms(got - want), WORSE * rms(other - want)
    assert 0 < error <= allowed, f"logits: {error:.3g} from fp32, allowed {allowed:.3g}"
    assert got_g.keys() == want_g.keys()
    ours, others = [], []
    for tensor, gradient in want_g.items():
        size = rms(gradient)
        if size == 0:   # an expert that nobody chose
            assert not got_g[tensor].any(), tensor
            continue
        ours.append(rms(got_g[tensor] - gradient) / size)
        others.append(rms(other_g[tensor] - gradient) / size)
        assert ours[-1] <= WORSE_TENSOR * others[-1] + TINY, f"gradient of {tensor}: {ours[-1]:.3g} of its size from fp32, transformers {others[-1]:.3g}"
    error, allowed = rms(torch.tensor(ours)), WORSE * rms(torch.tensor(others))
    assert error <= allowed, f"gradients: {error:.3g} of their sizes from fp32, allowed {allowed:.3g}"
