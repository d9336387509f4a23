// Do the chunks of a tensor cover it exactly once? Inside formats only.
#pragma once

#include <string>
#include <string_view>

#include "rialto/formats/dcp_metadata.h"

namespace rialto::formats {

/// Throws kInput naming `name` when chunks leave the tensor, overlap, or leave something uncovered.
/// Time: n log n per axis for chunks that can be cut apart by straight cuts, as all layouts in use can.
void check_tiling(const std::string& name, const DcpTensor& tensor, std::string_view where);

}  // namespace rialto::formats
