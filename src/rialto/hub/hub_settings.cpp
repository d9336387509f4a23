// Source: huggingface_hub constants.py and utils/_auth.py, older spellings included.
#include "rialto/hub/hub_settings.h"

#include <algorithm>

#include "rialto/base/error.h"
#include "rialto/hub/http.h"

namespace rialto::hub {
namespace {

constexpr const char* kEndpoint = "https://huggingface.co";

/// The first of `names` that is set and not empty; "" when none is.
std::string first_of(const Environment& environment, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (const char* value = environment(name); value && *value) return value;
  return {};
}

bool is_true(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return text == "1" || text == "ON" || text == "YES" || text == "TRUE";
}

/// "~" and "~/..." are the home folder.
fs::path expand_home(const std::string& text, const std::string& home) {
  if (text == "~" || text.starts_with("~/")) return fs::path(home + text.substr(1));
  return text;
}

std::string trimmed(const std::string& text) {
  constexpr const char* kSpace = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpace);
  return first == text.npos ? "" : text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::optional<std::string> find_token(const Environment& environment, const fs::path& file) {
  if (is_true(first_of(environment, {"HF_HUB_DISABLE_IMPLICIT_TOKEN"}))) return std::nullopt;
  std::string where = "HF_TOKEN";
  std::string token = trimmed(first_of(environment, {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}));
  if (std::error_code ignored; token.empty() && fs::is_regular_file(file, ignored)) {
    where = file.string();
    token = trimmed(read_text_file(file, 64u << 10));
  }
  if (token.empty()) return std::nullopt;
  // The text itself is a secret: it is not repeated.
  if (!std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 127; }))
    throw Error(ErrorKind::kConfig, where, "is no token: it holds spaces or characters that are not ASCII");
  return token;
}

}  // namespace

HubSettings read_hub_settings(const Environment& environment) {
  const std::string home = first_of(environment, {"HOME"});
  std::string root = first_of(environment, {"HF_HOME"});
  if (root.empty()) {
    const std::string caches = first_of(environment, {"XDG_CACHE_HOME"});
    root = (caches.empty() ? home + "/.cache" : caches) + "/huggingface";
  }
  const fs::path hf_home = expand_home(root, home);
  HubSettings settings;
  const std::string cache = first_of(environment, {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"});
  settings.cache = fs::absolute(cache.empty() ? hf_home / "hub" : expand_home(cache, home));
  settings.offline = is_true(first_of(environment, {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"}));
  settings.endpoint = first_of(environment, {"HF_ENDPOINT"});
  if (settings.endpoint.empty()) settings.endpoint = kEndpoint;
  while (settings.endpoint.ends_with('/')) settings.endpoint.pop_back();
  if (origin_of(settings.endpoint).empty())
    throw Error(ErrorKind::kConfig, "HF_ENDPOINT", "is no URL", {.got = settings.endpoint, .want = kEndpoint});
  const std::string token_path = first_of(environment, {"HF_TOKEN_PATH"});
  settings.token = find_token(environment, token_path.empty() ? hf_home / "token" : expand_home(token_path, home));
  return settings;
}

}  // namespace rialto::hub
