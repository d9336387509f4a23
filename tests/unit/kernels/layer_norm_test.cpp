// The CPU body of LayerNorm against the plain reference, and that against ATen's own.
#include "rialto/kernels/layer_norm.h"

#include <ATen/Parallel.h>

#include "compare.h"

namespace rialto::kernels {
namespace {

struct Case {
  int64_t rows, width;
  at::ScalarType type;
  bool delta, bias;
  double offset;
};
class LayerNorm : public testing::TestWithParam<Case> {};

TEST_P(LayerNorm, EqualsReference) {
  const auto [rows, width, type, with_delta, with_bias, offset] = GetParam();
  at::manual_seed(1);
  const auto maybe = [&](bool wanted, at::IntArrayRef shape) { return wanted ? random(shape, type) : at::Tensor(); };
  const at::Tensor x = random({rows, width}, type) + 3, w = random({width}, type), dy = random({rows, width}, type);
  const at::Tensor b = maybe(with_bias, {width}), delta = maybe(with_delta, {rows, width}),
                   dsum = maybe(with_delta, {rows, width});
  const auto fast = cpu::layer_norm_forward(x, delta, w, b, 1e-5, offset);
  const auto plain = ref::layer_norm_forward(x, delta, w, b, 1e-5, offset);
  expect_close(fast.sum, plain.sum, 0, "sum");
  expect_close(fast.y, plain.y, tolerance_of(type), "y");
  expect_close(fast.mean, plain.mean, 2e-6, "mean");
  expect_close(fast.rstd, plain.rstd, 2e-6, "rstd");
  const auto g = cpu::layer_norm_backward(dy, dsum, plain, w, true, offset);
  const auto h = ref::layer_norm_backward(dy, dsum, plain, w, true, offset);
  expect_close(g.dx, h.dx, tolerance_of(type), "dx");
  expect_close(g.dweight, h.dweight, 4e-6, "dweight");
  expect_close(g.dbias, h.dbias, 4e-6, "dbias");
  EXPECT_FALSE(cpu::layer_norm_backward(dy, dsum, plain, w, false, offset).dweight.defined());
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, LayerNorm,
    testing::Values(Case{3, 64, at::kFloat, false, true, 0}, Case{100, 33, at::kFloat, true, true, 1},
                    Case{65, 7, at::kFloat, true, false, 0}, Case{70, 128, at::kBFloat16, true, true, 1},
                    Case{1, 20, at::kBFloat16, false, true, 0}, Case{70, 33, at::kHalf, true, true, 1}));

TEST(LayerNorm, EqualsAten) {
  at::manual_seed(2);
  const at::Tensor x = at::randn({6, 10}, at::kDouble).set_requires_grad(true);
  const at::Tensor w = at::randn({10}, at::kDouble).set_requires_grad(true);
  const at::Tensor b = at::randn({10}, at::kDouble).set_requires_grad(true), g = at::randn({6, 10}, at::kDouble);
  const at::Tensor y = at::layer_norm(x, {10}, w + 1.0, b, 1e-4);
  y.backward(g);
  const auto out = layer_norm_forward(x.detach(), {}, w.detach(), b.detach(), 1e-4, 1);
  const auto grads = layer_norm_backward(g, {}, out, w.detach(), true, 1);
  expect_close(out.y, y.detach(), 1e-12, "y");
  expect_close(grads.dx, x.grad(), 1e-12, "dx");
  expect_close(grads.dweight, w.grad(), 1e-12, "dweight");
  expect_close(grads.dbias, b.grad(), 1e-12, "dbias");
}

TEST(LayerNorm, DoesNotDependOnThreads) {
  at::manual_seed(3);
  const at::Tensor x = random({200, 48}), w = random({48}), dy = random({200, 48});
  const auto run = [&](int threads) {
    at::set_num_threads(threads);
    return layer_norm_backward(dy, {}, layer_norm_forward(x, {}, w, {}, 1e-6), w, true);
  };
  const auto one = run(1), two = run(2);
  EXPECT_TRUE(at::equal(one.dweight, two.dweight));
  EXPECT_TRUE(at::equal(one.dbias, two.dbias));
  EXPECT_TRUE(at::equal(one.dx, two.dx));
}

}  // namespace
}  // namespace rialto::kernels
