// ModelSpec -> a canonical config.json, by the same rows that read it; proven by reading it back.
#include <algorithm>
#include <map>

#include "rialto/base/error.h"
#include "rialto/resolve/hf_config.h"
#include "rialto/resolve/resolve.h"
#include "rialto/resolve/rope_config.h"
#include "rialto/resolve/uniform.h"

namespace rialto::resolve {
namespace {

using bridge::ConfigKind;
using bridge::ConfigRow;

/// The widest statement that a list of windows allows: the one width in use.
std::optional<int64_t> window_of(const Uniform& uniform) {
  for (const std::optional<int64_t>& window : uniform.windows)
    if (window) return window;
  return {};
}

Json layer_types(const Uniform& uniform) {
  Json types = Json::array();
  for (const std::optional<int64_t>& window : uniform.windows)
    types.push_back(window ? "sliding_attention" : "full_attention");
  return types;
}

/// For readers that know no layer_types: the first layer with a window.
int64_t first_window(const Uniform& uniform) {
  const auto first = std::find_if(uniform.windows.begin(), uniform.windows.end(),
                                  [](const auto& window) { return window.has_value(); });
  return first - uniform.windows.begin();
}

Json eos_value(const std::vector<int64_t>& ids) {
  if (ids.empty()) return nullptr;
  return ids.size() == 1 ? Json(ids.front()) : Json(ids);
}

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

Json value_of(const ConfigRow& row, const Uniform& uniform) {
  switch (row.kind) {
    case ConfigKind::kHidden:
      return uniform.hidden;
    case ConfigKind::kLayers:
      return uniform.num_layers;
    case ConfigKind::kHeads:
      return uniform.num_heads;
    case ConfigKind::kGroups:
      return uniform.num_groups;
    case ConfigKind::kHeadDim:
      return uniform.head_dim;
    case ConfigKind::kFfnHidden:
      return uniform.ffn_hidden;
    case ConfigKind::kVocab:
      return uniform.vocab;
    case ConfigKind::kMaxPositions:
      return uniform.max_positions;
    case ConfigKind::kNormEps:
      return uniform.eps;
    case ConfigKind::kTied:
      return uniform.tied;
    case ConfigKind::kInitStd:
      return uniform.init_std;
    case ConfigKind::kRopeTheta:
      return uniform.rope.base;
    case ConfigKind::kRopeScaling:
      return write_rope_scaling(uniform.rope.scaling);
    case ConfigKind::kWindow:
      return or_null(window_of(uniform));
    case ConfigKind::kUseWindow:
      return window_of(uniform).has_value();
    case ConfigKind::kMaxWindowLayers:
      return first_window(uniform);
    case ConfigKind::kLayerTypes:
      return layer_types(uniform);
    case ConfigKind::kAttentionBias:
      return uniform.qkv_bias;
    case ConfigKind::kMlpBias:
      return false;
    case ConfigKind::kActivation:
      return "silu";
    case ConfigKind::kDtype:
      return torch_name(uniform.dtype);
    case ConfigKind::kEos:
      return eos_value(uniform.eos);
    case ConfigKind::kBos:
      return or_null(uniform.bos);
    case ConfigKind::kMustEqual:
      return accepted_values(row).front();
    case ConfigKind::kKept:
      break;
  }
  return nullptr;
}

/// Some readers of a family (Qwen2 before head_dim became a key of its own) take an unexpected key amiss.
bool is_derived(const ConfigRow& row, const Uniform& uniform) {
  return row.kind == ConfigKind::kHeadDim && row.value == "null" &&
         uniform.head_dim * uniform.num_heads == uniform.hidden;
}

}  // namespace

Json hf_from_model(const spec::ModelSpec& model) {
  const families::Family& family = family_named(model.family);
  const Uniform uniform = uniform_of(model);
  std::map<std::string, Json> sorted;  // transformers sorts keys
  std::vector<ConfigKind> written;
  for (const ConfigRow& row : family.config) {
    // Of two spellings the first row's is written: the one that every version of transformers reads.
    const bool again =
        row.kind != ConfigKind::kMustEqual && std::find(written.begin(), written.end(), row.kind) != written.end();
    if (row.kind == ConfigKind::kKept || again || is_derived(row, uniform)) continue;
    written.push_back(row.kind);
    sorted[std::string(row.key)] = value_of(row, uniform);
  }
  sorted["architectures"] = Json::array({std::string(family.architectures.front())});
  sorted["model_type"] = std::string(family.model_type);
  Json config = Json::object();
  for (auto& [key, value] : sorted) config[key] = std::move(value);
  if (model_from_hf(config, "config.json").model != model)
    throw Error(ErrorKind::kConfig, model.family,
                "this model cannot be described by a Hugging Face config of its family",
                {.hint = "do its layers differ, or have parts that the family has not?"});
  return config;
}

}  // namespace rialto::resolve
