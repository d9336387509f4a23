// Finding tokenizer files.
#include "rialto/hub/tokenizer_file.h"

#include <vector>

#include "rialto/base/error.h"
#include "rialto/base/json.h"
#include "rialto/hub/special_tokens.h"

namespace rialto::hub {

fs::path tokenizer_file(const fs::path& path) {
  if (!fs::is_directory(path)) return path;
  for (const char* name : {"tokenizer.json", "tokenizer.model", "tiktoken.model"})
    if (fs::exists(path / name)) return path / name;
  std::vector<fs::path> ranks;
  for (const fs::directory_entry& entry : fs::directory_iterator(path))
    if (entry.path().extension() == ".tiktoken") ranks.push_back(entry.path());
  if (ranks.size() == 1) return ranks.front();
  throw Error(ErrorKind::kInput, path.string(),
              ranks.empty() ? "has no tokenizer.json, tokenizer.model or *.tiktoken" : "has several *.tiktoken",
              {.hint = ranks.empty() ? "save it with transformers' fast tokenizer, which writes tokenizer.json"
                                     : "name the file"});
}

std::string words_beside(const fs::path& file) {
  const fs::path pattern = file.string() + ".pattern", folder = file.parent_path();
  std::string words = fs::exists(pattern) ? read_text_file(pattern, 1u << 20) : "";
  while (words.ends_with('\n') || words.ends_with('\r')) words.pop_back();
  const fs::path config_file = folder / "tokenizer_config.json";
  const Json config = fs::exists(config_file) ? read_json_file(config_file) : Json::object();
  const Json named = special_tokens(folder);
  for (const char* end : {"bos", "eos"}) {
    const auto add = config.find(std::string("add_") + end + "_token");
    const std::string key = std::string(end) + "_token";
    words += '\0';
    if (add == config.end() || *add != true) continue;
    if (!named.contains(key))
      throw Error(ErrorKind::kInput, config_file.string(), "asks for a token that it does not name", {.want = key});
    words += named.at(key).get<std::string>();
  }
  if (const auto added = config.find("added_tokens_decoder"); added != config.end() && added->is_object())
    for (const auto& [id, token] : added->items())
      if (token.is_object() && token.contains("content") && token.at("content").is_string())
        words += '\0' + id + ' ' + token.at("content").get<std::string>();
  return words;
}

}  // namespace rialto::hub
