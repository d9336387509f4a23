// Version from the build file. build_id() is generated (cmake/build_id.cmake).
#include "rialto/base/version.h"

namespace rialto {

std::string_view version() { return RIALTO_VERSION; }

}  // namespace rialto
