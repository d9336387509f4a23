// Rows that are made from other tables. Inside config only; the order of the calls is the order below.
#pragma once

#include <vector>

#include "rialto/config/sections.h"

namespace rialto::config {

/// Keys of Bridge that say what a key here says; `rows` holds the latter.
void add_second_names(std::vector<KeyRow>& rows);
/// `_target_` of every section that has no such row.
void add_targets(std::vector<KeyRow>& rows);
/// Keys of known_sections() that have no row yet.
void add_known_keys(std::vector<KeyRow>& rows);

}  // namespace rialto::config
