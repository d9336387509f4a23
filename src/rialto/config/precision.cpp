// Presets, and Bridge's map of precision flags.
#include "rialto/config/precision.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/config/known_keys.h"

namespace rialto::config {
namespace {

using enum Why;

constexpr std::string_view kNoFp8 = "fp8 arithmetic is not in this version";
constexpr std::string_view kNoFp16 = "fp16 needs a loss scaler, which is not in this version";

constexpr Preset kPresets[] = {
    {"bf16_mixed", ""},
    {"fp32", ""},
    {"fp16_mixed", kNoFp16},
    {"bf16_with_fp8_delayed_scaling_mixed", kNoFp8},
    {"bf16_with_fp8_current_scaling_mixed", kNoFp8},
    {"bf16_with_fp8_subchannel_scaling_mixed", kNoFp8},
    {"bf16_with_mxfp8_mixed", kNoFp8},
    {"bf16_with_nvfp4_mixed", "fp4 arithmetic is not in this version"},
    {"fp16_with_fp8_delayed_scaling_mixed", kNoFp16},
    {"fp16_with_fp8_current_scaling_mixed", kNoFp16},
    {"fp16_with_fp8_subchannel_scaling_mixed", kNoFp16},
    {"fp16_with_mxfp8_mixed", kNoFp16},
    {"nemotron_h_bf16_with_fp8_current_scaling_mixed", kNoFp8},
    {"nanov2_bf16_with_fp8_current_scaling_mixed", kNoFp8},
};

/// Fields of Bridge's MixedPrecisionConfig besides fp32, fp16 and bf16, at the values that bf16_mixed and fp32 have.
constexpr KnownKey kFields[] = {
    {"params_dtype", "{_call_: false, _target_: torch.float32}", kPrecision, "@torch.bfloat16"},
    {"pipeline_dtype", "{_call_: false, _target_: torch.float32}", kPrecision, "@torch.bfloat16"},
    {"autocast_dtype", "null", kPrecision, "@torch.bfloat16"},
    {"autocast_enabled", "false", kPrecision},
    {"grad_reduce_in_fp32", "true", kPrecision},
    {"fp8", "null", kFp8},
    {"fp8_recipe", "tensorwise", kFp8, "*"},
    {"first_last_layers_bf16", "false", kFp8},
    {"fp8_margin", "0", kFp8},
    {"fp8_amax_history_len", "1", kFp8},
    {"fp8_amax_compute_algo", "most_recent", kFp8},
    {"fp8_wgrad", "true", kFp8},
    {"fp8_dot_product_attention", "false", kFp8},
    {"fp8_multi_head_attention", "false", kFp8},
    {"fp8_param", "null", kFp8, "false"},
    {"fp8_param_gather", "false", kFp8},
    {"fp4", "null", kFp8},
    {"fp4_recipe", "nvfp4", kFp8, "*"},
    {"loss_scale", "null", kScaler},
    {"initial_loss_scale", "4294967296", kScaler},
    {"min_loss_scale", "1.0", kScaler},
    {"loss_scale_window", "1000", kScaler},
    {"hysteresis", "2", kScaler},
    {"num_layers_at_start_in_bf16", "0", kFp8},
    {"num_layers_at_end_in_bf16", "0", kFp8},
    {"reuse_grad_buf_for_mxfp8_param_ag", "false", kFp8},
};

bool is_flag(std::string_view key) { return key == "fp32" || key == "fp16" || key == "bf16"; }

void check_field(const Node& value, const std::string& key) {
  if (is_flag(key)) return;
  if (key == "_target_") {
    if (value.kind == Node::Kind::kString && is_known_target("mixed_precision", value.text)) return;
    throw Error(ErrorKind::kConfig, value.where(), "unknown class in 'mixed_precision._target_'",
                {.got = value.text, .want = std::string(example_target("mixed_precision"))});
  }
  std::vector<std::string> keys = {"fp32", "fp16", "bf16"};
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

}  // namespace

std::span<const Preset> presets() { return kPresets; }

std::string read_precision(const Node& node) {
  if (node.kind == Node::Kind::kNull) return std::string(kDefaultPrecision);
  if (node.kind != Node::Kind::kMap) {
    std::string name = read_string(node);
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
  }
  for (size_t i = 0; i < node.items.size(); ++i) check_field(node.items[i], node.keys[i]);
  const bool bf16 = flag(node, "bf16"), fp16 = flag(node, "fp16");
  if (bf16 && fp16)
    throw Error(ErrorKind::kConfig, node.where(), "'mixed_precision' asks for bf16 and fp16", {.want = "one of them"});
  return fp16 ? "fp16_mixed" : bf16 ? "bf16_mixed" : "fp32";
}

}  // namespace rialto::config
