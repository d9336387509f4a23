// Bridge's map of precision flags (MixedPrecisionConfig): a preset, and keys for what differs.
#include <algorithm>
#include <array>
#include <vector>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/config/fields.h"
#include "rialto/config/known_keys.h"
#include "rialto/config/precision.h"
#include "rialto/config/sections.h"

namespace rialto::config {
namespace {

using enum Why;

/// Fields that ask for nothing of their own, at the values that the presets have.
constexpr KnownKey kFields[] = {
    {"params_dtype", "{_call_: false, _target_: torch.float32}", kPrecision, "@torch.bfloat16|torch.float16"},
    {"pipeline_dtype", "{_call_: false, _target_: torch.float32}", kPrecision, "@torch.bfloat16|torch.float16"},
    {"autocast_dtype", "null", kPrecision, "@torch.bfloat16|torch.float16"},
    {"autocast_enabled", "false", kPrecision},
    {"grad_reduce_in_fp32", "true", kPrecision, "false"},
    {"fp8_dot_product_attention", "false", kFp8},
    {"fp8_multi_head_attention", "false", kFp8},
    {"fp8_param", "null", kFp8Weights, "*"},
    {"fp8_param_gather", "false", kFp8Weights, "true"},
    {"fp4", "null", kFp8},
    {"fp4_recipe", "nvfp4", kFp8, "*"},
    {"fp4_param", "null", kFp8, "false"},
    {"fp4_param_gather", "false", kFp8},
    {"reuse_grad_buf_for_mxfp8_param_ag", "false", kFp8Weights, "true"},
};

/// Fields that are keys of other sections, with the value they have where a map leaves them out.
struct SharedField {
  std::string_view section, key, bridge_default;
};
constexpr SharedField kShared[] = {
    {"model", "fp8", "null"},
    {"model", "fp8_margin", "0"},
    {"model", "fp8_amax_history_len", "1"},
    {"model", "fp8_amax_compute_algo", "most_recent"},
    {"model", "fp8_wgrad", "true"},
    {"model", "first_last_layers_bf16", "false"},
    {"model", "num_layers_at_start_in_bf16", "0"},
    {"model", "num_layers_at_end_in_bf16", "0"},
    {"optimizer", "loss_scale", "null"},
    {"optimizer", "initial_loss_scale", "4294967296"},
    {"optimizer", "min_loss_scale", "1.0"},
    {"optimizer", "loss_scale_window", "1000"},
    {"optimizer", "hysteresis", "2"},
};
constexpr std::array<std::string_view, 5> kChoice = {"_target_", "fp32", "fp16", "bf16", "fp8_recipe"};

void check_field(const Node& value, const std::string& key) {
  if (key == "_target_") {
    if (value.kind == Node::Kind::kString && is_known_target("mixed_precision", value.text)) return;
    throw Error(ErrorKind::kConfig, value.where(), "unknown class in 'mixed_precision._target_'",
                {.got = value.text, .want = std::string(example_target("mixed_precision"))});
  }
  std::vector<std::string> keys(kChoice.begin(), kChoice.end());
  for (const SharedField& field : kShared) keys.emplace_back(field.key);
  if (std::ranges::find(keys, key) != keys.end()) return;
  for (const KnownKey& field : kFields) {
    keys.emplace_back(field.key);
    if (field.key != key) continue;
    if (accepts(field, value)) return;
    throw Error(ErrorKind::kConfig, value.where(),
                fmt::format("'mixed_precision.{}' does not act here: {}", key, reason(field.why)),
                {.got = value.text, .want = accepted_values(field)});
  }
  const std::string near = nearest(key, keys);
  throw Error(ErrorKind::kConfig, value.where(), fmt::format("unknown key '{}' in section 'mixed_precision'", key),
              {.hint = near.empty() ? "" : fmt::format("did you mean '{}'?", near)});
}

bool flag(const Node& map, std::string_view key) {
  const Node* value = map.find(key);
  return value && value->kind != Node::Kind::kNull && read_bool(*value);
}

std::string text(const Node& map, std::string_view key) {
  const Node* value = map.find(key);
  return value && value->kind != Node::Kind::kNull ? read_string(*value) : "";
}

/// The first preset with the dtype and FP8 recipe of the map.
const Preset& preset_of(const Node& map) {
  const bool bf16 = flag(map, "bf16"), fp16 = flag(map, "fp16");
  if (bf16 && fp16)
    throw Error(ErrorKind::kConfig, map.where(), "'mixed_precision' asks for bf16 and fp16", {.want = "one of them"});
  const DType dtype = fp16 ? DType::kF16 : bf16 ? DType::kBF16 : DType::kF32;
  std::string recipe;
  if (!text(map, "fp8").empty()) recipe = map.find("fp8_recipe") ? text(map, "fp8_recipe") : "tensorwise";
  for (const Preset& preset : presets()) {
    if (preset.refused.empty() && preset.precision.dtype == dtype && preset.precision.fp8_recipe == recipe)
      return preset;
  }
  throw Error(ErrorKind::kConfig, map.where(), "no preset does what 'mixed_precision' asks for",
              {.got = fmt::format("fp8_recipe {} with {}", recipe.empty() ? "null" : recipe, torch_name(dtype)),
               .want = "delayed, tensorwise, blockwise or mxfp8, with bf16 or fp16"});
}

void read_map(RunConfig& config, const Node& map) {
  for (size_t i = 0; i < map.items.size(); ++i) check_field(map.items[i], map.keys[i]);
  const Preset& preset = preset_of(map);
  config.mixed_precision = preset.name;
  config.model_precision = {};
  const Node null;
  for (const SharedField& field : kShared) {
    const Node* given = map.find(field.key);
    const KeyRow& row = *find_row(field.section, field.key);
    row.read(config, given ? *given : parse_yaml_value(field.bridge_default));
  }
  // What the preset says itself is no key of the run.
  RunConfig plain;
  plain.mixed_precision = preset.name;
  for_each_flag(precision_of(plain), config.model_precision, [](const auto& same, auto& key) {
    if (key == same) key.reset();
  });
}

}  // namespace

void read_precision(RunConfig& config, const Node& node) {
  if (node.kind == Node::Kind::kMap) return read_map(config, node);
  config.mixed_precision = node.kind == Node::Kind::kNull ? kDefaultPrecision : read_string(node);
  std::ranges::replace(config.mixed_precision, '-', '_');
}

}  // namespace rialto::config
