// What `rialto config` reports: the tree, differences, and what a key is; as JSON, text and Markdown.
#pragma once

#include <string>
#include <string_view>

#include "rialto/base/json.h"
#include "rialto/config/run_config.h"

namespace rialto::cli {

/// {section: {key: value}} of every key that is written.
Json config_to_json(const config::RunConfig& config);
/// The same with the keys alone whose value is not the default.
Json changed_to_json(const config::RunConfig& config);

/// [{key, a, b}] of the keys whose values differ.
Json config_diff(const config::RunConfig& a, const config::RunConfig& b);
std::string diff_to_text(const Json& diff);

/// A key ("train.train_iters") or a section ("train"), or every section for "".
/// Throws kUsage with the nearest name when there is none.
Json explain(std::string_view name);
std::string explain_to_text(const Json& report);
/// Tables of the keys that act and of the rules, as docs/training/configuration.md has them.
std::string keys_markdown();

/// {problems: [{rule, key, message}], limits: [the same]}: mistakes, and what this version does not run.
Json problems_to_json(const std::vector<config::Problem>& problems);
std::string problems_to_text(const Json& report);

}  // namespace rialto::cli
