"""From a config.json to Megatron-Core's options for it, for the families beyond the first four. Knows nothing of rialto."""
import functools

import megatron_cpu  # noqa: F401  (first: it makes megatron run on a CPU)
import torch
import torch.nn.functional as F
from megatron.core.activations import quick_gelu, squared_relu

# one of Core's own families of options: windows on some layers, as layer_types says
MIXED_WINDOWS = ("gemma2", "gemma3_text", "gpt_oss", "exaone4", "exaone_moe")
QK_NORM = ("qwen3_moe", "olmoe", "hy_v3", "minimax_m2", "exaone_moe", "exaone4", "gemma3_text")


def rope_of(config):
    """base, rotated part of a head and scaling, in either spelling of config.json."""
    rope = config.get("rope_parameters") or {"rope_theta": config["rope_theta"], **(config.get("rope_scaling") or {"rope_type": "default"})}
    rope = rope.get("full_attention", rope)   # Gemma 3: the layers without a window
    return rope["rope_theta"], rope.get("partial_rotary_factor", config.get("partial_rotary_factor", 1.0)), rope


def experts_of(config):
    """Core's options for the experts of one of our families; {} for a dense one."""
    def first(*keys):
        return next((config[k] for k in keys if k in config), None)
    experts = first("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
    if not experts:
        return {}
    family, layers = config["model_type"], config["num_hidden_layers"]
    width = first("moe_intermediate_size", "intermediate_size")
    values = dict(num_moe_experts=experts, moe_ffn_hidden_size=width, moe_router_topk=first("num_experts_per_tok", "moe_k"), moe_router_dtype="fp32",
                  moe_shared_expert_intermediate_size=(first("n_shared_experts", "num_shared_experts", "moe_num_shared_experts") or 0) * width or None,
                  moe_token_dispatcher_type="allgather", moe_router_load_balancing_type="none", moe_aux_loss_coeff=0.0,
                  moe_router_topk_scaling_factor=first("routed_scaling_factor", "router_scaling_factor"))
    if family in ("mixtral", "gpt_oss", "qwen3_moe", "olmoe", "deepseek_v2"):
        renormalized = family in ("mixtral", "gpt_oss") or family != "deepseek_v2" and config.get("norm_topk_prob", False)
        values["moe_router_pre_softmax"] = not renormalized
    else:
        values.update(moe_router_score_function="sigmoid", moe_router_enable_expert_bias=True, moe_router_bias_update_rate=0.0)
    if "moe_expert_capacity_factor" in config:   # not of a Hugging Face model: a test asks for it
        values.update(moe_expert_capacity_factor=config["moe_expert_capacity_factor"], moe_token_dispatcher_type="alltoall")
    if (config.get("n_group") or 1) > 1:
        values.update(moe_router_num_groups=config["n_group"], moe_router_group_topk=config["topk_group"])
    if "mlp_layer_types" in config:
        values["moe_layer_freq"] = [int(kind == "sparse") for kind in config["mlp_layer_types"]]
    elif "first_k_dense_replace" in config:
        values["moe_layer_freq"] = [int(layer >= config["first_k_dense_replace"]) for layer in range(layers)]
    elif "moe_layer_start_index" in config:
        start, step = config["moe_layer_start_index"], config["moe_layer_interval"]
        values["moe_layer_freq"] = [int(layer >= start and (layer + 1) % step == 0) for layer in range(layers)]
    return values


def attention_of(config):
    """Core's options for attention."""
    base, _, rope = rope_of(config)
    heads = config["num_attention_heads"]
    if "kv_lora_rank" in config:
        yarn = (rope.get("rope_type") or rope.get("type")) == "yarn"
        scaling = dict(rotary_scaling_factor=rope["factor"], original_max_position_embeddings=rope["original_max_position_embeddings"],
                       beta_fast=rope["beta_fast"], beta_slow=rope["beta_slow"], mscale=rope["mscale"], mscale_all_dim=rope["mscale_all_dim"]) if yarn else {}
        return dict(multi_latent_attention=True, q_lora_rank=config["q_lora_rank"], kv_lora_rank=config["kv_lora_rank"], qk_layernorm=True,
                    qk_head_dim=config["qk_nope_head_dim"], qk_pos_emb_head_dim=config["qk_rope_head_dim"], v_head_dim=config["v_head_dim"],
                    rope_type="yarn" if yarn else "rope", rotary_base=base, **scaling)
    family = config["model_type"]
    values = dict(num_query_groups=config["num_key_value_heads"], kv_channels=config.get("head_dim") or config["hidden_size"] // heads,
                  add_qkv_bias=family == "mimo" or config.get("attention_bias", False) or config.get("use_qkv_bias", False),
                  qk_layernorm=config.get("use_qk_norm", family in QK_NORM), rotary_interleaved=family == "ernie4_5_moe")
    if config.get("query_pre_attn_scalar"):
        values["softmax_scale"] = config["query_pre_attn_scalar"] ** -0.5
    if family == "gpt_oss":
        values["softmax_type"] = "learnable"
    if config.get("sliding_window") and family in ("phi3", "mixtral", *MIXED_WINDOWS):
        values["window_size"] = (config["sliding_window"] - 1, 0)   # Megatron counts the keys before the query
        if family in MIXED_WINDOWS:
            windows = [int(kind == "sliding_attention") for kind in config["layer_types"]]
            values["window_attn_skip_freq"] = windows
        if family in ("exaone4", "exaone_moe"):   # windows rotate, whole attention has no positions
            values["no_rope_freq"] = [1 - w for w in windows]
    return values


def layer_of(config):
    """Core's options for norms, biases and the feed-forward's function."""
    family = config["model_type"]
    values = dict(layernorm_epsilon=config["norm_eps"] if family == "nemotron" else config["rms_norm_eps"], normalization="RMSNorm",
                  add_bias_linear=False, gated_linear_unit=True, activation_func=F.silu)
    if family.startswith("gemma"):
        values.update(layernorm_zero_centered_gamma=True, activation_func=functools.partial(F.gelu, approximate="tanh"))
    elif family == "nemotron":
        values.update(layernorm_zero_centered_gamma=True, normalization="LayerNorm", gated_linear_unit=False, activation_func=squared_relu)
    elif family == "gpt_oss":
        values.update(add_bias_linear=True, activation_func=quick_gelu, glu_linear_offset=1.0, activation_func_clamp_value=config["swiglu_limit"])
    return values


def positions_of(config, core):
    """GPTModel's options for positions. Those of YaRN are attributes of the configuration that no field declares."""
    base, part, rope = rope_of(config)
    kind = rope.get("rope_type") or rope.get("type")
    values = dict(position_embedding_type="rope", rotary_base=base, rotary_percent=part, rope_scaling=kind == "llama3",
                  rope_scaling_factor=rope.get("factor", 8.0), seq_len_interpolation_factor=rope["factor"] if kind == "linear" else None)
    if kind == "yarn" and not core.multi_latent_attention:
        values["position_embedding_type"] = "yarn"
        core.yarn_rotary_scaling_factor, core.yarn_original_max_position_embeddings = rope["factor"], rope["original_max_position_embeddings"]
        core.yarn_beta_fast, core.yarn_beta_slow, core.yarn_mscale, core.yarn_mscale_all_dim = rope["beta_fast"], rope["beta_slow"], None, None
        core.yarn_correction_range_round_to_int = rope.get("truncate", True)
    return values
