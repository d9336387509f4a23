// Rows of the layouts that only some families have: experts apart or packed, fused projections, prediction blocks.
#pragma once

#include "tests/unit/bridge/toy_rows.h"
#include "tests/unit/spec/toy_variants.h"

namespace rialto::test {

using enum bridge::Op;
using bridge::When;

/// Latent attention, dense layers then experts one by one (or packed), a [1, E] bias, prediction blocks behind the last
/// layer with copies of embedding and head: DeepSeek V3, GLM-4.7-Flash, ERNIE's bias.
inline constexpr bridge::ParamRow kDeepRows[] = {
    {"model.embed_tokens.weight", "embedding.word_embeddings.weight"},
    {"model.layers.{l}.input_layernorm.weight", "decoder.layers.{l}.input_layernorm.weight"},
    {"model.layers.{l}.self_attn.q_proj.weight", "decoder.layers.{l}.self_attention.linear_q_proj.weight"},
    {"model.layers.{l}.self_attn.q_a_proj.weight", "decoder.layers.{l}.self_attention.linear_q_down_proj.weight"},
    {"model.layers.{l}.self_attn.q_a_layernorm.weight",
     "decoder.layers.{l}.self_attention.linear_q_up_proj.layer_norm_weight"},
    {"model.layers.{l}.self_attn.q_b_proj.weight", "decoder.layers.{l}.self_attention.linear_q_up_proj.weight"},
    {"model.layers.{l}.self_attn.kv_a_proj_with_mqa.weight",
     "decoder.layers.{l}.self_attention.linear_kv_down_proj.weight"},
    {"model.layers.{l}.self_attn.kv_a_layernorm.weight",
     "decoder.layers.{l}.self_attention.linear_kv_up_proj.layer_norm_weight"},
    {"model.layers.{l}.self_attn.kv_b_proj.weight", "decoder.layers.{l}.self_attention.linear_kv_up_proj.weight"},
    {"model.layers.{l}.self_attn.o_proj.weight", "decoder.layers.{l}.self_attention.linear_proj.weight"},
    {"model.layers.{l}.post_attention_layernorm.weight", "decoder.layers.{l}.mlp.linear_fc1.layer_norm_weight"},
    {"model.layers.{l}.post_attention_layernorm.weight", "decoder.layers.{l}.pre_mlp_layernorm.weight"},
    {"model.layers.{l}.mlp.{gate,up}_proj.weight", "decoder.layers.{l}.mlp.linear_fc1.weight", kGateUp},
    {"model.layers.{l}.mlp.down_proj.weight", "decoder.layers.{l}.mlp.linear_fc2.weight"},
    {"model.layers.{l}.mlp.gate.weight", "decoder.layers.{l}.mlp.router.weight"},
    {"model.layers.{l}.mlp.moe_statics.bias", "decoder.layers.{l}.mlp.router.expert_bias", kRowVector},
    {"model.layers.{l}.mlp.experts.{e}.{gate,up}_proj.weight", "decoder.layers.{l}.mlp.experts.linear_fc1.weight{e}",
     kGateUp},
    {"model.layers.{l}.mlp.experts.{e}.down_proj.weight", "decoder.layers.{l}.mlp.experts.linear_fc2.weight{e}"},
    {"model.layers.{l}.mlp.experts.gate_up_proj", "decoder.layers.{l}.mlp.experts.linear_fc1.weight{e}", kPacked,
     When::kAlternative},
    {"model.layers.{l}.mlp.experts.down_proj", "decoder.layers.{l}.mlp.experts.linear_fc2.weight{e}", kPacked,
     When::kAlternative},
    {"model.layers.{l}.moe.{gate,up}_proj.weight", "decoder.layers.{l}.mlp.experts.linear_fc1.weight{e}", kPackedGateUp,
     When::kAlternative},
    {"model.layers.{l}.mlp.shared_experts.{gate,up}_proj.weight",
     "decoder.layers.{l}.mlp.shared_experts.linear_fc1.weight", kGateUp},
    {"model.layers.{l}.mlp.shared_experts.down_proj.weight", "decoder.layers.{l}.mlp.shared_experts.linear_fc2.weight"},
    {"model.layers.{L+m}.", "mtp.layers.{m}.transformer_layer.", kLayerPrefix},
    {"model.layers.{L+m}.enorm.weight", "mtp.layers.{m}.enorm.weight"},
    {"model.layers.{L+m}.hnorm.weight", "mtp.layers.{m}.hnorm.weight"},
    {"model.layers.{L+m}.eh_proj.weight", "mtp.layers.{m}.eh_proj.weight", kSwapHalves},
    {"model.layers.{L+m}.shared_head.norm.weight", "mtp.layers.{m}.final_layernorm.weight"},
    {"model.layers.{L+m}.embed_tokens.weight", "embedding.word_embeddings.weight", kRepeat, When::kWritten},
    {"model.layers.{L+m}.shared_head.head.weight", "output_layer.weight", kRepeat, When::kWritten},
    {"model.norm.weight", "decoder.final_layernorm.weight"},
    {"lm_head.weight", "output_layer.weight", kSame, When::kUntied},
};

/// GPT-OSS's experts, Ling's fused projection.
inline constexpr bridge::ParamRow kSinkRows[] = {
    {"embed.weight", "embedding.word_embeddings.weight"},
    {"layers.{l}.norm1.weight", "decoder.layers.{l}.self_attention.linear_qkv.layer_norm_weight"},
    {"layers.{l}.qkv.weight", "decoder.layers.{l}.self_attention.linear_qkv.weight", kFusedQkv},
    {"layers.{l}.qkv.bias", "decoder.layers.{l}.self_attention.linear_qkv.bias", kFusedQkv},
    {"layers.{l}.sinks", "decoder.layers.{l}.self_attention.core_attention.softmax_offset"},
    {"layers.{l}.o.weight", "decoder.layers.{l}.self_attention.linear_proj.weight"},
    {"layers.{l}.o.bias", "decoder.layers.{l}.self_attention.linear_proj.bias"},
    {"layers.{l}.norm2.weight", "decoder.layers.{l}.pre_mlp_layernorm.weight"},
    {"layers.{l}.router.weight", "decoder.layers.{l}.mlp.router.weight"},
    {"layers.{l}.router.bias", "decoder.layers.{l}.mlp.router.bias"},
    {"layers.{l}.gate_up", "decoder.layers.{l}.mlp.experts.linear_fc1.weight{e}", kPackedReversed},
    {"layers.{l}.gate_up_bias", "decoder.layers.{l}.mlp.experts.linear_fc1.bias{e}", kPackedReversed},
    {"layers.{l}.down", "decoder.layers.{l}.mlp.experts.linear_fc2.weight{e}", kPackedReversed},
    {"layers.{l}.down_bias", "decoder.layers.{l}.mlp.experts.linear_fc2.bias{e}", kPackedReversed},
    {"norm.weight", "decoder.final_layernorm.weight"},
    {"head.weight", "output_layer.weight"},
};

}  // namespace rialto::test
