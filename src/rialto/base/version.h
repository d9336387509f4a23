// Version and build id, generated at configure time; both programs compare ids at the hand-over.
#pragma once

#include <string_view>

namespace rialto {

std::string_view version();   ///< "0.1.0"
std::string_view build_id();  ///< hash of the sources both programs were built from

}  // namespace rialto
