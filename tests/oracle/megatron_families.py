"""Real Megatron-Core models of the families beyond the first four, from their config.json, with Core's local layer spec on one rank.
Written from the configurations themselves and knows nothing of rialto."""
import megatron_cpu  # noqa: F401  (first: it makes megatron run on a CPU)
import torch
from megatron.core.models.gpt import GPTModel
from megatron.core.models.gpt.gpt_layer_specs import get_gpt_decoder_block_spec, get_gpt_layer_local_spec, get_gpt_mtp_block_spec
from megatron.core.transformer import multi_latent_attention
from megatron.core.transformer.attention import SelfAttention
from megatron.core.transformer.dot_product_attention import DotProductAttention
from megatron.core.transformer.multi_token_prediction import MTPLossAutoScaler, MTPLossLoggingHelper
from megatron.core.transformer.transformer_config import MLATransformerConfig, TransformerConfig


class LatentCoreAttention(DotProductAttention):
    """Core's own attention takes one head size for keys and values; latent attention has two."""

    def __init__(self, *args, k_channels=None, v_channels=None, **options):
        super().__init__(*args, **options)
        if v_channels is not None:
            self.hidden_size_per_partition = v_channels * self.num_attention_heads_per_partition


class FullWidthNormAttention(SelfAttention):
    """Query and key norms over all heads together, as Megatron Bridge builds OLMoE: Core's are per head."""

    def __init__(self, config, submodules, layer_number, **options):
        super().__init__(config, submodules, layer_number, **options)
        for name, heads in (("q_layernorm", config.num_attention_heads), ("k_layernorm", config.num_query_groups)):
            setattr(self, name, getattr(submodules, name)(config=config, hidden_size=heads * config.kv_channels, eps=config.layernorm_epsilon))

    def get_query_key_value_tensors(self, hidden_states, *args, **options):
        norms, self.q_layernorm, self.k_layernorm = (self.q_layernorm, self.k_layernorm), None, None
        query, key, value = super().get_query_key_value_tensors(hidden_states, *args, **options)
        self.q_layernorm, self.k_layernorm = norms
        query, key = (norm(t.flatten(2)).view_as(t) for norm, t in zip(norms, (query, key)))
        return query, key, value


def rope_of(config):
    """base, rotated part of a head and scaling, in either spelling of config.json."""
    rope = config.get("rope_parameters") or {"rope_theta": config["rope_theta"], **(config.get("rope_scaling") or {"rope_type": "default"})}
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
    values = dict(num_moe_experts=experts, moe_ffn_hidden_size=width, moe_router_topk=config["num_experts_per_tok"], moe_router_dtype="fp32",
                  moe_shared_expert_intermediate_size=(first("n_shared_experts", "num_shared_experts") or 0) * width or None,
                  moe_token_dispatcher_type="allgather", moe_router_load_balancing_type="none", moe_aux_loss_coeff=0.0,
                  moe_router_topk_scaling_factor=first("routed_scaling_factor", "router_scaling_factor"))
    if family in ("mixtral", "qwen3_moe", "olmoe", "deepseek_v2"):
        renormalized = family == "mixtral" or family != "deepseek_v2" and config.get("norm_topk_prob", False)
        values["moe_router_pre_softmax"] = not renormalized
    else:
        values.update(moe_router_score_function="sigmoid", moe_router_enable_expert_bias=True)
    if (config.get("n_group") or 1) > 1:
        values.update(moe_router_num_groups=config["n_group"], moe_router_group_topk=config["topk_group"])
    if "mlp_layer_types" in config:
        values["moe_layer_freq"] = [int(kind == "sparse") for kind in config["mlp_layer_types"]]
    elif "first_k_dense_replace" in config:
        values["moe_layer_freq"] = [int(layer >= config["first_k_dense_replace"]) for layer in range(layers)]
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
                  qk_layernorm=config.get("use_qk_norm", family in ("qwen3_moe", "olmoe", "hy_v3", "minimax_m2", "exaone_moe")))
    if config.get("sliding_window") and family in ("phi3", "mixtral", "exaone_moe"):
        values["window_size"] = (config["sliding_window"] - 1, 0)   # Megatron counts the keys before the query
    if family == "exaone_moe":   # windows rotate, whole attention has no positions
        windows = [int(kind == "sliding_attention") for kind in config["layer_types"]]
        values.update(window_attn_skip_freq=windows, no_rope_freq=[1 - w for w in windows])
    return values


def prediction_of(config, core, spec):
    """Core's own blocks of multi-token prediction, or None. K-EXAONE's have dense layers without window and positions."""
    if not core.mtp_num_layers:
        return None
    if config["model_type"] == "exaone_moe":
        spec = get_gpt_layer_local_spec(qk_layernorm=True, normalization="RMSNorm")
        core.no_rope_freq = core.no_rope_freq + [1]   # layers are asked for by number, and a block's comes after the last
        core.window_attn_skip_freq = core.window_attn_skip_freq + [0]
    return get_gpt_mtp_block_spec(core, spec, use_transformer_engine=False)


def build(config, mtp_factor=0.0):
    """The whole model in fp32; every parameter is NaN until it is loaded. With a factor, the blocks of multi-token prediction too:
    their loss is then summed over tokens, as the caller sums the main loss."""
    attention = attention_of(config)
    latent = attention.pop("multi_latent_attention", False)
    values = dict(
        num_layers=config["num_hidden_layers"], hidden_size=config["hidden_size"], num_attention_heads=config["num_attention_heads"],
        ffn_hidden_size=config["intermediate_size"], layernorm_epsilon=config["rms_norm_eps"], gated_linear_unit=True,
        activation_func=torch.nn.functional.silu, add_bias_linear=False, normalization="RMSNorm", hidden_dropout=0.0, attention_dropout=0.0,
        use_cpu_initialization=True, params_dtype=torch.float32, bias_activation_fusion=False, bias_dropout_fusion=False,
        masked_softmax_fusion=False, apply_rope_fusion=False, gradient_accumulation_fusion=False, persist_layer_norm=False, batch_p2p_comm=False,
        mtp_num_layers=config.get("num_nextn_predict_layers") if mtp_factor else None, mtp_loss_scaling_factor=mtp_factor, calculate_per_token_loss=True,
        **attention, **experts_of(config))
    if latent:
        multi_latent_attention.TELinear = type("NoTELinear", (), {})   # without TransformerEngine it is no type to ask isinstance of
        core = MLATransformerConfig(multi_latent_attention=True, **values)
    else:
        core = TransformerConfig(**values)
    if isinstance(core.moe_layer_freq, list):
        spec = get_gpt_decoder_block_spec(core, use_transformer_engine=False, normalization="RMSNorm")
        layers = spec.layer_specs
    else:
        spec = get_gpt_layer_local_spec(num_experts=core.num_moe_experts, moe_grouped_gemm=False, qk_layernorm=core.qk_layernorm,
                                        multi_latent_attention=latent, normalization="RMSNorm")
        layers = [spec]
    for layer in layers:
        if latent:
            layer.submodules.self_attention.submodules.core_attention = LatentCoreAttention
        elif config["model_type"] in ("olmoe", "minimax_m2"):
            layer.submodules.self_attention.module = FullWidthNormAttention
    base, part, rope = rope_of(config)
    gpt = GPTModel(core, spec, vocab_size=config["vocab_size"], max_sequence_length=config["max_position_embeddings"], position_embedding_type="rope",
                   rotary_base=base, rotary_percent=part, share_embeddings_and_output_weights=config.get("tie_word_embeddings", False),
                   mtp_block_spec=prediction_of(config, core, spec)).eval()
    with torch.no_grad():
        for tensor in gpt.parameters():
            tensor.fill_(float("nan"))
    return gpt


def gradients(gpt, rows):
    """Mean loss, mean loss of every block of multi-token prediction, and in place of every parameter its gradient by the whole
    objective."""
    ids = torch.tensor(rows)
    count, length = ids.shape
    labels, weights = ids.roll(-1, 1), torch.ones(count, length)
    weights[:, -1] = 0
    mask = torch.triu(torch.ones(length, length, dtype=torch.bool), 1)[None, None]
    gpt.train()   # dropout is 0; Core notes the blocks' losses while training only
    MTPLossLoggingHelper.tracker.clear()
    MTPLossAutoScaler.set_loss_scale(1 / weights.sum())
    losses = gpt(ids, torch.arange(length).expand(count, -1), mask, labels=labels, loss_mask=weights)
    loss = (losses * weights).sum() / weights.sum()
    loss.backward()
    with torch.no_grad():
        for parameter in gpt.parameters():
            parameter.copy_(torch.zeros_like(parameter) if parameter.grad is None else parameter.grad)
    return loss.item(), MTPLossLoggingHelper.tracker["values"].tolist()
