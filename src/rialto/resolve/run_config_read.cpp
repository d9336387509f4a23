// run_config.yaml -> ModelSpec, ours or Bridge's.
//
// Ours has a `rialto:` section with the model as a config.json, and a `model:` section that must say the same: an
// edited value is refused by name. Another program's is read by its `model:` section alone.
#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/base/json.h"
#include "rialto/resolve/model_section.h"
#include "rialto/resolve/resolve.h"
#include "rialto/resolve/section_family.h"
#include "rialto/resolve/yaml_section.h"

namespace rialto::resolve {
namespace {

/// Keys that older files of ours have not, or with another value: nothing of the model that `rialto:` does not say.
constexpr std::string_view kLater[] = {"attention_factor",
                                       "rope_scaling_high_freq_factor",
                                       "rope_scaling_low_freq_factor",
                                       "rope_scaling_original_max_position_embeddings",
                                       "rope_scaling_type",
                                       "transformer_layer_spec",
                                       "yarn_attention_factor"};

bool is_later(const std::string& key, const Node* value) {
  return std::find(std::begin(kLater), std::end(kLater), key) != std::end(kLater) &&
         (!value || key == "transformer_layer_spec");
}

void compare(const Node& found, const Node& wanted) {
  for (size_t i = 0; i < wanted.keys.size(); ++i) {
    const Node* value = found.find(wanted.keys[i]);
    if ((value && same_value(*value, wanted.items[i])) || is_later(wanted.keys[i], value)) continue;
    throw Error(ErrorKind::kInput, (value ? *value : found).where(),
                fmt::format("'model.{}' disagrees with the model in 'rialto.hf_config'", wanted.keys[i]),
                {.got = value ? text_of(*value) : "nothing",
                 .want = text_of(wanted.items[i]),
                 .hint = "a converted model is changed through its config.json, not here"});
  }
}

spec::ModelSpec read_own(const Node& model_node, const Node& own_node) {
  const YamlSection own(own_node, "rialto");
  const Node& text = own.need("hf_config");
  if (text.kind != Node::Kind::kString) throw own.bad(text, "hf_config", "a config.json as text");
  spec::ModelSpec model = model_from_hf(parse_json(text.text, text.where()), text.where()).model;
  // Not a property of the model but of the checkpoint's keys, which the model section alone says.
  const Node* freq = model_node.find("moe_layer_freq");
  model.per_layer_keys = freq && freq->kind == Node::Kind::kList;
  compare(model_node, *parse_yaml(write_model_section(model), "model section").find("model"));
  return model;
}

}  // namespace

spec::ModelSpec model_from_run_config(const Node& run_config) {
  const Node* model = run_config.find("model");
  if (!model) throw Error(ErrorKind::kInput, run_config.where(), "has no 'model:' section");
  if (model->kind != Node::Kind::kMap) throw Error(ErrorKind::kInput, model->where(), "'model:' is not a map");
  const Node* own = run_config.find("rialto");
  return own ? read_own(*model, *own) : model_from_megatron(*model);
}

}  // namespace rialto::resolve
