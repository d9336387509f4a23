// Comparing a fast body with its reference.
#pragma once

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <gtest/gtest.h>

namespace rialto::kernels {

/// max|a - b| <= tolerance * max(1, max|b|), in fp64; shapes and finiteness too.
inline void expect_close(const at::Tensor& a, const at::Tensor& b, double tolerance, const char* what = "") {
  ASSERT_EQ(a.sizes(), b.sizes()) << what;
  if (b.numel() == 0) return;
  const at::Tensor x = a.to(at::kDouble), y = b.to(at::kDouble);
  ASSERT_TRUE(at::isfinite(x).all().item<bool>()) << what;
  const double bound = tolerance * std::max(1.0, y.abs().max().item<double>());
  EXPECT_LE((x - y).abs().max().item<double>(), bound) << what;
}

inline at::Tensor random(at::IntArrayRef shape, at::ScalarType type = at::kFloat) {
  return at::randn(shape, at::kFloat).to(type);
}

/// Rounding of a result to the dtype.
inline double tolerance_of(at::ScalarType type) {
  return type == at::kBFloat16 ? 1e-2 : type == at::kHalf ? 1.2e-3 : 2e-6;
}

}  // namespace rialto::kernels
