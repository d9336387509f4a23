// Between LibTorch tensors and the byte world left of the torch line.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <span>

#include "rialto/base/dtype.h"

namespace rialto::checkpoint {

/// Throws kInternal for element types that no checkpoint of ours holds.
DType dtype_of(at::ScalarType type);
at::ScalarType scalar_type_of(DType dtype);

/// Pushes the elements of a contiguous tensor front to back, in pieces of at most 16 MB; from a GPU through one host
/// buffer.
void push_bytes(const at::Tensor& tensor, const std::function<void(std::span<const std::byte>)>& sink);

/// Calls `fill` with the host bytes of a contiguous tensor; for a GPU tensor a host copy that is moved over afterwards.
void fill_bytes(const at::Tensor& tensor, const std::function<void(std::span<std::byte>)>& fill);

}  // namespace rialto::checkpoint
