// What is proven for which family, from docs/results.json as compiled in.
#pragma once

#include <string>
#include <string_view>

#include "rialto/base/json.h"

namespace rialto::cli {

/// docs/results.json as it was when this was built; "{}" when there was none.
extern const std::string_view kResultsJson;

/// {"columns": [...], "families": [{"name", "title", "architectures", "cells": {column: "passed" | reason}}]}.
/// Every family of the registry is there; a cell that no test has proven is "not proven".
Json models_table();
std::string models_text(const Json& table);
/// The table of the README.
std::string models_markdown(const Json& table);

}  // namespace rialto::cli
