// The function between the two products of a feed-forward block, on a fused row [gate | up] or on a plain row. fp32
// inside.
#pragma once

#include <ATen/core/Tensor.h>

#include <limits>

namespace rialto::kernels {

enum class ActivationKind : uint8_t {
  kSilu,      ///< x * sigmoid(x)
  kGeluTanh,  ///< x * (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2
  kRelu2,     ///< relu(x)^2
  kGptOss     ///< gate * sigmoid(1.702 gate) * (up + 1); gated only
};

struct Activation {
  ActivationKind kind = ActivationKind::kSilu;
  bool gated = true;  ///< act(gate) * up of [T,2F]; else act(x) of [T,F]
  /// Gate is cut to at most this and up to between its negative and it, before anything else; what is cut off gets no
  /// gradient. Gated only. Infinity: no limit.
  double clamp = std::numeric_limits<double>::infinity();
};

/// x [T,2F] (gated) or [T,F] -> [T,F], same dtype.
at::Tensor activation_forward(const at::Tensor& x, const Activation& activation);
/// dy [T,F], x as above -> dx as x.
at::Tensor activation_backward(const at::Tensor& dy, const at::Tensor& x, const Activation& activation);

namespace ref {
at::Tensor activation_forward(const at::Tensor& x, const Activation& activation);
at::Tensor activation_backward(const at::Tensor& dy, const at::Tensor& x, const Activation& activation);
}  // namespace ref
namespace cpu {
at::Tensor activation_forward(const at::Tensor& x, const Activation& activation);
at::Tensor activation_backward(const at::Tensor& dy, const at::Tensor& x, const Activation& activation);
}  // namespace cpu

}  // namespace rialto::kernels
