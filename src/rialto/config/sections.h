// The table of every section of a run configuration: its name and its rows, with the section's type erased.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "rialto/config/run_config.h"

namespace rialto::config {

/// One key of one section, for any reader, writer or page of help.
struct KeyRow {
  std::string_view section;  ///< "" for a key at the top level
  std::string_view key;
  std::string_view help;
  std::function<void(RunConfig&, const Node&)> read;
  std::function<std::string(const RunConfig&)> write;
  std::string full_name() const;  ///< "train.global_batch_size"
};

/// Every key, section by section, in the order they are written. Built once; constant.
const std::vector<KeyRow>& key_rows();
/// Section names in order, without the top level.
const std::vector<std::string>& section_names();

}  // namespace rialto::config
