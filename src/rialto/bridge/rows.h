// The rows a family file is made of, and the compile-time checks on them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "rialto/bridge/param_rows.h"

namespace rialto::bridge {

/// What a HF config key means. Every key of a config.json must be named by a row, or it is refused by name.
enum class ConfigKind : uint8_t {
  // sizes
  kHidden,
  kLayers,
  kHeads,
  kGroups,  ///< null: as many as heads
  kHeadDim,
  kFfnHidden,  ///< of dense layers
  kVocab,
  kMaxPositions,
  // the whole model
  kNormEps,
  kTied,
  kInitStd,
  kDtype,
  kEos,
  kBos,
  kLogitSoftcap,
  kMtpDepth,
  // positions
  kRopeTheta,
  kRopeScaling,        ///< an object: rope_scaling or rope_parameters
  kRopeLocalTheta,     ///< of layers with a window; the scaling is for the others
  kPartialRotary,      ///< share of each head that turns
  kRotaryDim,          ///< the same as a number of channels
  kOriginalPositions,  ///< the length before scaling, beside the scaling object
  kRopeAdjacent,       ///< true: neighbouring channels turn together
  // windows
  kWindow,
  kUseWindow,
  kMaxWindowLayers,  ///< the first layer with a window, where layer_types is silent
  kLayerTypes,
  kWindowPattern,  ///< N: every Nth layer has no window, where layer_types is silent
  kWindowSizes,    ///< each layer's window again, 0 for none; null: not said
  // attention
  kAttentionBias,
  kQkNorm,
  kQueryScalar,  ///< the softmax scale is its inverse root
  kAttentionSoftcap,
  // latent attention
  kQLoraRank,  ///< null: queries are projected at once
  kKvLoraRank,
  kQkNopeDim,
  kQkRopeDim,
  kVHeadDim,
  // feed-forward
  kActivation,
  kClamp,
  // experts
  kExperts,
  kTopK,
  kExpertHidden,
  kSharedExperts,  ///< how many, each as wide as an expert; null: none
  kSharedHidden,   ///< the width of all shared experts together, said again
  // which layers have experts: all of these must agree to it
  kFirstDense,   ///< how many layers at the front have none
  kDenseLayers,  ///< numbers of layers that have none
  kSparseStep,   ///< every Nth layer has them
  kFirstMoe,     ///< number of the first layer that may
  kLastMoe,      ///< number of the last layer that may; -1: the last
  kLayerClamps,  ///< a clamp of the gated unit for each layer: 0, none, is all that is computed; null: not said
  kMlpTypes,     ///< "dense" or "sparse" (or false, true) per layer; where given, the others are not asked
  // routing
  kTopKMethod,  ///< "greedy", or "group_limited_greedy"
  kRouterGroups,
  kTopGroups,
  kRenormalize,
  kRouteScale,

  kMustEqual,  ///< any other value than `value` (JSON text) is refused: the model would compute something else
  kKept,       ///< no influence on the model; kept and written back (use_cache, transformers_version)
};
struct ConfigRow {
  std::string_view key;
  ConfigKind kind;
  std::string_view value =
      {};  ///< kMustEqual: the accepted JSON texts, separated by '|'; others: the default when absent, "" = required
};

/// What is wrong with a family's config rows, "" when nothing.
constexpr std::string_view flaw_of(std::span<const ConfigRow> rows) {
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].key.empty()) return "a row without a key";
    if (rows[i].kind == ConfigKind::kMustEqual && rows[i].value.empty()) return "a required value is not given";
    for (size_t j = 0; j < i; ++j)
      if (rows[j].key == rows[i].key) return "a key stands in two rows";
  }
  return {};
}
/// For static_assert beside the tables.
template <class Row, size_t N>
constexpr bool well_formed(const Row (&rows)[N]) {
  return flaw_of(std::span<const Row>(rows)).empty();
}

}  // namespace rialto::bridge
