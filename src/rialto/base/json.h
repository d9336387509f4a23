// JSON with key order kept. The only file that includes nlohmann/json.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "rialto/base/error.h"

namespace rialto {

using Json = nlohmann::ordered_json;

/// Parses strict JSON (NaN and Infinity refused, duplicate keys refused). Throws kInput with `where`, line and column.
Json parse_json(std::string_view text, std::string_view where);
Json read_json_file(const std::filesystem::path& path, uint64_t max_bytes = 256u << 20);

/// Text as Python's json.dumps(value, indent=2, ensure_ascii=False) would write it, for files that HF tools write too.
std::string to_python_json(const Json& value, int indent = 2);

}  // namespace rialto
