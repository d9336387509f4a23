// Norms of every kind as Functions: gradients of input, residual, weight and bias against autograd.
#include "leaves.h"
#include "rialto/model/functions.h"
#include "toy.h"

namespace rialto::model {
namespace {

TEST(Norm, EveryKindEqualsAutograd) {
  at::manual_seed(1);
  for (const auto kind : {spec::NormKind::kRms, spec::NormKind::kLayer}) {
    for (const bool zero_centered : {false, true}) {
      for (const bool with_delta : {false, true}) {
        const bool biased = kind == spec::NormKind::kLayer;
        const Weight w = loose(at::randn({6}, at::kDouble)), b = loose(at::randn({6}, at::kDouble));
        const Norm norm{.weight = &w,
                        .bias = biased ? &b : nullptr,
                        .spec = {.eps = 1e-3, .kind = kind, .zero_centered = zero_centered, .bias = biased}};
        const at::Tensor x = leaf({4, 6}), d = leaf({4, 6}), x2 = twin(x), d2 = twin(d), w2 = twin(w.data),
                         b2 = twin(b.data);
        const NormOutput out = add_norm({}, x, with_delta ? d : at::Tensor(), norm);
        const at::Tensor s2 = with_delta ? x2 + d2 : x2, scale = zero_centered ? w2 + 1 : w2;
        const at::Tensor y2 = biased ? at::layer_norm(s2, {6}, scale, b2, 1e-3)
                                     : s2 * at::rsqrt(s2.square().mean(-1, true) + 1e-3) * scale;
        expect_close(out.y, y2, 1e-12, "y");
        expect_close(out.sum, s2, 1e-12, "sum");
        (out.y.square().sum() + (out.sum * 3).sum()).backward();
        (y2.square().sum() + (s2 * 3).sum()).backward();
        expect_close(x.grad(), x2.grad(), 1e-11, "dx");
        if (with_delta) expect_close(d.grad(), d2.grad(), 1e-11, "ddelta");
        expect_close(w.main_grad, w2.grad(), 1e-11, "dw");
        if (biased) expect_close(b.main_grad, b2.grad(), 1e-11, "db");
      }
    }
  }
}

TEST(Norm, FrozenWeightLeavesTheBiasItsGradient) {
  at::manual_seed(2);
  const Weight w = loose(at::randn({6}), true), b = loose(at::randn({6}));
  const Norm norm{.weight = &w, .bias = &b, .spec = {.kind = spec::NormKind::kLayer, .bias = true}};
  add_norm({}, leaf({4, 6}, at::kFloat), {}, norm).y.sum().backward();
  expect_close(b.main_grad, at::full({6}, 4), 1e-6, "db");
  EXPECT_EQ(w.main_grad.abs().max().item<float>(), 0);
}

}  // namespace
}  // namespace rialto::model
