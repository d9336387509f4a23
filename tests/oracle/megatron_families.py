"""Real Megatron-Core models of the families beyond the first four, from their config.json, with Core's local layer spec on one rank.
Written from the configurations themselves and knows nothing of rialto."""
import megatron_cpu  # noqa: F401  (first: it makes megatron run on a CPU)
import megatron_parts as parts
import torch
from megatron.core import parallel_state as ps
from megatron.core.models.gpt import GPTModel
from megatron.core.models.gpt.gpt_layer_specs import get_gpt_decoder_block_spec, get_gpt_layer_local_spec, get_gpt_mtp_block_spec
from megatron.core.transformer import multi_latent_attention
from megatron.core.transformer.multi_token_prediction import MTPLossAutoScaler, MTPLossLoggingHelper
from megatron.core.transformer.transformer_block import TransformerBlockSubmodules
from megatron.core.transformer.transformer_config import MLATransformerConfig, TransformerConfig
from megatron_options import attention_of, experts_of, layer_of, positions_of


def prediction_of(config, core, spec):
    """Core's own blocks of multi-token prediction, or None. K-EXAONE's have dense layers without window and positions."""
    if not core.mtp_num_layers:
        return None
    if config["model_type"] == "exaone_moe":
        spec = get_gpt_layer_local_spec(qk_layernorm=True, normalization="RMSNorm")
        core.no_rope_freq = core.no_rope_freq + [1]   # layers are asked for by number, and a block's comes after the last
        core.window_attn_skip_freq = core.window_attn_skip_freq + [0]
    return get_gpt_mtp_block_spec(core, spec, use_transformer_engine=False)


def build(config, mtp_factor=0.0, dtype=torch.float32, layout=(1, 1, 1)):
    """This rank's part of the model in a layout of tensor (which is 1), pipeline and expert parallelism; every parameter is NaN until it is loaded. With a factor, the blocks of multi-token prediction too:
    their loss is then summed over tokens, as the caller sums the main loss."""
    attention = attention_of(config)
    latent = attention.pop("multi_latent_attention", False)
    tp, pp, ep = layout
    assert tp == 1
    values = dict(
        num_layers=config["num_hidden_layers"], hidden_size=config["hidden_size"], num_attention_heads=config["num_attention_heads"],
        ffn_hidden_size=config["intermediate_size"], hidden_dropout=0.0, attention_dropout=0.0, expert_model_parallel_size=ep,
        pipeline_model_parallel_size=pp,
        use_cpu_initialization=True, params_dtype=dtype, bf16=dtype == torch.bfloat16, pipeline_dtype=dtype, bias_activation_fusion=False, bias_dropout_fusion=False,
        masked_softmax_fusion=False, apply_rope_fusion=False, gradient_accumulation_fusion=False, persist_layer_norm=False, batch_p2p_comm=False,
        mtp_num_layers=config.get("num_nextn_predict_layers") if mtp_factor else None, mtp_loss_scaling_factor=mtp_factor, calculate_per_token_loss=bool(mtp_factor),
        **layer_of(config), **attention, **experts_of(config))
    if latent:
        multi_latent_attention.TELinear = type("NoTELinear", (), {})   # without TransformerEngine it is no type to ask isinstance of
        core = MLATransformerConfig(multi_latent_attention=True, **values)
    else:
        core = TransformerConfig(**values)
    core.moe_token_dispatcher_type = "allgather"   # what Core drops its router drops, but it wants the exchange too, which needs CUDA streams
    spec = layers_of(config, core)
    gpt = GPTModel(core, spec, vocab_size=config["vocab_size"], max_sequence_length=config["max_position_embeddings"], **positions_of(config, core),
                   pre_process=ps.is_pipeline_first_stage(), post_process=ps.is_pipeline_last_stage(),
                   share_embeddings_and_output_weights=config.get("tie_word_embeddings", False), mtp_block_spec=prediction_of(config, core, spec)).eval()
    parts.around(config, gpt)
    with torch.no_grad():
        for tensor in gpt.parameters():
            tensor.fill_(float("nan"))
    return gpt


def layers_of(config, core):
    """Core's local spec of the layers and the last norm, with the modules that its options do not reach."""
    if isinstance(core.moe_layer_freq, list):
        block = get_gpt_decoder_block_spec(core, use_transformer_engine=False, normalization=core.normalization)
    else:
        layer = get_gpt_layer_local_spec(num_experts=core.num_moe_experts, moe_grouped_gemm=False, qk_layernorm=core.qk_layernorm,
                                         multi_latent_attention=core.multi_latent_attention, normalization=core.normalization)
        block = TransformerBlockSubmodules(layer_specs=[layer] * (core.num_layers // core.pipeline_model_parallel_size), layer_norm=layer.submodules.input_layernorm)
    for layer in {id(layer): layer for layer in block.layer_specs}.values():
        parts.into_layer(config, core, layer.submodules)
    parts.into_block(core, block)
    return block


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
