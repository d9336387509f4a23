// Activations in plain ATen operations, and the choice of body.
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <cmath>
#include <numbers>

#include "rialto/base/error.h"
#include "rialto/kernels/activation.h"
#include "rialto/kernels/dispatch.h"

namespace rialto::kernels {
namespace {

constexpr double kGptOssSlope = 1.702, kGeluCube = 0.044715;

void check(const Activation& activation) {
  const bool limited = std::isfinite(activation.clamp);
  if (!activation.gated && (limited || activation.kind == ActivationKind::kGptOss))
    throw Error(ErrorKind::kConfig, "activation", "an activation that needs a gate on a block without one");
}

/// act(x) and act'(x) of one tensor.
struct Value {
  at::Tensor y, slope;
};

Value act(ActivationKind kind, const at::Tensor& x) {
  switch (kind) {
    case ActivationKind::kSilu: {
      const at::Tensor s = at::sigmoid(x);
      return {x * s, s * (1 + x * (1 - s))};
    }
    case ActivationKind::kGptOss: {
      const at::Tensor s = at::sigmoid(x * kGptOssSlope);
      return {x * s, s * (1 + x * kGptOssSlope * (1 - s))};
    }
    case ActivationKind::kGeluTanh: {
      const double scale = std::sqrt(2 / std::numbers::pi);
      const at::Tensor t = at::tanh(scale * (x + kGeluCube * x * x * x));
      return {x * (1 + t) / 2, (1 + t) / 2 + x * (1 - t * t) / 2 * scale * (1 + 3 * kGeluCube * x * x)};
    }
    case ActivationKind::kRelu2: {
      const at::Tensor positive = at::relu(x);
      return {positive * positive, 2 * positive};
    }
  }
  throw Error(ErrorKind::kInternal, "activation", "unknown kind");
}

}  // namespace

at::Tensor ref::activation_forward(const at::Tensor& x, const Activation& activation) {
  const at::Tensor wide = x.to(wide_type(x));
  if (!activation.gated) return act(activation.kind, wide).y.to(x.scalar_type());
  const auto parts = wide.chunk(2, -1);
  const double limit = activation.clamp, shift = activation.kind == ActivationKind::kGptOss ? 1 : 0;
  const at::Tensor gate = at::clamp_max(parts[0], limit), up = at::clamp(parts[1], -limit, limit);
  return (act(activation.kind, gate).y * (up + shift)).to(x.scalar_type());
}

at::Tensor ref::activation_backward(const at::Tensor& dy, const at::Tensor& x, const Activation& activation) {
  const at::Tensor wide = x.to(wide_type(x)), g = dy.to(wide.scalar_type());
  if (!activation.gated) return (g * act(activation.kind, wide).slope).to(x.scalar_type());
  const auto parts = wide.chunk(2, -1);
  const double limit = activation.clamp, shift = activation.kind == ActivationKind::kGptOss ? 1 : 0;
  const at::Tensor gate = at::clamp_max(parts[0], limit), up = at::clamp(parts[1], -limit, limit);
  const Value value = act(activation.kind, gate);
  const at::Tensor dgate = g * (up + shift) * value.slope * (parts[0] <= limit);
  const at::Tensor dup = g * value.y * (parts[1].abs() <= limit);
  return at::cat({dgate, dup}, -1).to(x.scalar_type());
}

at::Tensor activation_forward(const at::Tensor& x, const Activation& activation) {
  check(activation);
  return x.is_cpu() && is_narrow(x) ? cpu::activation_forward(x, activation) : ref::activation_forward(x, activation);
}

at::Tensor activation_backward(const at::Tensor& dy, const at::Tensor& x, const Activation& activation) {
  check(activation);
  return x.is_cpu() && is_narrow(x) ? cpu::activation_backward(dy.contiguous(), x, activation)
                                    : ref::activation_backward(dy, x, activation);
}

}  // namespace rialto::kernels
