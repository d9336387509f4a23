// Source of the rules: huggingface_hub utils/_validators.py.
#include "rialto/hub/hub_id.h"

#include <algorithm>

namespace rialto::hub {
namespace {

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

bool is_name(std::string_view text) {
  const auto edge = [](char c) { return c == '-' || c == '.'; };
  return !text.empty() && text.size() <= 96 && std::all_of(text.begin(), text.end(), is_word) && !edge(text.front()) &&
         !edge(text.back()) && text.find("--") == text.npos && text.find("..") == text.npos;
}

}  // namespace

bool is_revision(std::string_view text) {
  return !text.empty() && text.size() <= 255 && text.front() != '/' && text.back() != '/' &&
         text.find("..") == text.npos && text.find("//") == text.npos &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_word(c) || c == '/' || c == '+'; });
}

bool is_commit(std::string_view text) {
  return text.size() == 40 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

std::optional<HubId> parse_hub_id(std::string_view text) {
  HubId id;
  if (const size_t at = text.find('@'); at != text.npos) {
    id.revision = text.substr(at + 1);
    if (!is_revision(id.revision)) return std::nullopt;
    text = text.substr(0, at);
  }
  const size_t slash = text.find('/');
  if (slash == text.npos) return std::nullopt;
  id.organisation = text.substr(0, slash);
  id.name = text.substr(slash + 1);
  if (!is_name(id.organisation) || !is_name(id.name)) return std::nullopt;
  return id;
}

}  // namespace rialto::hub
