// generation_config.json: when to stop and how to sample. A key it lacks is looked up in config.json, where models
// older than that file keep it.
#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/hub/hf_directory.h"

namespace rialto::hub {
namespace {

/// Both files with their names, first one first. Null counts as absent, as transformers has it.
class Lookup {
 public:
  void add(const fs::path& path) {
    if (!fs::is_regular_file(path)) return;
    Json json = read_json_file(path, 16u << 20);
    if (!json.is_object()) throw Error(ErrorKind::kInput, path.string(), "is not a JSON object");
    files_.emplace_back(path.string(), std::move(json));
  }

  const Json* find(std::string_view key) {
    key_ = key;
    for (const auto& [path, json] : files_)
      if (const auto found = json.find(key); found != json.end() && !found->is_null()) {
        where_ = path;
        return &*found;
      }
    return nullptr;
  }

  /// An error about the value that find() gave last.
  Error bad(const Json& value, std::string_view want) const {
    return Error(ErrorKind::kInput, where_, fmt::format("'{}' cannot be used", key_),
                 {.got = value.dump(), .want = std::string(want)});
  }

  int64_t integer(const Json& value) const {
    if (!value.is_number_integer() || (value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX))
      throw bad(value, "an integer");
    return value.get<int64_t>();
  }
  int64_t token(const Json& value) const {
    const int64_t id = integer(value);
    if (id < 0) throw bad(value, "token ids");
    return id;
  }
  std::optional<int64_t> find_integer(std::string_view key) {
    const Json* value = find(key);
    return value ? std::optional(integer(*value)) : std::nullopt;
  }
  double number_in(std::string_view key, double otherwise, double low, double high) {
    const Json* value = find(key);
    if (!value) return otherwise;
    if (!value->is_number() || !(value->get<double>() >= low && value->get<double>() <= high))
      throw bad(*value, fmt::format("a number from {} to {}", low, high));
    return value->get<double>();
  }

 private:
  std::vector<std::pair<std::string, Json>> files_;
  std::string key_, where_;
};

}  // namespace

GenerationConfig read_generation_config(const fs::path& hf_dir) {
  Lookup lookup;
  lookup.add(hf_dir / "generation_config.json");
  lookup.add(hf_dir / "config.json");
  GenerationConfig config;
  if (const Json* eos = lookup.find("eos_token_id")) {
    if (eos->is_array())
      for (const Json& id : *eos) config.eos_token_ids.push_back(lookup.token(id));
    else
      config.eos_token_ids = {lookup.token(*eos)};
  }
  config.bos_token_id = lookup.find_integer("bos_token_id");
  config.pad_token_id = lookup.find_integer("pad_token_id");
  if (const Json* sample = lookup.find("do_sample")) {
    if (!sample->is_boolean()) throw lookup.bad(*sample, "true or false");
    config.do_sample = sample->get<bool>();
  }
  config.temperature = lookup.number_in("temperature", config.temperature, 0, 1e6);
  config.top_p = lookup.number_in("top_p", config.top_p, 0, 1);
  config.top_k = lookup.find_integer("top_k").value_or(config.top_k);
  config.repetition_penalty = lookup.number_in("repetition_penalty", config.repetition_penalty, 1e-6, 1e6);
  config.max_new_tokens = lookup.find_integer("max_new_tokens");
  return config;
}

}  // namespace rialto::hub
