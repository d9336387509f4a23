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
