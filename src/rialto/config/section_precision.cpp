// Keys of number formats: `mixed_precision`, and the flags of `model:` that must agree with it.
#include <algorithm>

#include <fmt/format.h>

#include "rialto/config/precision.h"
#include "rialto/config/section_tables.h"

namespace rialto::config {
namespace {

using Found = std::optional<Finding>;

Found known_preset(const RunConfig& config) {
  std::vector<std::string> acting, all;
  for (const Preset& preset : presets()) {
    if (preset.name == config.mixed_precision && preset.refused.empty()) return {};
    all.emplace_back(preset.name);
    if (preset.refused.empty()) acting.emplace_back(preset.name);
    if (preset.name == config.mixed_precision)
      return Finding{fmt::format("does not run here: {}", preset.refused),
                     {.got = config.mixed_precision, .want = fmt::format("{}", fmt::join(acting, ", "))}};
  }
  const std::string near = nearest(config.mixed_precision, all);
  return Finding{"unknown name",
                 {.got = fmt::format("'{}'", config.mixed_precision),
                  .want = fmt::format("{}", fmt::join(acting, ", ")),
                  .hint = near.empty() ? "" : fmt::format("did you mean '{}'?", near)}};
}

Found flags_agree(const RunConfig& config) {
  const std::optional<bool> bf16 = config.model_precision.bf16;
  if (!bf16 || *bf16 == (config.mixed_precision != "fp32")) return {};
  return Finding{
      "disagrees with mixed_precision",
      {.got = fmt::format("{} with mixed_precision {}", *bf16, config.mixed_precision),
       .hint = *bf16 ? "mixed_precision=bf16_mixed, or ~model.bf16" : "mixed_precision=fp32, or ~model.bf16"}};
}

}  // namespace

void add_precision_rows(std::vector<KeyRow>& rows) {
  rows.push_back({"", "mixed_precision",
                  "bf16_mixed (bf16 weights, fp32 main parameters and gradients) or fp32; or Bridge's map of flags",
                  [](RunConfig& config, const Node& node) { config.mixed_precision = read_precision(node); },
                  [](const RunConfig& config) { return write_scalar(config.mixed_precision); }, "name of a preset"});
}

void add_precision_rules(std::vector<Rule>& rules) {
  rules.push_back({"R091", "mixed_precision", "bf16_mixed or fp32", known_preset});
  rules.push_back({"R092", "model.bf16", "what mixed_precision says, when it is set", flags_agree});
}

}  // namespace rialto::config
