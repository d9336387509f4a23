// Muon: momentum whose matrices are orthogonalised before they are a step.
#pragma once

#include <ATen/core/Tensor.h>

#include "rialto/optim/options.h"
#include "rialto/spec/param.h"

namespace rialto::optim {

/// Newton-Schulz iteration towards U V^T of x = U S V^T, x [rows, columns] fp32: x is divided by its Frobenius norm,
/// then X = a X + (b A + c A A) X with A = X X^T, on the smaller side, five coefficient sets in turn
/// (modded-nanogpt's). `bf16_products` rounds X to bf16 first and computes in it. Source: NVIDIA emerging-optimizers,
/// newton_schulz.
at::Tensor orthogonalize(const at::Tensor& x, int64_t num_steps, bool bf16_products);

/// What options.scale makes of a matrix's size, times the extra factor.
double muon_scale(int64_t rows, int64_t columns, const MuonOptions& options);

struct MuonStep {
  double lr = 0, weight_decay = 0, grad_scale = 1;
};
/// main = main (1 - lr wd); m = lerp(m, g, 1 - momentum); main -= lr * scale * orthogonalize(m), with nesterov of
/// lerp(g, m, momentum). All fp32 [rows, columns], main and momentum changed in place. `qkv_view`: of a fused
/// QKV weight [G, H/G + 2, d, h], else empty; with split_qkv all queries, all keys, all values are three matrices.
void muon_update(at::Tensor main, at::Tensor momentum, const at::Tensor& grad, const Shape& qkv_view,
                 const MuonOptions& options, const MuonStep& step);

}  // namespace rialto::optim
