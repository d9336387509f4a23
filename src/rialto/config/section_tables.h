// One file per section has its rows and its rules; this is what those files share. Inside config only.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "rialto/config/fields.h"
#include "rialto/config/rule_kinds.h"
#include "rialto/config/rules.h"
#include "rialto/config/sections.h"

namespace rialto::config {

inline constexpr int64_t kMostIterations = int64_t{1} << 40;

/// The rows of section `name`, kept in member `section`.
template <class Section>
void add_rows(std::vector<KeyRow>& rows, std::string_view name, Section RunConfig::* section,
              const std::vector<Field<Section>>& fields) {
  for (const auto& row : fields) {
    rows.push_back({name, row.key, row.help,
                    [section, read = row.read](RunConfig& config, const Node& node) { read(config.*section, node); },
                    [section, write = row.write](const RunConfig& config) { return write(config.*section); },
                    row.type});
  }
}

// section_<name>.cpp. Rows come in the order in which they are written; rules are sorted by number afterwards.
void add_model_rows(std::vector<KeyRow>& rows);
void add_model_rules(std::vector<Rule>& rules);
void add_memory_rows(std::vector<KeyRow>& rows);
void add_memory_rules(std::vector<Rule>& rules);
void add_parallel_rows(std::vector<KeyRow>& rows);
void add_parallel_rules(std::vector<Rule>& rules);
void add_parallel_limits(std::vector<Rule>& rules);
std::vector<ModelRule> parallel_model_rules();
std::vector<ModelRule> parallel_model_limits();
void add_recipe_rows(std::vector<KeyRow>& rows);
void add_recipe_rules(std::vector<Rule>& rules);
void add_train_rows(std::vector<KeyRow>& rows);
void add_train_rules(std::vector<Rule>& rules);
void add_validation_rows(std::vector<KeyRow>& rows);
void add_validation_rules(std::vector<Rule>& rules);
void add_optimizer_rows(std::vector<KeyRow>& rows);
void add_optimizer_rules(std::vector<Rule>& rules);
void add_scheduler_rows(std::vector<KeyRow>& rows);
void add_scheduler_rules(std::vector<Rule>& rules);
void add_dataset_rows(std::vector<KeyRow>& rows);
void add_dataset_rules(std::vector<Rule>& rules);
void add_checkpoint_rows(std::vector<KeyRow>& rows);
void add_checkpoint_rules(std::vector<Rule>& rules);
void add_logger_rows(std::vector<KeyRow>& rows);
void add_logger_rules(std::vector<Rule>& rules);
void add_resilience_rows(std::vector<KeyRow>& rows);
void add_resilience_rules(std::vector<Rule>& rules);
void add_profiling_rows(std::vector<KeyRow>& rows);
void add_profiling_rules(std::vector<Rule>& rules);
/// The flags of `model:` that belong to mixed_precision.
void add_model_precision_rows(std::vector<KeyRow>& rows);
void add_ddp_rows(std::vector<KeyRow>& rows);
void add_ddp_rules(std::vector<Rule>& rules);
void add_precision_rows(std::vector<KeyRow>& rows);
void add_precision_rules(std::vector<Rule>& rules);

}  // namespace rialto::config
