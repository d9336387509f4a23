// How torch pickles one tensor: dtype names, storage classes, rebuild calls. Inside formats only.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "rialto/base/dtype.h"
#include "rialto/base/shape.h"
#include "rialto/formats/pickle.h"

namespace rialto::formats {

/// What a pickled tensor says about itself; checked to be contiguous.
struct TensorRef {
  DType dtype = DType::kF32;
  Shape shape;
  uint64_t first_byte = 0;  ///< of the tensor, in its storage
  uint64_t bytes = 0;
  std::string key;  ///< its storage: record "data/<key>"
};

/// Names that a pickled tensor may ask for.
std::span<const std::string_view> tensor_globals();

bool is_tensor_call(const PickleValue& value);

/// Reads a call of _rebuild_tensor_v2 or _v3. Throws kInput with `where` on anything else and on strided views.
TensorRef parse_tensor(const PickleValue& value, std::string_view where);

}  // namespace rialto::formats
