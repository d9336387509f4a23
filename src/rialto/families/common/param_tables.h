// Tensor rows that several families share word for word: the names of Llama, and of DeepSeek where it has others.
// A row for a part that a model has not does nothing.
#pragma once

#include "rialto/bridge/rows.h"
#include "rialto/families/common/join.h"

namespace rialto::families {

inline constexpr bridge::ParamRow kEndRows[] = {
    {"model.embed_tokens.weight", "embedding.word_embeddings.weight"},
    {"model.norm.weight", "decoder.final_layernorm.weight"},
    {"lm_head.weight", "output_layer.weight", bridge::Op::kSame, bridge::When::kUntied},
    {"lm_head.weight", "embedding.word_embeddings.weight", bridge::Op::kRepeat, bridge::When::kTied},
};

inline constexpr bridge::ParamRow kAttentionRows[] = {
    {"model.layers.{l}.input_layernorm.weight", "decoder.layers.{l}.self_attention.linear_qkv.layer_norm_weight"},
    {"model.layers.{l}.self_attn.{q,k,v}_proj.weight", "decoder.layers.{l}.self_attention.linear_qkv.weight",
     bridge::Op::kQkv},
    {"model.layers.{l}.self_attn.o_proj.weight", "decoder.layers.{l}.self_attention.linear_proj.weight"},
};
inline constexpr bridge::ParamRow kQkvBiasRows[] = {
    {"model.layers.{l}.self_attn.{q,k,v}_proj.bias", "decoder.layers.{l}.self_attention.linear_qkv.bias",
     bridge::Op::kQkv},
};
inline constexpr bridge::ParamRow kQkNormRows[] = {
    {"model.layers.{l}.self_attn.q_norm.weight", "decoder.layers.{l}.self_attention.q_layernorm.weight"},
    {"model.layers.{l}.self_attn.k_norm.weight", "decoder.layers.{l}.self_attention.k_layernorm.weight"},
};

inline constexpr bridge::ParamRow kLatentRows[] = {
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
};

inline constexpr bridge::ParamRow kMlpRows[] = {
    {"model.layers.{l}.post_attention_layernorm.weight", "decoder.layers.{l}.mlp.linear_fc1.layer_norm_weight"},
    {"model.layers.{l}.mlp.{gate,up}_proj.weight", "decoder.layers.{l}.mlp.linear_fc1.weight", bridge::Op::kGateUp},
    {"model.layers.{l}.mlp.down_proj.weight", "decoder.layers.{l}.mlp.linear_fc2.weight"},
};

/// Norms before and after: what Llama calls post_attention_layernorm is the one after attention here.
inline constexpr bridge::ParamRow kSandwichRows[] = {
    {"model.layers.{l}.post_attention_layernorm.weight",
     "decoder.layers.{l}.self_attention.linear_proj.post_layernorm.weight"},
    {"model.layers.{l}.pre_feedforward_layernorm.weight", "decoder.layers.{l}.mlp.linear_fc1.layer_norm_weight"},
    {"model.layers.{l}.post_feedforward_layernorm.weight", "decoder.layers.{l}.mlp.linear_fc2.post_layernorm.weight"},
    {"model.layers.{l}.mlp.{gate,up}_proj.weight", "decoder.layers.{l}.mlp.linear_fc1.weight", bridge::Op::kGateUp},
    {"model.layers.{l}.mlp.down_proj.weight", "decoder.layers.{l}.mlp.linear_fc2.weight"},
};

/// One tensor per expert and projection, under `mlp`.
inline constexpr bridge::ParamRow kMoeRows[] = {
    {"model.layers.{l}.post_attention_layernorm.weight", "decoder.layers.{l}.pre_mlp_layernorm.weight"},
    {"model.layers.{l}.mlp.gate.weight", "decoder.layers.{l}.mlp.router.weight"},
    {"model.layers.{l}.mlp.experts.{e}.{gate,up}_proj.weight", "decoder.layers.{l}.mlp.experts.linear_fc1.weight{e}",
     bridge::Op::kGateUp},
    {"model.layers.{l}.mlp.experts.{e}.down_proj.weight", "decoder.layers.{l}.mlp.experts.linear_fc2.weight{e}"},
};
/// The same experts in one tensor per layer, as transformers 5 keeps them in memory and some files hold them.
inline constexpr bridge::ParamRow kPackedMoeRows[] = {
    {"model.layers.{l}.mlp.experts.gate_up_proj", "decoder.layers.{l}.mlp.experts.linear_fc1.weight{e}",
     bridge::Op::kPacked, bridge::When::kAlternative},
    {"model.layers.{l}.mlp.experts.down_proj", "decoder.layers.{l}.mlp.experts.linear_fc2.weight{e}",
     bridge::Op::kPacked, bridge::When::kAlternative},
};
/// Mixtral's names of the same: w1 is gate, w3 up, w2 down.
inline constexpr bridge::ParamRow kMixtralMoeRows[] = {
    {"model.layers.{l}.post_attention_layernorm.weight", "decoder.layers.{l}.pre_mlp_layernorm.weight"},
    {"model.layers.{l}.block_sparse_moe.gate.weight", "decoder.layers.{l}.mlp.router.weight"},
    {"model.layers.{l}.block_sparse_moe.experts.{e}.{w1,w3}.weight",
     "decoder.layers.{l}.mlp.experts.linear_fc1.weight{e}", bridge::Op::kGateUp},
    {"model.layers.{l}.block_sparse_moe.experts.{e}.w2.weight", "decoder.layers.{l}.mlp.experts.linear_fc2.weight{e}"},
};
inline constexpr bridge::ParamRow kSharedExpertRows[] = {
    {"model.layers.{l}.mlp.shared_experts.{gate,up}_proj.weight",
     "decoder.layers.{l}.mlp.shared_experts.linear_fc1.weight", bridge::Op::kGateUp},
    {"model.layers.{l}.mlp.shared_experts.down_proj.weight", "decoder.layers.{l}.mlp.shared_experts.linear_fc2.weight"},
};
inline constexpr bridge::ParamRow kSelectionBiasRows[] = {
    {"model.layers.{l}.mlp.gate.e_score_correction_bias", "decoder.layers.{l}.mlp.router.expert_bias"},
};

/// Ling and Sarvam: names of their own, query, key and value in one tensor.
inline constexpr bridge::ParamRow kBailingRows[] = {
    {"model.word_embeddings.weight", "embedding.word_embeddings.weight"},
    {"model.norm.weight", "decoder.final_layernorm.weight"},
    {"lm_head.weight", "output_layer.weight", bridge::Op::kSame, bridge::When::kUntied},
    {"lm_head.weight", "embedding.word_embeddings.weight", bridge::Op::kRepeat, bridge::When::kTied},
    {"model.layers.{l}.input_layernorm.weight", "decoder.layers.{l}.self_attention.linear_qkv.layer_norm_weight"},
    {"model.layers.{l}.attention.query_key_value.weight", "decoder.layers.{l}.self_attention.linear_qkv.weight",
     bridge::Op::kFusedQkv},
    {"model.layers.{l}.attention.query_key_value.bias", "decoder.layers.{l}.self_attention.linear_qkv.bias",
     bridge::Op::kFusedQkv},
    {"model.layers.{l}.attention.query_layernorm.weight", "decoder.layers.{l}.self_attention.q_layernorm.weight"},
    {"model.layers.{l}.attention.key_layernorm.weight", "decoder.layers.{l}.self_attention.k_layernorm.weight"},
    {"model.layers.{l}.attention.dense.weight", "decoder.layers.{l}.self_attention.linear_proj.weight"},
    {"model.layers.{l}.mlp.gate.expert_bias", "decoder.layers.{l}.mlp.router.expert_bias"},
};

/// Multi-token prediction as layers after the last, each with copies of embedding and head.
inline constexpr bridge::ParamRow kDeepseekMtpRows[] = {
    {"model.layers.{L+m}.", "mtp.layers.{m}.transformer_layer.", bridge::Op::kLayerPrefix},
    {"model.layers.{L+m}.enorm.weight", "mtp.layers.{m}.enorm.weight"},
    {"model.layers.{L+m}.hnorm.weight", "mtp.layers.{m}.hnorm.weight"},
    {"model.layers.{L+m}.eh_proj.weight", "mtp.layers.{m}.eh_proj.weight"},
    {"model.layers.{L+m}.shared_head.norm.weight", "mtp.layers.{m}.final_layernorm.weight"},
    {"model.layers.{L+m}.embed_tokens.weight", "embedding.word_embeddings.weight", bridge::Op::kRepeat,
     bridge::When::kWritten},
    {"model.layers.{L+m}.shared_head.head.weight", "output_layer.weight", bridge::Op::kRepeat, bridge::When::kWritten},
};
/// The same with a norm of its own and without copies (Ling, Hunyuan).
inline constexpr bridge::ParamRow kPlainMtpRows[] = {
    {"model.layers.{L+m}.", "mtp.layers.{m}.transformer_layer.", bridge::Op::kLayerPrefix},
    {"model.layers.{L+m}.enorm.weight", "mtp.layers.{m}.enorm.weight"},
    {"model.layers.{L+m}.hnorm.weight", "mtp.layers.{m}.hnorm.weight"},
    {"model.layers.{L+m}.eh_proj.weight", "mtp.layers.{m}.eh_proj.weight"},
    {"model.layers.{L+m}.final_layernorm.weight", "mtp.layers.{m}.final_layernorm.weight"},
};

inline constexpr bridge::IgnoredRow kRopeBuffers[] = {
    {"model.layers.{l}.self_attn.rotary_emb.inv_freq", "recomputed from rope_theta"},
    {"model.rotary_emb.inv_freq", "recomputed from rope_theta"},
};

/// DeepSeek V3's tensors, all of them.
inline constexpr auto kDeepseekV3Params = join(kEndRows, kLatentRows, kMlpRows, kMoeRows, kPackedMoeRows,
                                               kSharedExpertRows, kSelectionBiasRows, kDeepseekMtpRows);
static_assert(bridge::flaw_of(kDeepseekV3Params).empty());

}  // namespace rialto::families
