// ModelSpec -> a canonical config.json, by the same rows that read it; proven by reading it back.
#include <algorithm>
#include <map>

#include "rialto/base/error.h"
#include "rialto/resolve/hf_config.h"
#include "rialto/resolve/hf_values.h"
#include "rialto/resolve/resolve.h"

namespace rialto::resolve {
namespace {

using bridge::ConfigKind;
using bridge::ConfigRow;

/// Some readers of a family (Qwen2 before head_dim became a key of its own) take an unexpected key amiss.
bool is_derived(const ConfigRow& row, const ModelParts& parts) {
  return row.kind == ConfigKind::kHeadDim && row.value == "null" && parts.attention &&
         parts.attention->head_dim * parts.attention->num_heads == parts.model.hidden;
}

/// A key that may be null or absent says nothing.
bool says_nothing(const ConfigRow& row) {
  return row.kind == ConfigKind::kKept || row.kind == ConfigKind::kWindowSizes ||
         row.kind == ConfigKind::kLayerClamps ||
         (row.kind == ConfigKind::kMustEqual && accepted_values(row).front().is_null());
}

/// The model as a config.json can say it: what a checkpoint's keys look like is not its matter.
spec::ModelSpec without_keys(spec::ModelSpec model) {
  model.per_layer_keys = false;
  return model;
}

bool reads_back(const Json& config, const spec::ModelSpec& model) {
  try {
    return without_keys(model_from_hf(config, "config.json").model) == without_keys(model);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInternal) throw;
    return false;
  }
}

}  // namespace

Json hf_from_model(const spec::ModelSpec& model) {
  const families::Family& family = family_named(model.family);
  const ModelParts parts(model);
  std::map<std::string, Json> sorted;  // transformers sorts keys
  std::vector<ConfigKind> written;
  for (const ConfigRow& row : family.config) {
    // Of two spellings the first row's is written: the one that every version of transformers reads.
    const bool again =
        row.kind != ConfigKind::kMustEqual && std::find(written.begin(), written.end(), row.kind) != written.end();
    if (says_nothing(row) || again || is_derived(row, parts)) continue;
    written.push_back(row.kind);
    sorted[std::string(row.key)] = hf_value(row, parts);
  }
  sorted["architectures"] = Json::array({std::string(family.architectures.front())});
  sorted["model_type"] = std::string(family.model_type);
  Json config = Json::object();
  for (auto& [key, value] : sorted) config[key] = std::move(value);
  if (!reads_back(config, model))
    throw Error(ErrorKind::kConfig, model.family,
                "this model cannot be described by a Hugging Face config of its family",
                {.hint = "do its layers differ, or have parts that the family has not?"});
  return config;
}

}  // namespace rialto::resolve
