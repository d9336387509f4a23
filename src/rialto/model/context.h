// Device and dtype of a model: the one place they come from.
#pragma once

#include <ATen/core/Tensor.h>

namespace rialto::model {

struct Context {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;  ///< of weights and activations
};

}  // namespace rialto::model
