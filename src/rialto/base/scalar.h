// What a plain YAML scalar means. Inside base only.
#pragma once

#include <string_view>

#include "rialto/base/schema.h"

namespace rialto {

/// Sets kind and value of `node` from an unquoted scalar, by the rules of parse_yaml. `node.file` and `node.line` are
/// used in errors. Throws kConfig on whole numbers beyond 64 bits and on leading zeros (octal in YAML 1.1 only).
void resolve_plain_scalar(Node& node, std::string_view text);

}  // namespace rialto
