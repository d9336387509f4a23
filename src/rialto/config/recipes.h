// The recipes that are compiled into the programs (recipes/*.yaml).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rialto::config {

struct Recipe {
  std::string_view name;  ///< file name without ".yaml"
  std::string_view text;  ///< the YAML
};
/// In alphabetical order.
const std::vector<Recipe>& recipes();
std::optional<Recipe> find_recipe(std::string_view name);
/// The recipe's first comment line: what it is for.
std::string summary(const Recipe& recipe);

}  // namespace rialto::config
