"""What a config.json of the families beyond the first four means, layer by layer, against transformers' own configuration
classes: random values, both spellings, keys left out where the class has a default."""
import json
import math
import random

import pytest
import transformers

import toys
from test_configs import tool  # noqa: F401  (the fixture)

FIRST_FOUR = ("llama", "mistral", "qwen2", "qwen3")
CLASSED = [f for f, row in toys.FAMILY_TABLE.items() if f not in FIRST_FOUR and row.model_type is None]
DROPPED = ("attention_bias", "attention_dropout", "use_cache", "initializer_range", "hidden_act", "hidden_activation", "rope_interleave", "norm_topk_prob",
           "routed_scaling_factor", "router_scaling_factor", "num_shared_experts", "moe_num_shared_experts", "moe_layer_end_index", "moe_layer_interval",
           "swiglu_limit", "swiglu_alpha", "use_qk_norm", "mlp_only_layers", "decoder_sparse_step", "tie_word_embeddings", "rms_norm_eps", "norm_eps",
           "attn_logit_softcapping", "final_logit_softcapping", "query_pre_attn_scalar", "max_position_embeddings", "use_bidirectional_attention",
           "mlp_bias", "moe_layer_start_index", "topk_method", "output_router_logits", "router_aux_loss_coef", "clip_qkv", "use_bias", "pretraining_tp")


def class_of(family):
    like = toys.FAMILY_TABLE[family].like
    return getattr(transformers, like + ("TextConfig" if like == "Gemma3" else "Config"))


def random_config(family, draw):
    """A saved configuration near one of the family's toys."""
    values = dict(draw.choice([t for t in toys.TOYS if t.family == family]).values)
    heads, latent = draw.choice([2, 4, 6]), "kv_lora_rank" in values
    values |= dict(num_attention_heads=heads, num_key_value_heads=heads if latent else draw.choice([h for h in range(1, heads + 1) if heads % h == 0]),
                   hidden_size=heads * draw.choice([8, 12, 20]), intermediate_size=draw.randint(1, 90), vocab_size=draw.randint(3, 999),
                   initializer_range=draw.choice([0.02, 0.0173]), tie_word_embeddings=draw.random() < 0.5,
                   max_position_embeddings=draw.choice([64, 2048, 131072]))
    values["norm_eps" if family == "nemotron" else "rms_norm_eps"] = draw.choice([1e-5, 1e-6, 3.7e-5])
    if "head_dim" in values:
        values["head_dim"] = draw.choice([4, 8, 16, 20])
    if "short_factor" in values.get("rope_parameters", {}):   # one value for every pair of channels
        values["hidden_size"] = 8 * heads
    for key in ("moe_intermediate_size", "kv_lora_rank", "qk_nope_head_dim", "v_head_dim"):
        if key in values:
            values[key] = draw.randint(1, 40)
    for key in ("routed_scaling_factor", "router_scaling_factor"):
        if key in values:
            values[key] = draw.choice([1.0, 2.5, 0.7])
    if "norm_topk_prob" in vars(class_of(family)) and family not in ("deepseek_v2", "glm4_moe", "deepseek_v3", "exaone_moe", "glm4_moe_lite"):
        values["norm_topk_prob"] = draw.random() < 0.5
    if values.get("sliding_window"):
        values["sliding_window"] = draw.choice([5, 4096])
    config = class_of(family)(**values)
    config.architectures = [toys.FAMILY_TABLE[family].like + "ForCausalLM"]
    saved = json.loads(config.to_json_string(use_diff=False))
    for key in DROPPED:
        if key in saved and draw.random() < 0.2:
            del saved[key]
    rope = saved["rope_parameters"]
    if "full_attention" not in rope and draw.random() < 0.4:   # as transformers 4 spelled it
        rope = dict(saved.pop("rope_parameters"))
        saved["rope_theta"] = rope.pop("rope_theta")
        if "partial_rotary_factor" in rope:
            saved["partial_rotary_factor"] = rope.pop("partial_rotary_factor")
        saved["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    return saved


def mixer_of(family, c, layer):
    rope = c.rope_parameters
    if hasattr(c, "kv_lora_rank"):
        scale = (c.qk_nope_head_dim + c.qk_rope_head_dim) ** -0.5
        if rope["rope_type"] == "yarn" and rope.get("mscale_all_dim"):
            scale *= (0.1 * rope["mscale_all_dim"] * math.log(rope["factor"]) + 1) ** 2
        return {"heads": c.num_attention_heads, "q_lora": c.q_lora_rank, "kv_lora": c.kv_lora_rank, "nope": c.qk_nope_head_dim, "rope": c.qk_rope_head_dim,
                "v": c.v_head_dim, "softmax_scale": scale}
    kind = (getattr(c, "layer_types", None) or [None] * c.num_hidden_layers)[layer]
    head_dim = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
    bias = family in ("glm4_moe", "gpt_oss") and c.attention_bias
    window = getattr(c, "sliding_window", None) if kind in (None, "sliding_attention") else None
    rope = rope[kind] if family == "gemma3" else rope
    turns = not (family == "exaone4" and c.sliding_window and not window) and not (family == "exaone_moe" and not window)
    return {"heads": c.num_attention_heads, "groups": c.num_key_value_heads, "head_dim": head_dim, "qkv_bias": bias,
            "out_bias": family == "gpt_oss" and bias, "window": window, "cap": c.attn_logit_softcapping if family == "gemma2" else None,
            "qk_norm": getattr(c, "use_qk_norm", family in ("qwen3_moe", "olmoe", "hy_v3", "minimax_m2", "gemma3", "exaone4", "exaone_moe")),
            "softmax_scale": (c.query_pre_attn_scalar if family in ("gemma2", "gemma3") else head_dim) ** -0.5,
            "theta": rope["rope_theta"] if turns else None, "rotated": int(head_dim * rope.get("partial_rotary_factor", 1.0)) if turns else 0}


def is_sparse(family, c, layer):
    if family == "qwen3_moe":
        return layer not in c.mlp_only_layers and (layer + 1) % c.decoder_sparse_step == 0
    if family == "ernie4_5_moe":
        return (layer + 1) % c.moe_layer_interval == 0 and c.moe_layer_start_index <= layer <= c.moe_layer_end_index
    if hasattr(c, "mlp_layer_types"):
        return c.mlp_layer_types[layer] == "sparse"
    return layer >= getattr(c, "first_k_dense_replace", 0)


def ffn_of(family, c, layer):
    def first(*keys):
        return next((getattr(c, key) for key in keys if hasattr(c, key)), None)
    experts = first("num_local_experts", "n_routed_experts", "moe_num_experts", "num_experts")
    if not experts or not is_sparse(family, c, layer):
        return {"dense": c.intermediate_size}
    width = first("moe_intermediate_size", "intermediate_size")
    grouped = family != "deepseek_v2" or c.topk_method == "group_limited_greedy"
    always = family in ("mixtral", "hy_v3", "minimax_m2", "ernie4_5_moe", "gpt_oss")
    return {"experts": experts, "width": width, "shared": width * (first("n_shared_experts", "num_shared_experts", "moe_num_shared_experts") or 0),
            "top_k": c.num_experts_per_tok, "groups": (first("n_group") or 1) if grouped else 1, "top_groups": (first("topk_group") or 1) if grouped else 1,
            "renormalize": always or family != "deepseek_v2" and c.norm_topk_prob, "scale": first("routed_scaling_factor", "router_scaling_factor") or 1.0}


def meaning(family, saved):
    c = class_of(family).from_dict(saved)
    return {"family": family, "hidden_size": c.hidden_size, "vocab_size": c.vocab_size, "max_position_embeddings": c.max_position_embeddings,
            "tie_word_embeddings": c.tie_word_embeddings, "eps": c.norm_eps if family == "nemotron" else c.rms_norm_eps,
            "initializer_range": c.initializer_range, "cap": getattr(c, "final_logit_softcapping", None) if family in ("gemma2", "gemma3") else None,
            "embedding_scale": math.sqrt(c.hidden_size) if family.startswith("gemma") else 1.0, "mtp": getattr(c, "num_nextn_predict_layers", 0),
            "layers": [{"mixer": mixer_of(family, c, n), "ffn": ffn_of(family, c, n)} for n in range(c.num_hidden_layers)]}


def differences(got, want, at=""):
    """Where two descriptions differ."""
    if isinstance(want, dict) and isinstance(got, dict):
        return [d for key in sorted(want.keys() | got.keys()) for d in differences(got.get(key, "-"), want.get(key, "-"), f"{at}.{key}")]
    if isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        return [d for n, pair in enumerate(zip(got, want)) for d in differences(*pair, f"{at}[{n}]")]
    close = isinstance(want, float) and isinstance(got, (int, float)) and math.isclose(got, want, rel_tol=1e-6)
    return [] if got == want or close else [f"{at}: {got}, want {want}"]


@pytest.mark.parametrize("family", CLASSED)
def test_every_layer_means_what_transformers_makes_of_it(family, tool, seed, full):  # noqa: F811
    draw = random.Random(f"{family} {seed}")
    for number in range(500 if full else 40):
        saved = random_config(family, draw)
        answer, want = tool(saved), meaning(family, saved)
        assert "model" in answer, (number, saved, answer)
        assert differences(answer["model"], want) == [], (number, saved)
        assert answer["again"], (number, saved)
        assert differences(answer["model"], meaning(family, answer["hf"])) == [], (number, answer["hf"])


@pytest.mark.parametrize("family", CLASSED)
def test_every_key_that_transformers_writes_has_a_row(family, tool):  # noqa: F811
    """All attributes of the class, transformers' bookkeeping included; nothing is refused as unknown, and what is not there is."""
    config = class_of(family)(**{"glm4_moe": {"head_dim": 128}, "deepseek_v2": {"num_experts_per_tok": 6}}.get(family, {}))   # defaults that make no model
    config.architectures = [toys.FAMILY_TABLE[family].like + "ForCausalLM"]
    answer = tool(json.loads(config.to_json_string(use_diff=False)))
    assert "error" not in answer, answer
    assert "is not known" in tool({**json.loads(config.to_json_string()), "no_such_key": 1})["error"]


@pytest.mark.parametrize("toy", [t for t in toys.TOYS if t.family not in FIRST_FOUR], ids=lambda t: t.name)
def test_the_canonical_config_of_every_toy_reads_back(toy, tool, shelf):  # noqa: F811
    answer = tool(json.loads((shelf.path(toy) / "config.json").read_text()))
    assert answer.get("again"), answer
