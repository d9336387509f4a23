// UTF-8 checks; also used by the data room.
#pragma once

#include <string_view>

namespace rialto::formats {

/// Well-formed UTF-8; lone surrogates are refused.
bool is_utf8(std::string_view text);

}  // namespace rialto::formats
