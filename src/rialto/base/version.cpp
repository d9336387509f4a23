// Version from the build file, build id from the generated header (cmake/build_id.cmake).
#include "rialto/base/version.h"

#include "rialto_build_id.h"

namespace rialto {

std::string_view version() { return RIALTO_VERSION; }
std::string_view build_id() { return RIALTO_BUILD_ID; }

}  // namespace rialto
