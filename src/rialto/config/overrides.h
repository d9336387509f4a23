// One change of a configuration in Hydra's grammar: a.b=v, +a.b=v, ++a.b=v, ~a.b.
#pragma once

#include <optional>
#include <string>

#include "rialto/config/run_config.h"

namespace rialto::config {

struct Override {
  enum class Kind {
    kSet,       ///< a.b=v: the key's value, whatever it was
    kAdd,       ///< +a.b=v: refused when the key has a value
    kAddOrSet,  ///< ++a.b=v
    kRemove,    ///< ~a.b: back to the default; ~a.b=v only when the value is v
  };
  Kind kind = Kind::kSet;
  std::string name;           ///< "section.key", "section" or "key"
  std::optional<Node> value;  ///< its file is the text of the override, for errors
  std::string where;          ///< "--set train.train_iters=3", or the text alone
};

/// `option`: "--set", or "" for a word of its own. Values are YAML: null, true, 3, 1e-5, [a, b], {a: 1}, "text".
/// Throws kUsage when the text is no override.
Override parse_override(const std::string& text, std::string_view option);

/// Every key that an override names must be known: the tree is typed, so nothing can be added that has no row.
/// Throws kConfig naming the override, the key and the nearest one.
void apply_override(RunConfig& config, const Override& change);

}  // namespace rialto::config
