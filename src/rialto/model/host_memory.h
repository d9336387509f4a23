// Tensors that wait in host memory between the forward and the backward pass.
#pragma once

#include "rialto/model/tape.h"

namespace rialto::model {

/// A copy in host memory; take() brings it back to the tensor's device. From a GPU: pinned memory, copied on a stream
/// of its own while the forward pass goes on. On the CPU it is a copy into other memory: the same code, nothing gained.
std::unique_ptr<Kept> keep_on_host(const at::Tensor& tensor);

}  // namespace rialto::model
