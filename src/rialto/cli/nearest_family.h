// Which known family is most like a model that no family has.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "rialto/base/json.h"
#include "rialto/families/family.h"

namespace rialto::cli {

/// A HF tensor that a family's rows name.
struct RowName {
  std::string pattern;  ///< as pattern_of makes it of a tensor's name
  std::string hf;       ///< the row's own pattern, that of the prefix row where one stands before another row
  std::string native;
  bool may_be_absent = false;  ///< other layouts, repetitions, prediction blocks
};
/// Ignored rows are not among them.
std::vector<RowName> row_names(const families::Family& family, int64_t num_layers);
std::set<std::string> ignored_patterns(const families::Family& family, int64_t num_layers);

/// The family whose rows are most like the model: that name most of `patterns` and most keys of the config, and least
/// besides. The nearest name of an architecture decides between equals.
const families::Family& nearest_family(const std::set<std::string>& patterns, const Json& config,
                                       const std::string& architecture, int64_t num_layers);

}  // namespace rialto::cli
