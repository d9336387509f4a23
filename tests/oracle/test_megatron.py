"""Real Megatron-Core opens what we write, weights and optimizer, and we open what it writes: each family, with its plain bf16
and its distributed optimizer, alone and as TP 2 x PP 2. State is compared bit for bit; then both sides go one step further."""
import json

import pytest

import closeness
import key_tables
import programs
import torch_dist
import toys
from megatron_client import joined_logits, on_last_stage
from megatron_runs import LEARNING_RATE, OPTIMIZERS, STEPS, Theirs, assert_step_counts, assert_we_go_on, batch_of, new, trained_once

LAYOUTS = ["1x1", "2x2"]


def config_of(source):
    return json.loads((source / "config.json").read_text())


@pytest.fixture(scope="module")
def ours(shelf, tmp_path_factory):
    return trained_once(toys.MEGATRON, shelf, tmp_path_factory)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("family", toys.MEGATRON)
def test_megatron_goes_on_from_our_checkpoint(family, layout, optimizer, ours, megatron, proves):
    proves(family, "megatron")
    proves(family, "core logits")
    run = ours(family)
    batch = batch_of(run.toy)
    step = {"rows": batch, "learning_rate": LEARNING_RATE}
    answers = megatron(layout, new(config_of(run.source), optimizer), ("load", {"path": str(run.saved)}), ("compare", {"path": str(run.saved)}),
                       ("logits", {"rows": run.rows}), ("loss", {"rows": batch}), ("step", {**step, "fp32_gradients": True}), ("loss", {"rows": batch, "main": True}))
    for _, loaded, compared, *_ in answers:
        assert loaded == {"iteration": STEPS, "steps": [float(STEPS)], "version": 3.0, "num_steps": 2 * STEPS}
        assert compared["wrong"] == [] and compared["compared"] > 30
    closeness.assert_close("logits", joined_logits(answers, 3), run.logits)
    before, after = on_last_stage(answers, 4), on_last_stage(answers, 6)
    closeness.assert_close("loss before the step", before, run.loss_before)
    assert_step_counts(before, after, run.loss_after)


def run_config(config):
    """The model section that Megatron Bridge writes for such a model."""
    family, heads = config["model_type"], config["num_attention_heads"]
    rope = config.get("rope_parameters") or {"rope_theta": config["rope_theta"], **(config.get("rope_scaling") or {"rope_type": "default"})}
    window = config.get("sliding_window") if family == "mistral" else None
    return f"""model:
  _target_: megatron.bridge.models.gpt_provider.GPTModelProvider
  activation_func:
    _call_: false
    _target_: torch.nn.functional.silu
  add_bias_linear: false
  add_qkv_bias: {str(family == "qwen2").lower()}
  attention_dropout: 0.0
  bf16: true
  ffn_hidden_size: {config["intermediate_size"]}
  gated_linear_unit: true
  hidden_dropout: 0.0
  hidden_size: {config["hidden_size"]}
  kv_channels: {config.get("head_dim") or config["hidden_size"] // heads}
  layernorm_epsilon: {config["rms_norm_eps"]}
  normalization: RMSNorm
  num_attention_heads: {heads}
  num_layers: {config["num_hidden_layers"]}
  num_query_groups: {config["num_key_value_heads"]}
  params_dtype:
    _call_: false
    _target_: torch.bfloat16
  pipeline_model_parallel_size: 1
  position_embedding_type: rope
  qk_layernorm: {str(family == "qwen3").lower()}
  rope_scaling: {str(rope["rope_type"] == "llama3").lower()}
  rope_scaling_factor: {rope.get("factor", 8.0)}
  rotary_base: {rope["rope_theta"]}
  seq_length: {config["max_position_embeddings"]}
  share_embeddings_and_output_weights: {str(config["tie_word_embeddings"]).lower()}
  tensor_model_parallel_size: 1
  vocab_size: {config["vocab_size"]}
  window_size: {f"[{window - 1}, 0]" if window else "null"}
"""


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("family", toys.MEGATRON)
def test_we_go_on_from_megatrons_checkpoint(family, layout, optimizer, ours, megatron, tmp_path, proves):
    proves(family, "megatron")
    proves(family, "core logits")
    run = ours(family)   # for the data and the recipe
    config = config_of(run.source)
    theirs = Theirs(run.toy, run.source, new(config, optimizer), layout, megatron, tmp_path, run_config(config))
    assert_we_go_on(run, theirs, optimizer, tmp_path)


def dense_model(family, config):
    heads = config["num_attention_heads"]
    return key_tables.Model("dense", config["num_hidden_layers"], config["hidden_size"], config["vocab_size"], config["intermediate_size"], heads,
                            config["num_key_value_heads"], config.get("head_dim") or config["hidden_size"] // heads,
                            qkv_bias=family == "qwen2", qk_norm=family == "qwen3", tied=config["tie_word_embeddings"])


@pytest.mark.parametrize("family", toys.MEGATRON)
def test_a_trained_checkpoint_holds_every_key(family, ours):
    """The real thing against the tables: keys, global shapes, and nothing stored twice."""
    run = ours(family)
    model = dense_model(family, config_of(run.source))
    tensors, objects = torch_dist.shapes(run.saved)
    written = {**tensors, **dict.fromkeys(objects)}
    assert key_tables.missing(written, model) == []
    asked = [key_tables.asked(model, reader) for reader in ("te", "local")]
    for key in set().union(*asked):   # any one taken away is missed
        assert key_tables.missing({k: v for k, v in written.items() if k != key}, model) != []
    entries = torch_dist.metadata(run.saved)
    spans = {(i.relative_path, i.offset, i.length) for i in entries.storage_data.values()}
    files = sum(path.stat().st_size for path in run.saved.glob("*.distcp"))
    assert sum(length for _, _, length in spans) <= files < 1.05 * sum(length for _, _, length in spans) + 65536
    assert len(spans) < len(entries.storage_data) / 1.3   # aliases point at the same bytes
    assert not any(str(run.root) in str(value) for value in vars(entries.storage_meta).values()), "a path of this machine is inside"


@pytest.mark.parametrize("family", toys.MEGATRON)
def test_a_converted_checkpoint_holds_every_key(family, shelf, tmp_path):
    """Straight from a HF directory: weights and objects, no optimizer."""
    source = shelf.path(toys.BY_NAME[family])
    programs.rialto("convert", source, tmp_path / "native")
    model = dense_model(family, config_of(source))
    tensors, objects = torch_dist.shapes(next((tmp_path / "native").glob("iter_*")))
    assert key_tables.missing({**tensors, **dict.fromkeys(objects)}, model, optimizer=False) == []
