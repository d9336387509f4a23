// From whatever describes a model to ModelSpec, and back.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rialto/base/json.h"
#include "rialto/base/schema.h"
#include "rialto/bridge/piece.h"
#include "rialto/families/family.h"
#include "rialto/spec/model_spec.h"

namespace rialto::resolve {

/// The family's rows applied to a config.json. Throws kInput for an unknown architecture (known ones and the nearest),
/// a missing required key, a key no row names, a value the family cannot compute (rope type, activation, mlp_bias).
struct Resolved {
  spec::ModelSpec model;
  const families::Family* family = nullptr;
};
Resolved model_from_hf(const Json& config, const std::string& where);

/// config.json for a model without a source (random weights, or a foreign native checkpoint): canonical keys only.
Json hf_from_model(const spec::ModelSpec& model);

/// run_config.yaml as Megatron Bridge reads it (`model:` with the family's provider, and every section it indexes). Its
/// `rialto:` section holds the model as a config.json. Throws kConfig for a model that its family cannot describe.
/// `run_keys`: lines of the `model:` section that say what a run does with the model.
std::string run_config_from_model(const spec::ModelSpec& model, const std::string& sections_yaml = "",
                                  const std::string& run_keys = "");
/// The model of a run_config.yaml. Ours: the config.json it holds, with which the `model:` section must agree. Another
/// program's: its `model:` section (section_family.h). Throws kInput naming a key that was edited, that cannot be
/// derived, or that asks for something that is not computed here.
spec::ModelSpec model_from_run_config(const Node& run_config);

}  // namespace rialto::resolve
