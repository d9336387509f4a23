// The products of a linear layer through ATen, choosing the operands' dtype for this machine.
#include "rialto/kernels/gemm.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>

#include "rialto/kernels/dispatch.h"

namespace rialto::kernels {
namespace {

constexpr int64_t kProductElements = 4 << 20;

}  // namespace

bool cpu_has_bf16_gemm() {
#if defined(__x86_64__)
  static const bool has = __builtin_cpu_supports("avx512bf16") != 0;
  return has;
#else
  return false;
#endif
}

at::Tensor gemm_operand(const at::Tensor& x) {
  if (!x.is_cpu()) return x;
  const bool widen = x.scalar_type() == at::kHalf || (x.scalar_type() == at::kBFloat16 && !cpu_has_bf16_gemm());
  return widen ? x.to(at::kFloat) : x;
}

at::Tensor gemm_forward(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias, at::ScalarType out,
                        const GemmRecipe& recipe) {
  if (recipe.is_fp8()) {
    at::Tensor y = fp8_product(x, Operand::kInput, w, Operand::kWeight, recipe);
    if (bias.defined()) y.add_(bias);
    return y.to(out);
  }
  const at::Tensor a = gemm_operand(x), b = gemm_operand(w).to(a.scalar_type());
  const at::Tensor y = bias.defined() ? at::addmm(bias.to(a.scalar_type()), a, b.t()) : at::mm(a, b.t());
  return y.to(out);
}

void gemm_forward_out(at::Tensor y, const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias,
                      const GemmRecipe& recipe) {
  const at::Tensor a = gemm_operand(x);
  if (recipe.is_fp8() || y.scalar_type() != a.scalar_type()) {
    y.copy_(gemm_forward(a, w, bias, a.scalar_type(), recipe));
    return;
  }
  const at::Tensor b = gemm_operand(w).to(a.scalar_type());
  if (bias.defined()) {
    at::addmm_out(y, bias.to(a.scalar_type()), a, b.t());
  } else {
    at::mm_out(y, a, b.t());
  }
}

at::Tensor gemm_grad_input(const at::Tensor& dy, const at::Tensor& w, at::ScalarType out, const GemmRecipe& recipe) {
  if (recipe.is_fp8()) return fp8_product(dy, Operand::kGradient, w.t(), Operand::kWeight, recipe).to(out);
  const at::Tensor b = gemm_operand(w);
  return at::mm(dy.to(b.scalar_type()), b).to(out);
}

void gemm_grad_input_out(at::Tensor dx, const at::Tensor& dy, const at::Tensor& w, const GemmRecipe& recipe) {
  if (recipe.is_fp8()) {
    dx.copy_(gemm_grad_input(dy, w, at::kFloat, recipe));
    return;
  }
  const at::Tensor b = gemm_operand(w);
  if (dx.scalar_type() == b.scalar_type()) {
    at::mm_out(dx, dy.to(b.scalar_type()), b);
  } else {
    dx.copy_(at::mm(dy.to(b.scalar_type()), b));
  }
}

void gemm_grad_weight(at::Tensor sum, const at::Tensor& dy, const at::Tensor& x, const GemmRecipe& recipe) {
  if (recipe.is_fp8() && recipe.fp8_wgrad) {
    sum.add_(fp8_product(dy.t(), Operand::kGradient, x.t(), Operand::kInput, recipe));
    return;
  }
  const at::Tensor a = gemm_operand(dy).t();
  const at::Tensor b = gemm_operand(x).to(a.scalar_type());
  if (a.scalar_type() == sum.scalar_type()) {
    at::addmm_out(sum, sum, a, b);
  } else if (a.is_cuda()) {
    at::addmm_out(sum, sum, a, b, sum.scalar_type());  // bf16 operands, fp32 sum
  } else {
    // By rows: the rounded product of a whole vocabulary is not there at once.
    const int64_t rows = std::max<int64_t>(1, kProductElements / std::max<int64_t>(1, b.size(1)));
    for (int64_t first = 0; first < a.size(0); first += rows) {
      const int64_t count = std::min(rows, a.size(0) - first);
      sum.narrow(0, first, count).add_(at::mm(a.narrow(0, first, count), b));
    }
  }
}

void bias_grad(at::Tensor sum, const at::Tensor& dy) { sum.add_(at::sum(dy, {0}, false, sum.scalar_type())); }

}  // namespace rialto::kernels
