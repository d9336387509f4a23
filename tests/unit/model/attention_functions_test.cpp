// The Functions of attention alone, in fp64: gradients against recorded plain operations.
#include "leaves.h"
#include "rialto/model/attention/functions.h"
#include "rialto/model/pass.h"
#include "toy.h"

namespace rialto::model {
namespace {

TEST(Heads, GradientsEqualAutograd) {
  at::manual_seed(6);
  const int64_t tokens = 5, groups = 2, queries = 3, dim = 4;
  const at::Tensor angles = at::randn({tokens, dim / 2});
  const kernels::RopeTable rope{angles.cos(), angles.sin()};
  const at::Tensor x = leaf({tokens, groups * (queries + 2) * dim}), x2 = twin(x);
  const kernels::Heads fast = split_heads({}, x, groups, dim, rope),
                       plain = kernels::ref::split_heads(x2, groups, dim, rope, at::kDouble);
  const at::Tensor gq = at::randn(fast.q_TND.sizes(), at::kDouble), gk = at::randn(fast.k_TGD.sizes(), at::kDouble);
  ((fast.q_TND * gq).sum() + (fast.k_TGD * gk).sum() + fast.v_TGD.square().sum()).backward();
  ((plain.q_TND * gq).sum() + (plain.k_TGD * gk).sum() + plain.v_TGD.square().sum()).backward();
  expect_close(x.grad(), x2.grad(), 1e-12, "dqkv");
  const at::Tensor h = leaf({tokens, 3, dim}), h2 = twin(h);
  (rotate({}, h, rope) * gq.narrow(1, 0, 3)).sum().backward();
  (kernels::ref::rotate(h2, rope, false) * gq.narrow(1, 0, 3)).sum().backward();
  expect_close(h.grad(), h2.grad(), 1e-12, "rotate");
}

TEST(Attention, GradientsEqualAutograd) {
  at::manual_seed(7);
  const at::Tensor q = leaf({2, 9, 4, 8}), k = leaf({2, 9, 2, 8}), v = leaf({2, 9, 2, 8});
  const at::Tensor q2 = twin(q), k2 = twin(k), v2 = twin(v), g = at::randn({18, 32}, at::kDouble);
  const auto range = key_range(2, 9, {}, 4, at::kCPU);
  attention({}, q, k, v, range, {.scale = 0.4}).backward(g);
  const at::Tensor i = at::arange(9).unsqueeze(1), j = at::arange(9).unsqueeze(0);
  const at::Tensor hidden = at::logical_not(at::logical_and(j <= i, j > i - 4));
  const at::Tensor kk = k2.repeat_interleave(2, 2).transpose(1, 2), vv = v2.repeat_interleave(2, 2).transpose(1, 2);
  const at::Tensor s = (at::matmul(q2.transpose(1, 2), kk.transpose(2, 3)) * 0.4).masked_fill(hidden, -1e300);
  at::matmul(at::softmax(s, -1), vv).transpose(1, 2).reshape({18, 32}).backward(g);
  expect_close(q.grad(), q2.grad(), 1e-11, "dq");
  expect_close(k.grad(), k2.grad(), 1e-11, "dk");
  expect_close(v.grad(), v2.grad(), 1e-11, "dv");
}

/// Soft cap as Gemma 2 has it, sinks as GPT-OSS has them: a column more that is dropped after the softmax.
TEST(Attention, CapsSinksAndValueSizesEqualAutograd) {
  at::manual_seed(17);
  struct Options {
    std::optional<double> softcap;
    bool sinks;
    int64_t value_dim;
  };
  for (const auto& [softcap, sinks, value_dim] :
       {Options{1.3, false, 6}, Options{{}, true, 6}, Options{{}, false, 9}, Options{0.8, true, 4}}) {
    const at::Tensor q = leaf({2, 9, 4, 6}), k = leaf({2, 9, 2, 6}), v = leaf({2, 9, 2, value_dim});
    const Weight sink = loose(at::randn({4}, at::kDouble));
    const at::Tensor q2 = twin(q), k2 = twin(k), v2 = twin(v), sink2 = twin(sink.data);
    const at::Tensor g = at::randn({18, 4 * value_dim}, at::kDouble);
    const at::Tensor y = attention({}, q, k, v, key_range(2, 9, {}, 4, at::kCPU),
                                   {.scale = 0.4, .softcap = softcap, .sinks = sinks ? &sink : nullptr});
    y.backward(g);
    const at::Tensor i = at::arange(9).unsqueeze(1), j = at::arange(9).unsqueeze(0);
    const at::Tensor hidden = at::logical_not(at::logical_and(j <= i, j > i - 4));
    const at::Tensor kk = k2.repeat_interleave(2, 2).transpose(1, 2), vv = v2.repeat_interleave(2, 2).transpose(1, 2);
    at::Tensor s = at::matmul(q2.transpose(1, 2), kk.transpose(2, 3)) * 0.4;
    if (softcap) s = at::tanh(s / *softcap) * *softcap;
    s = s.masked_fill(hidden, -1e300);
    if (sinks) s = at::cat({s, sink2.view({1, 4, 1, 1}).expand({2, 4, 9, 1})}, -1);
    const at::Tensor p = at::softmax(s, -1).narrow(-1, 0, 9);
    const at::Tensor y2 = at::matmul(p, vv).transpose(1, 2).reshape({18, 4 * value_dim});
    y2.backward(g);
    expect_close(y, y2, 1e-12, "y");
    expect_close(q.grad(), q2.grad(), 1e-11, "dq");
    expect_close(k.grad(), k2.grad(), 1e-11, "dk");
    expect_close(v.grad(), v2.grad(), 1e-11, "dv");
    if (sinks) expect_close(sink.main_grad, sink2.grad(), 1e-11, "dsinks");
  }
}

TEST(Attention, FrozenSinkGetsNothing) {
  at::manual_seed(18);
  const Weight sink = loose(at::randn({2}, at::kDouble), true);
  const at::Tensor q = leaf({1, 5, 2, 4}), k = leaf({1, 5, 1, 4}), v = leaf({1, 5, 1, 4});
  attention({}, q, k, v, key_range(1, 5, {}, {}, at::kCPU), {.scale = 1, .softcap = {}, .sinks = &sink})
      .sum()
      .backward();
  EXPECT_EQ(sink.main_grad.abs().max().item<double>(), 0);
  EXPECT_GT(q.grad().abs().max().item<double>(), 0);
}

TEST(FullWidthNorm, GradientsEqualAutogradBothWays) {
  at::manual_seed(19);
  for (const bool zero_centered : {false, true}) {
    const Weight fused = loose(at::randn({24}, at::kDouble)), sharded = loose(fused.data.detach());
    const spec::Norm spec{.eps = 1e-3, .kind = spec::NormKind::kRms, .zero_centered = zero_centered, .bias = false};
    const at::Tensor x = leaf({7, 24}), x1 = twin(x), x2 = twin(x), w2 = twin(fused.data),
                     g = at::randn({7, 24}, at::kDouble);
    const at::Tensor y = full_width_norm({}, x, {.weight = &fused, .bias = nullptr, .spec = spec}, {});
    const at::Tensor y1 = sharded_norm({}, x1, {.weight = &sharded, .bias = nullptr, .spec = spec}, {});
    const at::Tensor y2 = x2 * at::rsqrt(x2.square().mean(-1, true) + 1e-3) * (zero_centered ? w2 + 1 : w2);
    y.backward(g);
    y1.backward(g);
    y2.backward(g);
    expect_close(y, y2, 1e-12, "fused");
    expect_close(y1, y2, 1e-12, "sharded");
    expect_close(x.grad(), x2.grad(), 1e-12, "fused dx");
    expect_close(x1.grad(), x2.grad(), 1e-12, "sharded dx");
    expect_close(fused.main_grad, w2.grad(), 1e-12, "fused dw");
    expect_close(sharded.main_grad, w2.grad(), 1e-12, "sharded dw");
  }
}

TEST(AddBias, GradientsEqualAutograd) {
  at::manual_seed(20);
  const Weight bias = loose(at::randn({5}, at::kDouble));
  const at::Tensor x = leaf({3, 5}), g = at::randn({3, 5}, at::kDouble);
  const at::Tensor y = add_bias({}, x, bias);
  expect_close(y, x + bias.data, 0, "y");
  y.backward(g);
  expect_close(x.grad(), g, 0, "dx");
  expect_close(bias.main_grad, g.sum(0), 1e-12, "db");
}

TEST(LatentFunctions, GradientsEqualAutograd) {
  at::manual_seed(21);
  const at::Tensor down = leaf({5, 11}), up = leaf({5, 3, 9}), down2 = twin(down), up2 = twin(up);
  const LatentParts parts = split_latent({}, down, 7);  // 7 latent channels, 4 of the key
  const ExpandedKeys keys = expand_keys({}, up, parts.key_T1R, 6);
  const at::Tensor latent2 = down2.narrow(1, 0, 7), key2 = down2.narrow(1, 7, 4).unsqueeze(1);
  const at::Tensor k2 = at::cat({up2.narrow(2, 0, 6), key2.expand({5, 3, 4})}, 2), v2 = up2.narrow(2, 6, 3);
  expect_close(keys.k_TND, k2, 0, "k");
  expect_close(keys.v_TNV, v2, 0, "v");
  expect_close(parts.latent_TC, latent2, 0, "latent");
  const at::Tensor gk = at::randn({5, 3, 10}, at::kDouble);
  ((keys.k_TND * gk).sum() + keys.v_TNV.square().sum() + parts.latent_TC.square().sum()).backward();
  ((k2 * gk).sum() + v2.square().sum() + latent2.square().sum()).backward();
  expect_close(down.grad(), down2.grad(), 1e-12, "ddown");
  expect_close(up.grad(), up2.grad(), 1e-12, "dup");
  const at::Tensor only = leaf({5, 11});  // one output unused
  split_latent({}, only, 7).key_T1R.sum().backward();
  expect_close(only.grad(), at::cat({at::zeros({5, 7}), at::ones({5, 4})}, 1), 0, "the key's part only");
}

TEST(ContextPlaces, AreAChunkFromBothEnds) {
  EXPECT_TRUE(at::equal(context_places(12, 0, 3), at::tensor({0, 1, 10, 11}, at::kLong)));
  EXPECT_TRUE(at::equal(context_places(12, 1, 3), at::tensor({2, 3, 8, 9}, at::kLong)));
  EXPECT_TRUE(at::equal(context_places(12, 2, 3), at::tensor({4, 5, 6, 7}, at::kLong)));
}

TEST(ContextPlaces, QueriesSeeTheKeysOfTheWholeRow) {
  const at::Tensor documents = at::tensor({0, 0, 0, 1, 1, 1, 1, 1}, at::kLong).view({1, 8});
  const at::Tensor places = context_places(8, 0, 2);
  Pass pass(1, 4, {.positions_BS = places.view({1, 4}), .documents_BS = documents}, {.part = {0, 2}, .sequence = 8});
  EXPECT_TRUE(at::equal(pass.range({}).first_BS, at::tensor({0, 0, 3, 3}, at::kInt).view({1, 4})));
  EXPECT_TRUE(at::equal(pass.range({}).last_BS, at::tensor({1, 2, 7, 8}, at::kInt).view({1, 4})));
  EXPECT_TRUE(at::equal(pass.range(2).first_BS, at::tensor({0, 0, 5, 6}, at::kInt).view({1, 4})));
}

}  // namespace
}  // namespace rialto::model
