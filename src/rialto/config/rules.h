// The numbered rules of a run configuration: one table for checking, help and docs/training/configuration.md.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rialto/base/error.h"
#include "rialto/config/run_config.h"

namespace rialto::config {

/// What a rule found.
struct Finding {
  std::string what;
  ErrorParts parts;
};

struct Rule {
  std::string_view id;   ///< "R003": stable, never given to another rule
  std::string_view key;  ///< the key that is named when it is broken
  std::string says;      ///< what must hold: "a multiple of train.micro_batch_size"
  std::function<std::optional<Finding>(const RunConfig&)> check;
  bool is_limit = false;  ///< a limit of this version, not a mistake of the configuration
};

/// A rule that looks at the model too: tables of rules hold both kinds under one numbering.
struct ModelRule {
  std::string_view id, key;
  std::string says;
  std::function<std::optional<Finding>(const RunConfig&, const spec::ModelSpec&)> check;
  bool is_limit = false;
};

/// In the order of their numbers.
const std::vector<Rule>& rules();
const std::vector<ModelRule>& model_rules();
/// A table of Markdown: number, key, what must hold.
std::string rules_markdown();

}  // namespace rialto::config
