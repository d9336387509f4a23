// The text of family files, compiled in: what a new family starts from.
#pragma once

#include <string_view>

#include "rialto/families/family.h"

namespace rialto::families {

/// The file that defines the family, whole.
std::string_view source_of(const Family& family);

}  // namespace rialto::families
