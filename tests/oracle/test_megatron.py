"""Real Megatron-Core opens what we write, weights and optimizer, and we open what it writes: each family, with its plain bf16
and its distributed optimizer, alone and as TP 2 x PP 2. State is compared bit for bit; then both sides go one step further."""
import json

import pytest
import torch

import closeness
import key_tables
import programs
import torch_dist
import toys
from megatron_client import joined_logits, on_last_stage
from megatron_runs import LEARNING_RATE, OPTIMIZERS, STEPS, Ours, assert_bf16_step_agrees, assert_step_counts, batch_of, evaluate, new

LAYOUTS = ["1x1", "2x2"]


def config_of(source):
    return json.loads((source / "config.json").read_text())


@pytest.fixture(scope="module")
def ours(shelf, tmp_path_factory):
    made = {}

    def get(family):
        if family not in made:
            toy = toys.MEGATRON[family]
            made[family] = Ours(toy, shelf.path(toy, torch.bfloat16), tmp_path_factory.mktemp(f"ours-{family}"))
        return made[family]
    return get


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
                       ("logits", {"rows": run.rows}), ("loss", {"rows": batch}), ("step", {**step, "fp32_gradients": True}), ("loss", {"rows": batch}))
    for _, loaded, compared, *_ in answers:
        assert loaded == {"iteration": STEPS, "steps": [float(STEPS)], "version": 3.0, "num_steps": 2 * STEPS}
        assert compared["wrong"] == [] and compared["compared"] > 30
    closeness.assert_close("logits", joined_logits(answers, 3), run.logits)
    before, after = on_last_stage(answers, 4), on_last_stage(answers, 6)
    closeness.assert_close("loss before the step", before, run.loss_before)
    assert_step_counts(before, after, run.loss_after)


class Theirs:
    """A toy trained by Megatron from our conversion of it, and saved as Megatron-LM and Bridge lay out a root."""

    def __init__(self, toy, source, layout, optimizer, megatron, folder):
        self.root, self.folder, self.toy = folder / "run", folder, toy
        programs.rialto("convert", source, folder / "converted")
        weights = next((folder / "converted").glob("iter_*"))
        self.saved = self.root / f"iter_{STEPS:07d}"
        self.root.mkdir()
        self.rows = [toys.prompt(toy, 24, seed=300 + n) for n in range(2)]
        batch = batch_of(toy)
        step, loss = ("step", {"rows": batch, "learning_rate": LEARNING_RATE}), ("loss", {"rows": batch})
        exact = "step", {**step[1], "fp32_gradients": True}
        build = new(config_of(source), optimizer)
        answers = megatron(layout, build, ("load_weights", {"path": str(weights)}), step, step, step,
                           ("save", {"path": str(self.saved), "iteration": STEPS, "samples": STEPS * len(batch), "decay_samples": 1000 * len(batch)}),
                           ("logits", {"rows": self.rows}), loss, exact, loss, build, ("load", {"path": str(self.saved)}), step, loss)
        self.logits = joined_logits(answers, 6)
        self.loss_before, self.loss_after, self.loss_after_bf16 = (on_last_stage(answers, n) for n in (7, 9, 13))
        (self.saved / "run_config.yaml").write_text(run_config(config_of(source)))
        (self.root / "latest_checkpointed_iteration.txt").write_text(str(STEPS))


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
    theirs = Theirs(run.toy, run.source, layout, optimizer, megatron, tmp_path)
    logits, _ = evaluate(theirs.root, theirs.rows, tmp_path)
    closeness.assert_close("logits", logits, theirs.logits)

    # main parameters and moments: read by us, written by us, compared without either side's help
    programs.run("state_tool", "resave", theirs.saved, tmp_path / "again")
    stored = torch_dist.tensors(theirs.saved)
    again = torch_dist.tensors(tmp_path / "again" / theirs.saved.name)
    for key, value in stored.items():
        closeness.assert_same_bits(key, again[key], value)
    main = "fp32_param" if optimizer == "plain" else "param"
    for state in ("exp_avg", "exp_avg_sq", main):
        assert sum(key.startswith(f"optimizer.state.{state}.") for key in stored) == sum(not key.startswith("optimizer.") for key in stored)

    assert_step_counts(theirs.loss_before, run.exact_step(tmp_path / "exact", theirs.saved), theirs.loss_after)
    assert_bf16_step_agrees(theirs.loss_before, run.bf16_step(tmp_path / "next", theirs.root), theirs.loss_after_bf16)


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
