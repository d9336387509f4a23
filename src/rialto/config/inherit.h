// `defaults: [NAME, ...]` on top of a recipe or file: the documents that it stands on. Inside config only.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "rialto/base/schema.h"

namespace rialto::config {

/// Finds what `defaults` names, seen from the file that names it; throws kConfig.
using FindBase = std::function<Node(const std::string& name, const Node& from)>;

/// The document and its bases in the order in which they are laid over each other: bases first, each once, where it is
/// first named. The key `defaults` is taken out. `name`: the document itself, as `defaults` could name it.
/// Throws kConfig for a circle, naming its members, and for a value that is no list of names.
std::vector<Node> with_bases(Node document, const std::string& name, const FindBase& find);

}  // namespace rialto::config
