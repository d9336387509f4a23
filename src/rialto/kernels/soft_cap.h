// The soft cap of logits (Gemma 2).
#pragma once

#include <ATen/core/Tensor.h>

namespace rialto::kernels {

/// x becomes cap * tanh(x / cap), in place; x contiguous. Returns the derivative 1 - tanh^2 when wanted, else nothing.
at::Tensor soft_cap(at::Tensor x, double cap, bool want_slope);

namespace ref {
at::Tensor soft_cap(at::Tensor x, double cap, bool want_slope);
}  // namespace ref
namespace cpu {
at::Tensor soft_cap(at::Tensor x, double cap, bool want_slope);
}  // namespace cpu

}  // namespace rialto::kernels
