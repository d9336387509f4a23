// The value that a config.json gives to a key of some kind: the reading of model_from_hf, backwards.
#include "rialto/resolve/hf_values.h"

#include <algorithm>
#include <cmath>

#include "rialto/resolve/hf_config.h"
#include "rialto/resolve/rope_config.h"

namespace rialto::resolve {
namespace {

using bridge::ConfigKind;
using bridge::ConfigRow;

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

Json otherwise(const ConfigRow& row) {
  const std::vector<Json> values = accepted_values(row);
  return values.empty() ? Json() : values.front();
}

Json layer_types(const ModelParts& parts) {
  Json types = Json::array();
  for (const std::optional<int64_t>& window : parts.windows)
    types.push_back(window ? "sliding_attention" : "full_attention");
  return types;
}

Json mlp_types(const ModelParts& parts) {
  Json types = Json::array();
  for (const bool moe : parts.is_moe) types.push_back(moe ? "sparse" : "dense");
  return types;
}

Json dense_layers(const ModelParts& parts) {
  Json layers = Json::array();
  for (size_t layer = 0; layer < parts.is_moe.size(); ++layer)
    if (!parts.is_moe[layer]) layers.push_back(layer);
  return layers;
}

int64_t first_moe(const ModelParts& parts) {
  return std::find(parts.is_moe.begin(), parts.is_moe.end(), true) - parts.is_moe.begin();
}

int64_t last_moe(const ModelParts& parts) {
  return parts.is_moe.rend() - std::find(parts.is_moe.rbegin(), parts.is_moe.rend(), true) - 1;
}

/// The distance of the first two layers with experts, where every layer that has them is a multiple of it; else 1.
int64_t sparse_step(const ModelParts& parts) {
  const auto first = std::find(parts.is_moe.begin(), parts.is_moe.end(), true);
  if (first == parts.is_moe.end()) return 1;
  const auto second = std::find(first + 1, parts.is_moe.end(), true);
  if (second == parts.is_moe.end()) return 1;
  for (size_t layer = 0; layer < parts.is_moe.size(); ++layer)
    if (parts.is_moe[layer] && static_cast<int64_t>(layer + 1) % (second - first) != 0) return 1;
  return second - first;
}

/// For readers that know no layer_types: the first layer with a window.
int64_t first_window(const ModelParts& parts) {
  return std::find_if(parts.windows.begin(), parts.windows.end(), [](const auto& w) { return w.has_value(); }) -
         parts.windows.begin();
}

/// Null says of an EXAONE model that all its layers know positions.
Json window(const ConfigRow& row, const ModelParts& parts) {
  if (parts.window()) return *parts.window();
  return parts.rope ? Json() : otherwise(row);
}

Json eos(const std::vector<int64_t>& ids) {
  if (ids.empty()) return nullptr;
  return ids.size() == 1 ? Json(ids.front()) : Json(ids);
}

/// The number whose inverse root is the scale: an integer in every published model.
Json query_scalar(double scale) {
  const double value = 1 / (scale * scale), rounded = std::round(value);
  return 1 / std::sqrt(rounded) == scale ? Json(static_cast<int64_t>(rounded)) : Json(value);
}

Json rope_scaling(const ConfigRow& row, const ModelParts& parts) {
  const Json json = parts.rope ? write_rope_scaling(parts.rope->scaling) : Json();
  if (json.is_null() && !otherwise(row).is_null()) return {{"rope_type", "default"}};
  return json;
}

Json rope_value(const ConfigRow& row, const ModelParts& parts) {
  if (row.kind == ConfigKind::kRopeScaling) return rope_scaling(row, parts);
  if (row.kind == ConfigKind::kRopeLocalTheta) return parts.local_rope ? Json(parts.local_rope->base) : otherwise(row);
  if (!parts.rope) return otherwise(row);
  const spec::Rope& rope = *parts.rope;
  switch (row.kind) {
    case ConfigKind::kRopeTheta:
      return rope.base;
    case ConfigKind::kPartialRotary:
      return rotary_share(rope.dim, parts.attention ? parts.attention->head_dim : parts.latent->qk_rope_dim);
    case ConfigKind::kRotaryDim:
      return rope.dim;
    case ConfigKind::kRopeAdjacent:
      return rope.pairing == spec::RopePairing::kAdjacent;
    case ConfigKind::kOriginalPositions: {
      const auto* longrope = std::get_if<spec::LongRopeScaling>(&rope.scaling);
      return longrope ? Json(longrope->original_max_positions) : otherwise(row);
    }
    default:
      return otherwise(row);
  }
}

Json attention_value(const ConfigRow& row, const spec::Attention& attention) {
  switch (row.kind) {
    case ConfigKind::kGroups:
      return attention.num_groups;
    case ConfigKind::kHeadDim:
      return attention.head_dim;
    case ConfigKind::kAttentionBias:
      return attention.qkv_bias;
    case ConfigKind::kQkNorm:
      return attention.qk_norm.has_value();
    case ConfigKind::kQueryScalar:
      return query_scalar(attention.softmax_scale);
    case ConfigKind::kAttentionSoftcap:
      return or_null(attention.softcap);
    default:
      return otherwise(row);
  }
}

Json latent_value(const ConfigRow& row, const spec::LatentAttention& latent) {
  switch (row.kind) {
    case ConfigKind::kGroups:
      return latent.num_heads;
    case ConfigKind::kQLoraRank:
      return or_null(latent.q_lora_rank);
    case ConfigKind::kKvLoraRank:
      return latent.kv_lora_rank;
    case ConfigKind::kQkNopeDim:
      return latent.qk_nope_dim;
    case ConfigKind::kQkRopeDim:
      return latent.qk_rope_dim;
    case ConfigKind::kVHeadDim:
      return latent.v_head_dim;
    default:
      return otherwise(row);
  }
}

Json moe_value(const ConfigRow& row, const ModelParts& parts) {
  const spec::MoeFfn& moe = *parts.moe;
  switch (row.kind) {
    case ConfigKind::kExperts:
      return moe.num_experts;
    case ConfigKind::kTopK:
      return moe.router.top_k;
    case ConfigKind::kExpertHidden:
      return moe.expert_hidden;
    case ConfigKind::kSharedExperts:
      return moe.shared_hidden / std::max<int64_t>(moe.expert_hidden, 1);
    case ConfigKind::kSharedHidden:
      return moe.shared_hidden;
    case ConfigKind::kClamp:
      return or_null(moe.clamp);
    case ConfigKind::kTopKMethod:
      return moe.router.num_groups > 1 ? "group_limited_greedy" : "greedy";
    case ConfigKind::kRouterGroups:
      return moe.router.num_groups;
    case ConfigKind::kTopGroups:
      return moe.router.top_groups;
    case ConfigKind::kRenormalize:
      return moe.router.renormalize;
    case ConfigKind::kRouteScale:
      return moe.router.scale;
    case ConfigKind::kFirstDense:
    case ConfigKind::kFirstMoe:
      return first_moe(parts);
    case ConfigKind::kSparseStep:
      return sparse_step(parts);
    case ConfigKind::kLastMoe:
      return last_moe(parts);
    case ConfigKind::kDenseLayers:
      return dense_layers(parts);
    case ConfigKind::kMlpTypes:
      return mlp_types(parts);
    default:
      return otherwise(row);
  }
}

bool is_rope(ConfigKind kind) { return kind >= ConfigKind::kRopeTheta && kind <= ConfigKind::kRopeAdjacent; }
bool is_attention(ConfigKind kind) {
  return kind == ConfigKind::kGroups || kind == ConfigKind::kHeadDim ||
         (kind >= ConfigKind::kAttentionBias && kind <= ConfigKind::kVHeadDim);
}
bool is_moe(ConfigKind kind) { return kind >= ConfigKind::kClamp && kind <= ConfigKind::kRouteScale; }

Json model_value(const ConfigRow& row, const ModelParts& parts) {
  const spec::ModelSpec& model = parts.model;
  switch (row.kind) {
    case ConfigKind::kHidden:
      return model.hidden;
    case ConfigKind::kLayers:
      return parts.num_layers();
    case ConfigKind::kHeads:
      return parts.num_heads();
    case ConfigKind::kFfnHidden:  // where every layer has experts, no layer has this width
      return parts.dense ? parts.dense->hidden : parts.moe->expert_hidden;
    case ConfigKind::kVocab:
      return model.vocab;
    case ConfigKind::kMaxPositions:
      return model.max_positions;
    case ConfigKind::kNormEps:
      return model.final_norm.eps;
    case ConfigKind::kTied:
      return model.tied;
    case ConfigKind::kInitStd:
      return model.init_std;
    case ConfigKind::kDtype:
      return torch_name(model.dtype);
    case ConfigKind::kEos:
      return eos(model.eos_token_ids);
    case ConfigKind::kBos:
      return or_null(model.bos_token_id);
    case ConfigKind::kLogitSoftcap:
      return or_null(model.logit_softcap);
    case ConfigKind::kMtpDepth:
      return model.mtp.size();
    case ConfigKind::kWindow:
      return window(row, parts);
    case ConfigKind::kUseWindow:
      return parts.window().has_value();
    case ConfigKind::kMaxWindowLayers:
      return first_window(parts);
    case ConfigKind::kLayerTypes:
      return layer_types(parts);
    default:
      return otherwise(row);
  }
}

}  // namespace

Json hf_value(const ConfigRow& row, const ModelParts& parts) {
  if (is_rope(row.kind)) return rope_value(row, parts);
  if (is_attention(row.kind))
    return parts.latent ? latent_value(row, *parts.latent) : attention_value(row, *parts.attention);
  if (is_moe(row.kind)) return parts.moe ? moe_value(row, parts) : otherwise(row);
  return model_value(row, parts);
}

}  // namespace rialto::resolve
