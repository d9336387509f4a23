// The CPU body of RMSNorm against the plain reference.
#include "rialto/kernels/rms_norm.h"

#include <ATen/Parallel.h>

#include "compare.h"

namespace rialto::kernels {
namespace {

struct Case {
  int64_t rows, width;
  at::ScalarType type;
  bool delta;
  double offset = 0;
};
class RmsNorm : public testing::TestWithParam<Case> {};

TEST_P(RmsNorm, EqualsReference) {
  const auto [rows, width, type, with_delta, offset] = GetParam();
  at::manual_seed(1);
  const at::Tensor x = random({rows, width}, type), w = random({width}, type), dy = random({rows, width}, type);
  const at::Tensor delta = with_delta ? random({rows, width}, type) : at::Tensor();
  const at::Tensor dsum = with_delta ? random({rows, width}, type) : at::Tensor();
  const auto fast = cpu::rms_norm_forward(x, delta, w, 1e-5, offset),
             plain = ref::rms_norm_forward(x, delta, w, 1e-5, offset);
  expect_close(fast.sum, plain.sum, 0, "sum");
  expect_close(fast.y, plain.y, tolerance_of(type), "y");
  expect_close(fast.rstd, plain.rstd, 2e-6, "rstd");
  const auto g = cpu::rms_norm_backward(dy, dsum, plain.sum, plain.rstd, w, true, offset);
  const auto h = ref::rms_norm_backward(dy, dsum, plain.sum, plain.rstd, w, true, offset);
  expect_close(g.dx, h.dx, tolerance_of(type), "dx");
  expect_close(g.dweight, h.dweight, 2e-6, "dweight");
  EXPECT_FALSE(cpu::rms_norm_backward(dy, dsum, plain.sum, plain.rstd, w, false).dweight.defined());
}

INSTANTIATE_TEST_SUITE_P(Shapes, RmsNorm,
                         testing::Values(Case{3, 64, at::kFloat, false}, Case{100, 33, at::kFloat, true},
                                         Case{65, 7, at::kFloat, true}, Case{70, 128, at::kBFloat16, true},
                                         Case{1, 20, at::kBFloat16, false}, Case{70, 33, at::kFloat, true, 1},
                                         Case{9, 40, at::kBFloat16, false, 1}, Case{70, 33, at::kHalf, true, 1}));

TEST(RmsNorm, ZeroCentredWeightsAreMovedInFp32) {
  at::manual_seed(5);
  // 1 + 2^-10 does not exist in bf16: adding in the weights' type would lose it.
  const at::Tensor x = random({3, 16}, at::kBFloat16), w = at::full({16}, 1.0 / 1024, at::kBFloat16);
  const at::Tensor wide = x.to(at::kFloat), normed = wide * at::rsqrt(wide.square().mean(-1, true) + 1e-6);
  EXPECT_TRUE(at::equal(rms_norm_forward(x, {}, w, 1e-6, 1).y, (normed * (1 + w.to(at::kFloat))).to(at::kBFloat16)));
}

TEST(RmsNorm, DoesNotDependOnThreads) {
  at::manual_seed(2);
  const at::Tensor x = random({200, 48}), w = random({48}), dy = random({200, 48});
  const auto run = [&](int threads) {
    at::set_num_threads(threads);
    const auto y = rms_norm_forward(x, {}, w, 1e-6);
    return rms_norm_backward(dy, {}, x, y.rstd, w, true);
  };
  const auto one = run(1), two = run(2);
  EXPECT_TRUE(at::equal(one.dweight, two.dweight));
  EXPECT_TRUE(at::equal(one.dx, two.dx));
}

}  // namespace
}  // namespace rialto::kernels
