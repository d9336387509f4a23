// What a config.json says of codes and scales, against what is decoded here.
#pragma once

#include <string>

#include "rialto/base/json.h"

namespace rialto::source {

/// Accepts `quantization_config` of the schemes that bridge/codecs know: fp8 (e4m3, blocks of 128 x 128 or one scale),
/// mxfp4, and compressed-tensors' packed symmetric 4-bit groups. Throws kInput naming key and value of any other.
void check_quantization(const Json& config, const std::string& where);

}  // namespace rialto::source
