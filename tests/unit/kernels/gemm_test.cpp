// The linear products against plain fp64 arithmetic, in every dtype combination a model uses.
#include "rialto/kernels/gemm.h"

#include "compare.h"

namespace rialto::kernels {
namespace {

TEST(Gemm, ProductsOfALinearLayer) {
  at::manual_seed(10);
  for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf, at::kDouble}) {
    const double tolerance = type == at::kBFloat16 ? 1e-2 : type == at::kHalf ? 1.2e-3 : 1e-5;
    const at::Tensor x = random({17, 12}, type), w = random({9, 12}, type), b = random({9}, type),
                     dy = random({17, 9}, type);
    const at::Tensor X = x.to(at::kDouble), W = w.to(at::kDouble), D = dy.to(at::kDouble);
    expect_close(gemm_forward(x, w, b, type), at::mm(X, W.t()) + b.to(at::kDouble), tolerance, "forward with bias");
    expect_close(gemm_forward(x, w, {}, type), at::mm(X, W.t()), tolerance, "forward");
    expect_close(gemm_grad_input(dy, w, type), at::mm(D, W), tolerance, "dx");
    const auto wide = type == at::kDouble ? at::kDouble : at::kFloat;
    at::Tensor dw = at::ones({9, 12}, wide), db = at::ones({9}, wide);
    gemm_grad_weight(dw, dy, x);
    bias_grad(db, dy);
    expect_close(dw, 1 + at::mm(D.t(), X), tolerance, "dw adds");
    expect_close(db, 1 + D.sum(0), tolerance, "db adds");
  }
}

TEST(Gemm, Bf16ResultIsOneRoundingAwayWithoutNativeInstructions) {
  if (cpu_has_bf16_gemm()) GTEST_SKIP() << "this CPU multiplies bf16 itself";
  const at::Tensor x = random({5, 300}, at::kBFloat16), w = random({6, 300}, at::kBFloat16);
  const at::Tensor exact = at::mm(x.to(at::kFloat), w.to(at::kFloat).t());
  EXPECT_TRUE(at::equal(gemm_forward(x, w, {}, at::kBFloat16), exact.to(at::kBFloat16)));
  EXPECT_TRUE(at::equal(gemm_forward(x, w, {}, at::kFloat), exact));
}

}  // namespace
}  // namespace rialto::kernels
