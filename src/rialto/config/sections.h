// The table of every section of a run configuration: its name and its rows, with the section's type erased.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "rialto/config/known_keys.h"
#include "rialto/config/run_config.h"

namespace rialto::config {

/// One key of one section, for any reader, writer or page of help.
struct KeyRow {
  std::string_view section;  ///< "" for a key at the top level
  std::string_view key;
  std::string_view help;
  std::function<void(RunConfig&, const Node&)> read;
  std::function<std::string(const RunConfig&)> write;
  std::string_view type = "value";
  std::string_view stored_as = {};  ///< of a second name: the key that holds the value and is written
  const KnownKey* known = nullptr;  ///< set: the key does not act, and this says why
  bool is_class = false;            ///< `_target_` of a section, which is looked up and changes nothing
  std::string full_name() const;    ///< "train.global_batch_size"
  bool acts() const { return known == nullptr && !is_class; }
  bool is_written() const { return acts() && stored_as.empty(); }
};

/// Every key, section by section: first those that act, in the order they are written, then second names, then those
/// that do not act. Built once; constant.
const std::vector<KeyRow>& key_rows();
/// Section names in order, without the top level.
const std::vector<std::string>& section_names();
/// nullptr when there is none.
const KeyRow* find_row(std::string_view section, std::string_view key);
bool is_section(std::string_view name);
/// The map inside its section that a row lies in: "m" of the key "m.k"; "" for a row of the section itself.
std::string_view map_of(const KeyRow& row);
/// The keys of such a map that are not at their defaults, as a flow map; "null" when all are.
std::string write_map(const RunConfig& config, std::string_view section, std::string_view map);

}  // namespace rialto::config
