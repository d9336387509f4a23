"""Every key that a Megatron reader asks for is in our checkpoints, with its global shape; taking any one away is noticed."""
import dataclasses
import json

import pytest

import key_tables
import programs
from key_tables import Model

MODELS = {
    "dense": Model("dense", 4), "dense-bias": Model("dense", 4, qkv_bias=True, tied=True), "dense-qk-norm": Model("dense", 4, qk_norm=True),
    "moe": Model("moe", 4, qk_norm=True), "moe-shared": Model("moe", 4, shared_ffn=48, expert_bias=True),
    "mla": Model("mla", 4, shared_ffn=56, expert_bias=True), "mla-no-q-lora": Model("mla", 4, shared_ffn=56, q_lora=0),
    "post-norms": Model("dense", 4, post_norms=True, qk_norm=True), "layer-norm": Model("dense", 4, layer_norm=True),
    "sinks": Model("dense", 4, sinks=True, tied=True), "biases": Model("moe", 4, biases=True, sinks=True),
    "shared-gate": Model("moe", 4, shared_ffn=48, shared_gate=True),
    "mtp-dense": Model("dense", 4, mtp=1, qk_norm=True), "mtp-moe": Model("moe", 4, mtp=2, expert_bias=True),
    "mtp-mla": Model("mla", 4, mtp=2, shared_ffn=56, expert_bias=True),
}
MODELS |= {f"{name}-5": dataclasses.replace(model, layers=5) for name, model in MODELS.items()}


def our_keys(model):
    text = programs.run("key_tool", json.dumps(dataclasses.asdict(model))).stdout
    return {key: shape if shape is None else tuple(shape) for key, shape in json.loads(text).items()}


@pytest.mark.parametrize("name", MODELS)
def test_our_tables_hold_every_key_that_is_asked_for(name):
    assert key_tables.missing(our_keys(MODELS[name]), MODELS[name]) == []


@pytest.mark.parametrize("name", ["dense", "moe", "mla", "dense-5", "moe-5", "mla-5", "post-norms", "layer-norm", "biases", "shared-gate", "mtp-mla"])
def test_any_single_key_is_missed(name):
    model = MODELS[name]
    written = {**key_tables.asked(model, "te"), **key_tables.asked(model, "local")}
    assert key_tables.missing(written, model) == []
    tables = [key_tables.asked(model, reader) for reader in ("te", "local")]
    for key, shape in written.items():
        without = {k: v for k, v in written.items() if k != key}
        assert any(k == key for table in tables for k in table if k not in without)
        assert (key, shape) in {(k, want) for k, want, got in missing_fast(without, tables)}
        if shape is not None:
            assert missing_fast({**written, key: shape[:-1] + (shape[-1] + 1,)}, tables), f"another shape of {key} passes"


def missing_fast(written, tables):
    """key_tables.missing with the tables made once."""
    return [(k, want, written.get(k, "nothing")) for table in tables for k, want in table.items() if written.get(k, "nothing") != want]


@pytest.mark.parametrize("name", MODELS)
def test_the_local_tables_are_what_megatron_core_asks_for(name, megatron):
    """The tables above against a live Megatron-Core model with its local layer spec."""
    model = MODELS[name]
    asked = dict(megatron("1x1", ("keys", {"model": dataclasses.asdict(model)}))[0][0])
    asked = {key: None if shape is None else tuple(shape) for key, shape in asked.items()}
    assert key_tables.asked(model, "local", optimizer=False) == asked
