// What the operating system said, as an Error. Inside base only.
#pragma once

#include <filesystem>
#include <string_view>

#include "rialto/base/error.h"

namespace rialto {

/// "[path] cannot <action>: <strerror>"; a full disk gets a hint with what is left.
Error io_error(const std::filesystem::path& path, std::string_view action, int code);

}  // namespace rialto
