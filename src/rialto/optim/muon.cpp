// Newton-Schulz and the update around it, in ATen operations.
#include "rialto/optim/muon.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace rialto::optim {
namespace {

/// Source of the numbers: KellerJordan/modded-nanogpt; emerging-optimizers calls the set "quintic".
constexpr std::array<std::array<double, 3>, 5> kCoefficients = {{{4.0848, -6.8946, 2.9270},
                                                                 {3.9505, -6.3029, 2.6377},
                                                                 {3.7418, -5.5913, 2.3037},
                                                                 {2.8769, -3.1427, 1.2046},
                                                                 {2.8366, -3.0525, 1.2012}}};

at::Tensor scaled_direction(const at::Tensor& x, const MuonOptions& options) {
  return orthogonalize(x, options.num_ns_steps, options.bf16_products) * muon_scale(x.size(0), x.size(1), options);
}

/// Queries, keys and values of all groups as matrices of their own.
at::Tensor split_direction(const at::Tensor& x, const Shape& view, const MuonOptions& options) {
  const int64_t groups = view[0], heads = view[1], head_size = view[2], columns = view[3];
  const at::Tensor grouped = x.view({groups, heads, head_size, columns});
  at::Tensor out = at::empty_like(grouped);
  const std::array<std::array<int64_t, 2>, 3> parts = {{{0, heads - 2}, {heads - 2, 1}, {heads - 1, 1}}};
  for (const auto& [first, count] : parts) {
    const at::Tensor part = grouped.narrow(1, first, count);
    const at::Tensor matrix = part.reshape({groups * count * head_size, columns});
    out.narrow(1, first, count).copy_(scaled_direction(matrix, options).view(part.sizes()));
  }
  return out.view(x.sizes());
}

}  // namespace

at::Tensor orthogonalize(const at::Tensor& x, int64_t num_steps, bool bf16_products) {
  const bool tall = x.size(0) > x.size(1);
  const double norm = std::sqrt(x.square().sum(at::kDouble).item<double>());
  at::Tensor y = (tall ? x.t() : x) / std::max(norm, 1e-7);
  if (bf16_products) y = y.to(at::kBFloat16);
  for (int64_t i = 0; i < num_steps; ++i) {
    const auto& [a, b, c] = kCoefficients[static_cast<size_t>(i) % kCoefficients.size()];
    const at::Tensor square = at::mm(y, y.t());
    const at::Tensor polynomial = at::addmm(square, square, square, b, c);
    y = at::addmm(y, polynomial, y, a, 1.0);
  }
  y = y.to(at::kFloat);
  return tall ? y.t() : y;
}

double muon_scale(int64_t rows, int64_t columns, const MuonOptions& options) {
  const auto m = static_cast<double>(rows), n = static_cast<double>(columns);
  double square = 1;
  switch (options.scale) {
    case MuonScale::kShapeScaling:
      square = std::max(1.0, m / n);
      break;
    case MuonScale::kSpectral:
      square = std::max(m, n);
      break;
    case MuonScale::kUnitRmsNorm:
      square = m / n;
      break;
  }
  return std::sqrt(square) * options.extra_scale_factor;
}

void muon_update(at::Tensor main, at::Tensor momentum, const at::Tensor& grad, const Shape& qkv_view,
                 const MuonOptions& options, const MuonStep& step) {
  const at::Tensor g = grad * step.grad_scale;
  main.mul_(1 - step.lr * step.weight_decay);
  momentum.lerp_(g, 1 - options.momentum);
  const at::Tensor x = options.nesterov ? g.lerp(momentum, options.momentum) : momentum;
  const bool fused = options.split_qkv && !qkv_view.empty();
  main.add_(fused ? split_direction(x, qkv_view, options) : scaled_direction(x, options), -step.lr);
}

}  // namespace rialto::optim
