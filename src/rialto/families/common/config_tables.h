// Config rows that several families share word for word. Source: transformers 5.23, the configuration classes.
#pragma once

#include "rialto/bridge/rows.h"
#include "rialto/families/common/join.h"

namespace rialto::families {

/// Keys that every family has, with one meaning and no default of its own.
inline constexpr bridge::ConfigRow kDecoderConfig[] = {
    {"hidden_size", bridge::ConfigKind::kHidden},
    {"num_hidden_layers", bridge::ConfigKind::kLayers},
    {"num_attention_heads", bridge::ConfigKind::kHeads},
    {"vocab_size", bridge::ConfigKind::kVocab},
    {"attention_dropout", bridge::ConfigKind::kMustEqual, "0.0|0|null"},
    {"torch_dtype", bridge::ConfigKind::kDtype, "\"float32\""},
    {"dtype", bridge::ConfigKind::kDtype, "\"float32\""},
};

/// Rotary embeddings without a scaling by default; the base is the family's.
inline constexpr bridge::ConfigRow kRopeConfig[] = {
    {"rope_scaling", bridge::ConfigKind::kRopeScaling, "null"},
    {"rope_parameters", bridge::ConfigKind::kRopeScaling, "null"},
};

/// DeepSeek's names of experts, which GLM, Moonlight and Kimi kept.
inline constexpr bridge::ConfigRow kDeepseekMoeConfig[] = {
    {"n_routed_experts", bridge::ConfigKind::kExperts},
    {"num_local_experts", bridge::ConfigKind::kExperts},
    {"num_experts_per_tok", bridge::ConfigKind::kTopK},
    {"moe_intermediate_size", bridge::ConfigKind::kExpertHidden},
    {"n_shared_experts", bridge::ConfigKind::kSharedExperts, "null"},
    {"moe_layer_freq", bridge::ConfigKind::kMustEqual, "1|null"},
};

/// How DeepSeek V3 and its kin choose experts, and the way their heads turn.
inline constexpr bridge::ConfigRow kNoauxConfig[] = {
    {"rope_interleave", bridge::ConfigKind::kRopeAdjacent, "true"},
    {"topk_method", bridge::ConfigKind::kMustEqual, "\"noaux_tc\""},
    {"norm_topk_prob", bridge::ConfigKind::kRenormalize, "true"},
    {"scoring_func", bridge::ConfigKind::kMustEqual, "\"sigmoid\""},
};

/// Ling's names, which Sarvam 30B kept.
inline constexpr bridge::ConfigRow kBailingConfig[] = {
    {"num_key_value_heads", bridge::ConfigKind::kGroups, "4"},
    {"head_dim", bridge::ConfigKind::kHeadDim, "null"},
    {"partial_rotary_factor", bridge::ConfigKind::kPartialRotary, "1.0"},
    {"rotary_dim", bridge::ConfigKind::kRotaryDim, "null"},
    {"intermediate_size", bridge::ConfigKind::kFfnHidden},
    {"rms_norm_eps", bridge::ConfigKind::kNormEps, "1e-6"},
    {"tie_word_embeddings", bridge::ConfigKind::kTied, "false"},
    {"hidden_act", bridge::ConfigKind::kActivation, "\"silu\""},
    {"use_qkv_bias", bridge::ConfigKind::kAttentionBias, "false"},
    {"use_bias", bridge::ConfigKind::kMustEqual, "false"},
    {"use_qk_norm", bridge::ConfigKind::kQkNorm, "true"},
    {"use_rmsnorm", bridge::ConfigKind::kMustEqual, "true"},
    {"norm_head", bridge::ConfigKind::kMustEqual, "false"},
    {"norm_softmax", bridge::ConfigKind::kMustEqual, "false"},
    {"embedding_dropout", bridge::ConfigKind::kMustEqual, "0.0|0"},
    {"output_dropout", bridge::ConfigKind::kMustEqual, "0.0|0"},
    {"use_sliding_window", bridge::ConfigKind::kMustEqual, "false"},
    {"sliding_window", bridge::ConfigKind::kKept},
    {"max_window_layers", bridge::ConfigKind::kKept},
    {"num_experts", bridge::ConfigKind::kExperts},
    {"num_experts_per_tok", bridge::ConfigKind::kTopK},
    {"num_shared_experts", bridge::ConfigKind::kSharedExperts, "1"},
    {"moe_intermediate_size", bridge::ConfigKind::kExpertHidden},
    {"moe_shared_expert_intermediate_size", bridge::ConfigKind::kSharedHidden, "null"},
    {"first_k_dense_replace", bridge::ConfigKind::kFirstDense, "1"},
    {"norm_topk_prob", bridge::ConfigKind::kMustEqual, "true"},
    {"score_function", bridge::ConfigKind::kMustEqual, "\"sigmoid\""},
    {"scoring_func", bridge::ConfigKind::kMustEqual, "\"sigmoid\""},
    {"moe_router_enable_expert_bias", bridge::ConfigKind::kMustEqual, "true"},
    {"router_dtype", bridge::ConfigKind::kKept},
    {"router_type", bridge::ConfigKind::kKept},
    {"bos_token_id", bridge::ConfigKind::kBos, "null"},
};

/// Multi-token prediction. Where the key is absent there is none: transformers' own default of one block is not in
/// the files that it writes.
inline constexpr bridge::ConfigRow kMtpConfig[] = {
    {"num_nextn_predict_layers", bridge::ConfigKind::kMtpDepth, "0"},
    {"num_mtp_layers", bridge::ConfigKind::kMtpDepth, "0"},
};

/// Multi-head latent attention.
inline constexpr bridge::ConfigRow kLatentConfig[] = {
    {"num_key_value_heads", bridge::ConfigKind::kGroups, "null"},
    {"kv_lora_rank", bridge::ConfigKind::kKvLoraRank},
    {"qk_nope_head_dim", bridge::ConfigKind::kQkNopeDim},
    {"qk_rope_head_dim", bridge::ConfigKind::kQkRopeDim},
    {"v_head_dim", bridge::ConfigKind::kVHeadDim},
    {"attention_bias", bridge::ConfigKind::kMustEqual, "false"},
    {"qk_head_dim", bridge::ConfigKind::kKept},  // derived, as transformers writes them
    {"head_dim", bridge::ConfigKind::kKept},
};

}  // namespace rialto::families
