// Names inside a checkpoint root.
#include "rialto/store/names.h"

#include <charconv>

#include <fmt/format.h>

namespace rialto::store {

std::string iter_name(int64_t iteration) { return fmt::format("iter_{:07d}", iteration); }

std::optional<int64_t> parse_iter_name(std::string_view name) {
  if (!name.starts_with("iter_") || name.size() < 12) return {};
  const std::string_view digits = name.substr(5);
  if (digits.find_first_not_of("0123456789") != std::string_view::npos) return {};
  return parse_number(digits);
}

std::optional<int64_t> parse_number(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  text = text.substr(first, text.find_last_not_of(" \t\r\n") + 1 - first);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return {};
  return value;
}

bool is_inside(const fs::path& relative) {
  if (relative.empty() || relative.is_absolute()) return false;
  for (const fs::path& part : relative)
    if (part == ".." || part == "." || part.empty()) return false;
  return true;
}

}  // namespace rialto::store
