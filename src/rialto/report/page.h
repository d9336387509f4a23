// One self-contained HTML page about one or more runs: curves, phases, memory, configurations and their differences.
#pragma once

#include <string>
#include <vector>

#include "rialto/report/run_folder.h"

namespace rialto::report {

/// What the page shows. Curves of more than `kMostPoints` points keep every n-th and the last; a value that is not
/// finite is null.
Json page_data(const std::vector<RunFolder>& runs);
inline constexpr size_t kMostPoints = 2000;

/// The page: no network, no other file. Its script draws `page_data`, which stands in it as JSON.
std::string page(const std::vector<RunFolder>& runs);

}  // namespace rialto::report
