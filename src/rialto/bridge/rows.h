// The rows a family file is made of, and the compile-time checks on them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace rialto::bridge {

/// How the HF tensors of a row and its native parameter relate. Shapes follow from the native parameter's view.
enum class Op : uint8_t {
  kSame,     ///< one HF tensor, equal shape
  kQkv,      ///< {q,k,v}: per group its query heads, then k, then v (weights and biases)
  kGateUp,   ///< {gate,up}: all gate rows, then all up rows
  kTiedHead  ///< a head that repeats the embedding when the file carries one
};

/// When a row applies to a layer (or to the model).
enum class When : uint8_t { kAlways, kQkvBias, kQkNorm, kUntied, kTied };

/// Patterns: `{l}` is the layer, `{e}` the expert; `{q,k,v}` names several HF tensors in the op's order.
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
  kMlpTypes,     ///< "dense" or "sparse" per layer; where given, the others are not asked
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

/// What the groups in braces of a pattern are.
struct PatternGroups {
  size_t layers = 0, experts = 0;
  size_t lists = 0, names = 1;  ///< comma lists, and how many tensors they name
  bool valid = true;            ///< braces pair up and hold a known wildcard or a list without empty names
};
constexpr PatternGroups groups_of(std::string_view pattern) {
  PatternGroups groups;
  for (size_t at = 0; at < pattern.size(); ++at) {
    if (pattern[at] == '}') groups.valid = false;
    if (pattern[at] != '{') continue;
    const size_t end = pattern.find_first_of("{}", at + 1);
    if (end == std::string_view::npos || pattern[end] != '}') return {.valid = false};
    const std::string_view text = pattern.substr(at + 1, end - at - 1);
    if (text == "l") {
      ++groups.layers;
    } else if (text == "e") {
      ++groups.experts;
    } else {
      ++groups.lists;
      for (const char c : text) groups.names += c == ',';
      if (groups.names == 1 || text.front() == ',' || text.back() == ',' || text.find(",,") != std::string_view::npos)
        groups.valid = false;
    }
    at = end;
  }
  return groups;
}

constexpr size_t num_hf_tensors(Op op) { return op == Op::kQkv ? 3 : op == Op::kGateUp ? 2 : 1; }

/// What is wrong with a family's tensor rows, "" when nothing: a pattern that does not parse, a list whose length does
/// not fit the op, wildcards that differ between the sides, a name that two rows claim for the same case.
constexpr std::string_view flaw_of(std::span<const ParamRow> rows) {
  for (size_t i = 0; i < rows.size(); ++i) {
    const PatternGroups hf = groups_of(rows[i].hf), native = groups_of(rows[i].native);
    if (!hf.valid || !native.valid || rows[i].hf.empty() || rows[i].native.empty()) return "a pattern does not parse";
    if (hf.names != num_hf_tensors(rows[i].op) || hf.lists > 1) return "the names on the HF side do not fit the op";
    if (native.lists != 0) return "a native pattern names several parameters";
    if (hf.layers != native.layers || hf.experts != native.experts || hf.layers > 1 || hf.experts > 1)
      return "the wildcards of the two sides differ";
    for (size_t j = 0; j < i; ++j) {
      if (rows[j].hf == rows[i].hf && rows[j].when == rows[i].when) return "an HF name stands in two rows";
      if (rows[j].native == rows[i].native && rows[j].op != Op::kTiedHead && rows[i].op != Op::kTiedHead)
        return "a native name stands in two rows";
    }
  }
  return {};
}
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
