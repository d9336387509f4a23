// The family of a `model:` section.
#pragma once

#include "rialto/families/family.h"
#include "rialto/resolve/yaml_section.h"
#include "rialto/spec/model_spec.h"

namespace rialto::resolve {

/// The family that `family` names, else the one whose provider `_target_` names: a class of its own, or one of several
/// sizes ("Qwen3ModelProvider8B"), else the one whose layers transformer_layer_spec names. Null: nothing of this is
/// there, or only a provider that many families share. Throws for a name that is not known.
const families::Family* named_family(const YamlSection& keys);

/// The `model:` section of another program's run_config.yaml. Where no family is named, it is the one whose models fit
/// every key; of several that compute the same, the one that the values tell by themselves (qk_layernorm Qwen3,
/// add_qkv_bias Qwen2, ...). Throws where none fits, and where several fit whose Hugging Face files differ.
spec::ModelSpec model_from_megatron(const Node& model_section);

}  // namespace rialto::resolve
