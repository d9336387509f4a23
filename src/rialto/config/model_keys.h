// The keys that say what a model is: one table for the `model:` section of a training YAML, for a run_config.yaml of
// another program, and for help. What they make is read in rialto/resolve/section_model.h.
#pragma once

#include <span>
#include <string_view>

#include "rialto/base/schema.h"

namespace rialto::config {

enum class ModelKeyType {
  kSize,    ///< an integer
  kNumber,  ///< an integer or a float
  kFlag,
  kText,     ///< a word, or a Python name: `{_target_: torch.nn.functional.silu}`
  kSizes,    ///< an integer, or a list with one for each layer (flags are taken as 0 and 1)
  kNumbers,  ///< a number or a list of numbers
};

struct ModelKey {
  std::string_view key;
  ModelKeyType type;
  std::string_view help;
  std::string_view only = {};  ///< the one value that is computed here; "": any that the reader takes
  std::string_view off = {};   ///< Megatron's default, which its files hold for parts that a model has not; "": none
};

/// Names: Megatron-Core 0.16.1 TransformerConfig and MLATransformerConfig, Megatron Bridge's providers; `family` is
/// ours.
std::span<const ModelKey> model_keys();

/// Throws kConfig when a value is of another type; null is of every type.
void check_type(const ModelKey& key, const Node& value);

/// The list that a tuple's call holds, or the value itself.
const Node& unwrapped(const Node& node);

/// A value as one line of YAML that reads back to the same.
std::string write_flow(const Node& value);

}  // namespace rialto::config
