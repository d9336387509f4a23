// Names of special tokens, from the two files that may hold them.
#include "rialto/hub/special_tokens.h"

#include <array>

namespace rialto::hub {
namespace {

constexpr std::array<const char*, 7> kNames{"bos_token", "eos_token", "unk_token", "sep_token",
                                            "pad_token", "cls_token", "mask_token"};

/// "</s>" or {"content": "</s>", ...}
std::optional<std::string> token_text(const Json& entry) {
  if (entry.is_string()) return entry.get<std::string>();
  if (!entry.is_object() || !entry.contains("content") || !entry.at("content").is_string()) return std::nullopt;
  return entry.at("content").get<std::string>();
}

void take(const Json& from, Json& into) {
  if (!from.is_object()) return;
  for (const char* name : kNames) {
    const auto entry = from.find(name);
    if (entry == from.end()) continue;
    if (const auto text = token_text(*entry)) into[name] = *text;
  }
  for (const char* more : {"extra_special_tokens", "model_specific_special_tokens"}) {
    const auto entries = from.find(more);
    if (entries == from.end() || !entries->is_object()) continue;
    for (const auto& [name, entry] : entries->items())
      if (const auto text = token_text(entry)) into[name] = *text;
  }
}

}  // namespace

Json special_tokens(const fs::path& dir) {
  Json tokens = Json::object();
  bool complete = false;
  if (const fs::path file = dir / "tokenizer_config.json"; fs::exists(file)) {
    const Json config = read_json_file(file);
    take(config, tokens);
    complete = config.is_object() && config.contains("added_tokens_decoder");
  }
  if (const fs::path file = dir / "special_tokens_map.json"; !complete && fs::exists(file)) {
    take(read_json_file(file), tokens);
  }
  return tokens;
}

std::optional<std::string> eos_token(const fs::path& dir) {
  const Json tokens = special_tokens(dir);
  if (!tokens.contains("eos_token")) return std::nullopt;
  return tokens["eos_token"].get<std::string>();
}

}  // namespace rialto::hub
