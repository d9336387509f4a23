// config.json -> ModelSpec, by the family's rows.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "rialto/base/error.h"
#include "rialto/resolve/hf_config.h"
#include "rialto/resolve/resolve.h"
#include "rialto/resolve/rope_config.h"
#include "rialto/resolve/uniform.h"

namespace rialto::resolve {
namespace {

using bridge::ConfigKind;

// Bounds that keep products of sizes inside int64 and a hostile file from asking for endless tables.
constexpr int64_t kMaxLayers = 10'000, kMaxSize = 1 << 20, kMaxVocab = 1 << 28, kMaxPositions = int64_t{1} << 40;

const families::Family& family_of(const Json& config, const std::string& where) {
  const auto found = config.find("architectures");
  if (found == config.end() || !found->is_array() || found->empty() || !found->front().is_string())
    throw Error(ErrorKind::kInput, where, "does not say which model it is",
                {.want = "\"architectures\": [\"...ForCausalLM\"]"});
  const std::string name = found->front().get<std::string>();
  if (const families::Family* family = families::find_by_architecture(name)) return *family;
  std::vector<std::string> known;
  for (const families::Family* family : families::registry())
    known.insert(known.end(), family->architectures.begin(), family->architectures.end());
  const std::string near = nearest(name, known);
  throw Error(ErrorKind::kInput, where, "the architecture is not known",
              {.got = name,
               .want = fmt::format("one of {}", fmt::join(known, ", ")),
               .hint = near.empty() ? "" : fmt::format("the nearest is {}", near)});
}

/// Null is what transformers takes it for: float32.
DType read_dtype(const HfConfig& config) {
  if (config.value(ConfigKind::kDtype).is_null()) return DType::kF32;
  const std::string text = config.text(ConfigKind::kDtype);
  const std::optional<DType> dtype = dtype_from_torch(text);
  if (dtype != DType::kF32 && dtype != DType::kBF16 && dtype != DType::kF16)
    throw config.bad(ConfigKind::kDtype, "cannot be used", {.got = text, .want = "float32, bfloat16 or float16"});
  return *dtype;
}

std::vector<int64_t> read_eos(const HfConfig& config) {
  const Json json = config.value(ConfigKind::kEos);
  if (json.is_null()) return {};
  std::vector<int64_t> ids;
  for (const Json& id : json.is_array() ? json : Json::array({json})) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() > kMaxVocab)
      throw config.bad(ConfigKind::kEos, "cannot be used", {.got = json.dump(), .want = "token ids"});
    ids.push_back(id.get<int64_t>());
  }
  return ids;
}

/// Which layers have a window. Families without a switch (Mistral) have it on all; Qwen's have a switch and a list of
/// kinds, or the index of the first layer with a window. Source: transformers 5.23 configuration_qwen2.py.
std::vector<std::optional<int64_t>> read_windows(const HfConfig& config, int64_t num_layers) {
  std::vector<std::optional<int64_t>> windows(static_cast<size_t>(num_layers));
  if (!config.has(ConfigKind::kWindow)) return windows;
  std::optional<int64_t> window = config.integer_or_null(ConfigKind::kWindow, 1, kMaxPositions);
  if (!config.has(ConfigKind::kUseWindow)) {
    std::fill(windows.begin(), windows.end(), window);
    return windows;
  }
  if (!config.boolean(ConfigKind::kUseWindow)) window.reset();
  const int64_t first = config.integer(ConfigKind::kMaxWindowLayers, 0, INT64_MAX);
  const Json types = config.value(ConfigKind::kLayerTypes);
  if (types.is_null()) {
    for (int64_t layer = first; layer < num_layers; ++layer) windows[static_cast<size_t>(layer)] = window;
    return windows;
  }
  if (!types.is_array() || types.size() != windows.size())
    throw config.bad(ConfigKind::kLayerTypes, "does not fit",
                     {.got = types.dump(), .want = fmt::format("a list of {} layer types", num_layers)});
  for (size_t layer = 0; layer < windows.size(); ++layer) {
    if (types[layer] == "full_attention") continue;
    if (types[layer] != "sliding_attention")
      throw config.bad(ConfigKind::kLayerTypes,
                       fmt::format("has an entry that is not computed here at layer {}", layer),
                       {.got = types[layer].dump(), .want = "\"full_attention\" or \"sliding_attention\""});
    if (!window)
      throw config.bad(ConfigKind::kLayerTypes, fmt::format("gives layer {} a window, but no window is in use", layer),
                       {.hint = "use_sliding_window and sliding_window say whether there is one, and how wide"});
    windows[layer] = window;
  }
  return windows;
}

}  // namespace

Resolved model_from_hf(const Json& json, const std::string& where) {
  if (!json.is_object()) throw Error(ErrorKind::kInput, where, "is not a JSON object");
  const families::Family& family = family_of(json, where);
  const HfConfig config(json, family, where);
  Uniform uniform{.family = std::string(family.name)};
  uniform.hidden = config.integer(ConfigKind::kHidden, 1, kMaxSize);
  uniform.num_layers = config.integer(ConfigKind::kLayers, 1, kMaxLayers);
  uniform.num_heads = config.integer(ConfigKind::kHeads, 1, kMaxSize);
  uniform.num_groups = config.integer_or_null(ConfigKind::kGroups, 1, kMaxSize).value_or(uniform.num_heads);
  if (const auto head_dim = config.integer_or_null(ConfigKind::kHeadDim, 1, kMaxSize)) {
    uniform.head_dim = *head_dim;
  } else {
    if (uniform.hidden % uniform.num_heads != 0)
      throw config.bad(ConfigKind::kHeads, "does not divide hidden_size, and no head_dim is given",
                       {.got = fmt::format("{} heads of {}", uniform.num_heads, uniform.hidden)});
    uniform.head_dim = uniform.hidden / uniform.num_heads;
  }
  uniform.ffn_hidden = config.integer(ConfigKind::kFfnHidden, 1, kMaxSize);
  uniform.vocab = config.integer(ConfigKind::kVocab, 1, kMaxVocab);
  uniform.max_positions = config.integer(ConfigKind::kMaxPositions, 1, kMaxPositions);
  uniform.eps = config.number(ConfigKind::kNormEps, 0, 1);
  uniform.tied = config.boolean(ConfigKind::kTied);
  uniform.init_std = config.number(ConfigKind::kInitStd, 0, 1e3);
  uniform.qkv_bias = family_has(family, "linear_qkv.bias");
  uniform.qk_norm = family_has(family, "q_layernorm.weight");
  uniform.rope = read_rope(config, uniform.max_positions);
  uniform.windows = read_windows(config, uniform.num_layers);
  if (config.text(ConfigKind::kActivation) != "silu")
    throw config.bad(ConfigKind::kActivation, "is not computed here",
                     {.got = config.text(ConfigKind::kActivation), .want = "silu"});
  uniform.dtype = read_dtype(config);
  uniform.eos = read_eos(config);
  uniform.bos = config.integer_or_null(ConfigKind::kBos, 0, kMaxVocab);
  return {expand(uniform, ErrorKind::kInput, where), &family};
}

}  // namespace rialto::resolve
