// The rows a family file is made of, and the compile-time checks on them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace rialto::bridge {

/// How the HF tensors of a row and its native parameter relate. Shapes follow from the native parameter's view.
enum class Op : uint8_t {
  kSame,    ///< one HF tensor, equal shape
  kQkv,     ///< {q,k,v}: per group its query heads, then k, then v (weights and biases)
  kGateUp,  ///< {gate,up}: all gate rows, then all up rows
  kTiedHead ///< a head that repeats the embedding when the file carries one
};

/// When a row applies to a layer (or to the model).
enum class When : uint8_t { kAlways, kQkvBias, kQkNorm, kUntied, kTied };

/// Patterns: `{l}` is the layer; `{q,k,v}` names several HF tensors in the op's order.
struct ParamRow {
  std::string_view hf;
  std::string_view native;
  Op op = Op::kSame;
  When when = When::kAlways;
};

/// HF tensors that carry nothing (recomputed from the config); `hf` is a pattern as above.
struct IgnoredRow {
  std::string_view hf;
  std::string_view reason;
};

/// What a HF config key means. Every key of a config.json must be named by a row, or it is refused by name.
enum class ConfigKind : uint8_t {
  kHidden, kLayers, kHeads, kGroups, kHeadDim, kFfnHidden, kVocab, kMaxPositions, kNormEps, kTied, kInitStd,
  kRopeTheta, kRopeScaling, kWindow, kUseWindow, kMaxWindowLayers, kLayerTypes, kAttentionBias, kMlpBias, kActivation,
  kDtype, kEos, kBos,
  kMustEqual,  ///< any other value than `value` (JSON text) is refused: the model would compute something else
  kKept,       ///< no influence on the model; kept and written back (use_cache, transformers_version)
};
struct ConfigRow {
  std::string_view key;
  ConfigKind kind;
  std::string_view value = {};  ///< kMustEqual: the accepted JSON texts, separated by '|'; others: the default when absent, "" = required
};

}  // namespace rialto::bridge
