// Weights outside any model, and tensors that collect gradients.
#pragma once

#include <ATen/Functions.h>

#include "rialto/model/weights.h"

namespace rialto::model {

/// A weight outside any model.
inline Weight loose(const at::Tensor& values, bool frozen = false) {
  Weight weight;
  weight.param.name = "w";
  weight.data = values.clone().set_requires_grad(!frozen);
  weight.main_grad = at::zeros(values.sizes(), values.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  weight.frozen = frozen;
  return weight;
}
inline at::Tensor leaf(at::IntArrayRef shape, at::ScalarType type = at::kDouble) {
  return at::randn(shape, at::kDouble).to(type).set_requires_grad(true);
}
/// The same values with gradients of their own.
inline at::Tensor twin(const at::Tensor& x) { return x.detach().clone().set_requires_grad(true); }

}  // namespace rialto::model
