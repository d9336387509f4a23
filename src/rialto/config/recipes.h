// The recipes that are compiled into the programs (recipes/**/*.yaml).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rialto::config {

struct Recipe {
  std::string_view name;  ///< path below recipes/ without ".yaml"
  std::string_view text;  ///< the YAML
  /// One that others stand on (in a folder of recipes/): half a configuration.
  bool is_base() const { return name.find('/') != std::string_view::npos; }
};
/// In alphabetical order.
const std::vector<Recipe>& recipes();
/// By its name, or by Megatron Bridge's: `NAME_config`, `MODEL_finetune_config` for MODEL_sft, and with its
/// `_<N>gpu_h100_bf16` where that is what the recipe is made for.
std::optional<Recipe> find_recipe(std::string_view name);
/// The recipe's first comment line: what it is for.
std::string summary(const Recipe& recipe);

}  // namespace rialto::config
