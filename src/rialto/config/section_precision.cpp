// Keys of number formats: `mixed_precision`, the flags of `model:` that belong to it, and the loss scale.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "rialto/config/precision.h"
#include "rialto/config/section_tables.h"

namespace rialto::config {
namespace {

using Found = std::optional<Finding>;
using C = const RunConfig&;

Found known_preset(C config) {
  std::vector<std::string> acting, all;
  for (const Preset& preset : presets()) {
    all.emplace_back(preset.name);
    if (preset.refused.empty()) acting.emplace_back(preset.name);
  }
  const Preset* preset = find_preset(config.mixed_precision);
  if (preset && preset->refused.empty()) return {};
  if (preset)
    return Finding{fmt::format("does not run here: {}", preset->refused),
                   {.got = config.mixed_precision, .want = fmt::format("{}", fmt::join(acting, ", "))}};
  const std::string near = nearest(config.mixed_precision, all);
  return Finding{"unknown name",
                 {.got = fmt::format("'{}'", config.mixed_precision),
                  .want = fmt::format("{}", fmt::join(acting, ", ")),
                  .hint = near.empty() ? "" : fmt::format("did you mean '{}'?", near)}};
}

/// The preset's own numbers; nullptr where R091 complains.
const Precision* preset_of(C config) {
  const Preset* preset = find_preset(config.mixed_precision);
  return preset && preset->refused.empty() ? &preset->precision : nullptr;
}

Finding disagrees(std::string got, C config, std::string hint) {
  return Finding{
      "disagrees with mixed_precision",
      {.got = fmt::format("{} with mixed_precision {}", got, config.mixed_precision), .hint = std::move(hint)}};
}

Rule dtype_flag_rule(std::string_view id, std::string_view key, std::optional<bool> ModelPrecision::* flag, DType dtype,
                     std::string_view preset) {
  return {id, key, "what mixed_precision says, when it is set", [=](C config) -> Found {
            const std::optional<bool>& set = config.model_precision.*flag;
            const Precision* precision = preset_of(config);
            if (!set || !precision || *set == (precision->dtype == dtype)) return {};
            return disagrees(*set ? "true" : "false", config,
                             *set ? fmt::format("mixed_precision={}, or ~{}", preset, key) : fmt::format("~{}", key));
          }};
}

Found fp8_agrees(C config) {
  const std::optional<std::string>& set = config.model_precision.fp8;
  const Precision* precision = preset_of(config);
  if (!set || !precision) return {};
  if (*set != "e4m3" && *set != "hybrid") return Finding{"unknown name", {.got = *set, .want = "e4m3 or hybrid"}};
  if (!precision->fp8.empty()) return {};
  return disagrees(*set, config, "take a preset with fp8, such as bf16_with_fp8_current_scaling_mixed");
}

Found recipe_agrees(C config) {
  const std::optional<std::string>& set = config.model_precision.fp8_recipe;
  const Precision* precision = preset_of(config);
  if (!set || !precision) return {};
  constexpr std::string_view kNames[] = {"delayed", "tensorwise", "blockwise", "mxfp8"};
  if (std::ranges::find(kNames, *set) == std::end(kNames))
    return Finding{"unknown name", {.got = *set, .want = "delayed, tensorwise, blockwise or mxfp8"}};
  // Bridge writes the recipe's name whether or not there is FP8.
  if (precision->fp8.empty() || precision->fp8_recipe == *set) return {};
  return disagrees(*set, config, "the preset's name says which recipe; ~model.fp8_recipe");
}

/// A key that only FP8 presets read, and only `delayed` or any of them; elsewhere it must be unset or one of `idle`,
/// what Bridge writes for everyone.
template <class Value>
Rule fp8_key_rule(std::string_view id, std::string_view key, std::optional<Value> ModelPrecision::* member,
                  std::vector<Value> idle, std::vector<Value> range) {
  const bool names = std::is_same_v<Value, std::string>;
  std::string says = "with FP8 alone";
  if (!range.empty() && names) says += fmt::format(", {}", fmt::join(range, " or "));
  if (!range.empty() && !names) says += fmt::format(", {} to {}", range.front(), range.back());
  return {id, key, says, [=](C config) -> Found {
            const std::optional<Value>& set = config.model_precision.*member;
            const Precision* precision = preset_of(config);
            if (!set || !precision || std::ranges::find(idle, *set) != idle.end()) return {};
            if (precision->fp8.empty())
              return Finding{"acts with an FP8 preset only",
                             {.got = fmt::format("{} with mixed_precision {}", *set, config.mixed_precision)}};
            if (range.empty()) return {};
            const bool in =
                names ? std::ranges::find(range, *set) != range.end() : *set >= range.front() && *set <= range.back();
            if (in) return {};
            return Finding{"out of range", {.got = fmt::format("{}", *set), .want = says}};
          }};
}

Found wide_ends_fit(C config) {
  if (!preset_of(config)) return {};
  const Precision precision = precision_of(config);
  if (!precision.first_last_layers_bf16 || precision.fp8_recipe != "delayed") return {};
  return Finding{"delayed scaling has no layers without FP8",
                 {.got = "true", .want = "false", .hint = "take bf16_with_fp8_current_scaling_mixed"}};
}

Found constant_scale(C config) {
  const std::optional<double>& scale = config.optimizer.loss_scale;
  if (!scale) return {};
  if (!(*scale > 0 && *scale <= 0x1p126))
    return Finding{"out of range", {.got = fmt::format("{}", *scale), .want = "above 0, at most 2^126"}};
  const Precision* precision = preset_of(config);
  if (!precision || precision->dtype != DType::kF32) return {};
  return disagrees(fmt::format("{}", *scale), config, "~optimizer.loss_scale");
}

/// Keys of the dynamic scale must say something possible, and elsewhere nothing.
Found dynamic_scale(C config) {
  const OptimizerSection &o = config.optimizer, defaults;
  const auto values = [](const OptimizerSection& s) {
    return std::tuple(s.initial_loss_scale, s.min_loss_scale, s.loss_scale_window, s.hysteresis);
  };
  const Precision* precision = preset_of(config);
  if (!precision || values(o) == values(defaults)) return {};
  if (precision->dtype != DType::kF16 || o.loss_scale) {
    return Finding{"the dynamic loss scale's keys act with fp16 and without optimizer.loss_scale only",
                   {.got = fmt::format("mixed_precision {}", config.mixed_precision), .want = "their defaults"}};
  }
  const bool ok = o.min_loss_scale > 0 && o.min_loss_scale <= o.initial_loss_scale && o.initial_loss_scale <= 0x1p126 &&
                  o.loss_scale_window >= 1 && o.loss_scale_window <= 0x1p40 &&
                  o.loss_scale_window == std::floor(o.loss_scale_window) && o.hysteresis >= 1;
  if (ok) return {};
  return Finding{"out of range",
                 {.got = fmt::format("initial {}, min {}, window {}, hysteresis {}", o.initial_loss_scale,
                                     o.min_loss_scale, o.loss_scale_window, o.hysteresis),
                  .want = "0 < min <= initial <= 2^126, a whole window of at least 1, hysteresis of at least 1"}};
}

std::vector<Field<ModelPrecision>> model_precision_fields() {
  using M = ModelPrecision;
  return {
      field("bf16", &M::bf16, "must agree with mixed_precision when it is set"),
      field("fp16", &M::fp16, "must agree with mixed_precision when it is set"),
      field("fp8", &M::fp8, "e4m3, or hybrid (gradients in E5M2); unset: the preset's"),
      field("fp8_recipe", &M::fp8_recipe, "must agree with mixed_precision when it is set"),
      field("fp8_margin", &M::fp8_margin, "delayed scales are divided by 2 to this; unset: the preset's"),
      field("fp8_amax_history_len", &M::fp8_amax_history_len,
            "steps that delayed scales look back; unset: the preset's"),
      field("fp8_amax_compute_algo", &M::fp8_amax_compute_algo,
            "max or most_recent magnitude of the history; unset: the preset's"),
      field("fp8_wgrad", &M::fp8_wgrad, "whether weight gradients are FP8 products too; unset: the preset's"),
      field("first_last_layers_bf16", &M::first_last_layers_bf16,
            "whether the layers of the next two keys stay out of FP8; unset: the preset's"),
      field("num_layers_at_start_in_bf16", &M::num_layers_at_start_in_bf16,
            "first layers without FP8; unset: the preset's"),
      field("num_layers_at_end_in_bf16", &M::num_layers_at_end_in_bf16, "last layers without FP8; unset: the preset's"),
  };
}

}  // namespace

void add_model_precision_rows(std::vector<KeyRow>& rows) {
  add_rows(rows, "model", &RunConfig::model_precision, model_precision_fields());
}

void add_precision_rows(std::vector<KeyRow>& rows) {
  rows.push_back({"", "mixed_precision",
                  "which numbers are kept in which type: name of a preset, or Bridge's map of flags", read_precision,
                  [](C config) { return write_scalar(config.mixed_precision); }, "name of a preset"});
}

void add_precision_rules(std::vector<Rule>& rules) {
  using M = ModelPrecision;
  rules.push_back({"R091", "mixed_precision", "a preset that runs here", known_preset});
  rules.push_back(dtype_flag_rule("R092", "model.bf16", &M::bf16, DType::kBF16, "bf16_mixed"));
  rules.push_back(dtype_flag_rule("R250", "model.fp16", &M::fp16, DType::kF16, "fp16_mixed"));
  rules.push_back({"R251", "model.fp8", "e4m3 or hybrid, with an FP8 preset", fp8_agrees});
  rules.push_back({"R252", "model.fp8_recipe", "what mixed_precision says, when it is set", recipe_agrees});
  rules.push_back(fp8_key_rule<int64_t>("R253", "model.fp8_margin", &M::fp8_margin, {0}, {0, 64}));
  rules.push_back(
      fp8_key_rule<int64_t>("R254", "model.fp8_amax_history_len", &M::fp8_amax_history_len, {1}, {1, 1 << 20}));
  rules.push_back(fp8_key_rule<std::string>("R255", "model.fp8_amax_compute_algo", &M::fp8_amax_compute_algo,
                                            {"most_recent"}, {"max", "most_recent"}));
  rules.push_back(fp8_key_rule<bool>("R256", "model.fp8_wgrad", &M::fp8_wgrad, {true}, {}));
  rules.push_back(fp8_key_rule<bool>("R257", "model.first_last_layers_bf16", &M::first_last_layers_bf16, {false}, {}));
  rules.push_back(fp8_key_rule<int64_t>("R258", "model.num_layers_at_start_in_bf16", &M::num_layers_at_start_in_bf16,
                                        {0, 1}, {0, 1 << 20}));
  rules.push_back(fp8_key_rule<int64_t>("R259", "model.num_layers_at_end_in_bf16", &M::num_layers_at_end_in_bf16,
                                        {0, 1}, {0, 1 << 20}));
  rules.push_back({"R260", "model.first_last_layers_bf16", "false with delayed scaling", wide_ends_fit});
  rules.push_back({"R261", "optimizer.loss_scale", "above 0; unset with fp32", constant_scale});
  rules.push_back({"R262", "optimizer.initial_loss_scale",
                   "with min_loss_scale, loss_scale_window and hysteresis: possible with fp16, else the defaults",
                   dynamic_scale});
}

}  // namespace rialto::config
