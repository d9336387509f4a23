"""The `model:` section of run_config.yaml without what else we keep beside it: every toy is read back by its section alone, as the
same model, or refused by key. And the same keys in a training YAML spell out the model that a config.json describes."""
import json
import re
import shutil

import pytest
import yaml

import closeness
import programs
import toys
import training_runs

SHARED = ("'model._target_' is a provider that several families share", "--like")
LONGROPE = ("'model.rope_scaling_type'", "longrope", "--like")
# What a section alone cannot say, and why. GLM-4.5, Hunyuan 3 and Ling share Bridge's provider and every key, but not the names of
# their tensors (only Hunyuan has layers in any order: hy_v3-all_sparse is read). Megatron has no LongRoPE.
REFUSED = {"glm4_moe": SHARED, "glm4_moe-qk_norm": SHARED, "glm4_moe-packed": SHARED, "glm4_moe-mtp": SHARED, "hy_v3": SHARED, "hy_v3-mtp": SHARED,
           "ling": SHARED, "ling-bias": SHARED, "ling-mtp": SHARED, "phi3-long": LONGROPE, "phi3-short": LONGROPE}
# The same numbers in another family's files: for Kimi K2 and GLM-4.7 Flash of the same names.
READ_AS = {"kimi_k2": "deepseek_v3", "glm4_moe_lite": "deepseek_v3", "glm4_moe_lite-mtp": "deepseek_v3",
           "mimo": "qwen2", "phi3": "llama", "phi3-window": "mistral"}


def stripped(native):
    """The checkpoint as if another program had written it."""
    iteration = next(native.glob("iter_*"))
    (iteration / "manifest.json").unlink()
    shutil.rmtree(iteration / "rialto_source")
    path = iteration / "run_config.yaml"
    path.write_text(re.sub(r"(?m)^rialto:\n(  .*\n)*", "", path.read_text()))
    assert "hf_config" not in path.read_text()
    return native


def logits(model, rows, folder, **options):
    (folder / "tokens.json").write_text(json.dumps(rows))
    done = programs.rialto_train("logits", model, "--tokens", folder / "tokens.json", "--out", folder / "logits.safetensors", **options)
    return done if options else toys.load_file(folder / "logits.safetensors")["logits"]


@pytest.mark.parametrize("toy", toys.TOYS, ids=lambda t: t.name)
def test_every_toy_is_read_by_its_section_alone(toy, shelf, tmp_path):
    source, rows = shelf.path(toy), toys.token_rows(toy)
    programs.rialto("convert", source, tmp_path / "native")
    native = stripped(tmp_path / "native")
    if toy.name in REFUSED:
        programs.refused(programs.rialto("convert", native, tmp_path / "back", exit_code=3), *REFUSED[toy.name])
        programs.refused(logits(native, rows, tmp_path, exit_code=3), *REFUSED[toy.name])
        assert not (tmp_path / "back").exists()
        return
    closeness.assert_same_bits("logits", logits(native, rows, tmp_path), logits(source, rows, tmp_path))
    programs.rialto("convert", native, tmp_path / "back")
    config = json.loads((tmp_path / "back" / "config.json").read_text())
    own = json.loads((source / "config.json").read_text())
    family = READ_AS.get(toy.name, toy.family)
    assert (config["model_type"] == own["model_type"]) == (family == toy.family), config["model_type"]
    if family != toy.family:
        assert config["model_type"] == family
        closeness.assert_same_bits("logits of the export", logits(tmp_path / "back", rows, tmp_path), logits(source, rows, tmp_path))
    if toy.packed or family not in (toy.family, "deepseek_v3", "qwen2"):
        return   # other names
    want, got = toys.tensors(source), toys.tensors(tmp_path / "back")
    for name in got:
        closeness.assert_same_bits(name, got[name], want[name])
    copies = ("shared_head.head.weight", "embed_tokens.weight")   # GLM-4.7 Flash: of embedding and head, in every block
    assert all(name.endswith(copies) for name in want.keys() - got.keys())


def test_the_exceptions_are_toys():
    assert (REFUSED.keys() | READ_AS.keys()) <= toys.BY_NAME.keys() and not REFUSED.keys() & READ_AS.keys()


@pytest.mark.parametrize("name", ["hy_v3-mtp", "ling", "glm4_moe-qk_norm"])
def test_a_named_family_or_a_folder_decides(name, shelf, tmp_path):
    toy = toys.BY_NAME[name]
    source, rows = shelf.path(toy), toys.token_rows(toy)
    programs.rialto("convert", source, tmp_path / "native")
    native = stripped(tmp_path / "native")
    programs.rialto("convert", native, tmp_path / "like", "--like", source)
    path = next(native.glob("iter_*")) / "run_config.yaml"
    path.write_text(path.read_text().replace("\nmodel:\n", f"\nmodel:\n  family: {toy.family}\n"))
    programs.rialto("convert", native, tmp_path / "named")
    for name, value in toys.tensors(source).items():
        for back in ("like", "named"):
            closeness.assert_same_bits(name, toys.tensors(tmp_path / back)[name], value)
    closeness.assert_same_bits("logits", logits(native, rows, tmp_path), logits(source, rows, tmp_path))


# Written by hand from toy_table.py: what its config.json says, in Megatron's names.
FRAME = {"num_layers": 3, "hidden_size": 36, "num_attention_heads": 6, "vocab_size": 211, "seq_length": 128, "layernorm_epsilon": 1e-5}
GQA = {**FRAME, "num_query_groups": 2, "kv_channels": 8, "ffn_hidden_size": 56}
SPELLED = {
    "mixtral": {**GQA, "layernorm_epsilon": 3e-5, "num_moe_experts": 7, "moe_router_topk": 2},
    "qwen3_moe-renormalized": {
        **GQA, "kv_channels": 12, "num_moe_experts": 7, "moe_router_topk": 3, "moe_ffn_hidden_size": 20, "moe_layer_freq": [1, 0, 1],
        "moe_router_pre_softmax": False, "position_embedding_type": "yarn", "yarn_rotary_scaling_factor": 4, "yarn_beta_fast": 8,
        "yarn_beta_slow": 1, "yarn_original_max_position_embeddings": 32},
    "deepseek_v3-mtp": {
        **FRAME, "ffn_hidden_size": 56, "layernorm_epsilon": 3e-5, "kv_lora_rank": 16, "q_lora_rank": 20, "qk_head_dim": 12,
        "qk_pos_emb_head_dim": 8, "v_head_dim": 10, "num_moe_experts": 8, "moe_router_topk": 3, "moe_ffn_hidden_size": 20,
        "moe_shared_expert_intermediate_size": 40, "moe_layer_freq": [0, 1, 1], "moe_router_topk_scaling_factor": 1.7,
        "moe_router_num_groups": 4, "moe_router_group_topk": 2, "mtp_num_layers": 1},
    "gemma3": {
        **GQA, "num_layers": 4, "kv_channels": 10, "layernorm_epsilon": 3e-5, "share_embeddings_and_output_weights": True,
        "softmax_scale": 17 ** -0.5, "window_size": 7, "window_attn_skip_freq": [1, 1, 0, 1], "rotary_base": [10000.0, 1e6]},
    "gpt_oss": {
        **{k: v for k, v in GQA.items() if k != "ffn_hidden_size"}, "layernorm_epsilon": 3e-5, "num_moe_experts": 6, "moe_router_topk": 2,
        "moe_ffn_hidden_size": 20, "activation_func_clamp_value": 1.5, "window_size": 7, "position_embedding_type": "yarn",
        "yarn_rotary_scaling_factor": 4, "yarn_beta_fast": 8, "yarn_original_max_position_embeddings": 32,
        "yarn_correction_range_round_to_int": False},
    "glm4_moe": {
        **GQA, "layernorm_epsilon": 3e-5, "add_qkv_bias": True, "rotary_percent": 0.5, "num_moe_experts": 8, "moe_router_topk": 3,
        "moe_ffn_hidden_size": 20, "moe_shared_expert_intermediate_size": 20, "moe_layer_freq": [0, 1, 1],
        "moe_router_topk_scaling_factor": 1.7},
    "nemotron": {**GQA, "layernorm_epsilon": 3e-5, "rotary_percent": 0.5, "activation_func": "squared_relu"},
}


def described(folder):
    """The config.json that a checkpoint of ours holds of its model, but for what a training YAML does not say: tokens and the spread
    of random weights, which most toys have from transformers' defaults."""
    config = yaml.safe_load((next(folder.glob("iter_*")) / "run_config.yaml").read_text())["rialto"]["hf_config"]
    return {key: value for key, value in json.loads(config).items() if not key.endswith("token_id") and key != "initializer_range"}


@pytest.mark.parametrize("name", SPELLED)
def test_a_training_yaml_spells_out_every_kind(name, shelf, tmp_path):
    toy = toys.BY_NAME[name]
    programs.rialto("convert", shelf.path(toy), tmp_path / "native")
    row = toys.prompt(toy, 24)
    data = training_runs.repeated_row(tmp_path / "data", [*row, row[0]], 8)
    run = {"mixed_precision": "fp32", "dataset.data_path": [data], "dataset.seq_length": 24, "train.train_iters": 2,
           "checkpoint.save": tmp_path / "saved", "model.family": toy.family}
    spelled = {f"model.{key}": value for key, value in SPELLED[name].items()}
    # write_recipe writes lists of paths; numbers stay numbers through --set
    settings = [f"--set={key}={json.dumps(value)}" for key, value in spelled.items()]
    recipe = training_runs.write_recipe(tmp_path / "recipe.yaml", run)
    programs.rialto_train("train", recipe, *settings, "--json")
    assert [record["iteration"] for record in training_runs.records(tmp_path / "saved" / "metrics.jsonl")] == [1, 2]
    assert described(tmp_path / "saved") == described(tmp_path / "native")

    # And over the toy's own weights, every key says what is there; another value is refused by its key.
    loaded = {**run, "checkpoint.pretrained_checkpoint": shelf.path(toy), "checkpoint.save": tmp_path / "again"}
    recipe = training_runs.write_recipe(tmp_path / "loaded.yaml", loaded)
    programs.rialto_train("train", recipe, *settings, "--json")
    done = programs.rialto_train("train", recipe, *settings, "--set=model.num_layers=9", f"--set=checkpoint.save={tmp_path / 'third'}", exit_code=2)
    programs.refused(done, "'model.num_layers'", "9")
