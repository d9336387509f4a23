// Blocked attention against the plain reference: windows, documents, caches, ragged lengths, both dtypes.
#include "rialto/kernels/attention.h"

#include <ATen/Parallel.h>

#include <limits>

#include "compare.h"
#include "rialto/base/error.h"
#include "rialto/kernels/attention_merge.h"

namespace rialto::kernels {
namespace {

/// Query i of K - S + i sees the `window` keys before and itself, but nothing before its document.
KeyRange make_range(int64_t rows, int64_t queries, int64_t keys, int64_t window, int64_t document) {
  at::Tensor first = at::empty({rows, queries}, at::kInt), last = at::empty({rows, queries}, at::kInt);
  for (int64_t b = 0; b < rows; ++b) {
    for (int64_t i = 0; i < queries; ++i) {
      const int64_t at = keys - queries + i;
      const int64_t start = document ? (at + b) / document * document - b : 0;  // each row packed differently
      first[b][i] = std::max({int64_t{0}, start, window ? at - window + 1 : 0});
      last[b][i] = at + 1;
    }
  }
  return {first, last};
}

struct Case {
  int64_t rows, queries, keys, groups, per_group, dim, window, document;
  int64_t value_dim = 0;  ///< 0: as dim
  double softcap = 0;
  bool sinks = false;
};
class Attention : public testing::TestWithParam<Case> {};

TEST_P(Attention, EqualsReference) {
  const Case c = GetParam();
  const int64_t value_dim = c.value_dim ? c.value_dim : c.dim, heads = c.groups * c.per_group;
  at::manual_seed(7);
  for (const auto type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    const double tolerance = type == at::kFloat ? 3e-6 : 1.6e-2;
    const at::Tensor q = random({c.rows, c.queries, heads, c.dim}, type);
    const at::Tensor k = random({c.rows, c.keys, c.groups, c.dim}, type);
    const at::Tensor v = random({c.rows, c.groups, c.keys, value_dim}, type).transpose(1, 2);  // as a cache lies
    const at::Tensor dout = random({c.rows, c.queries, heads, value_dim}, type);
    const KeyRange range = make_range(c.rows, c.queries, c.keys, c.window, c.document);
    const Scoring scoring{0.3, c.softcap, c.sinks ? random({heads}, type) * 2 : at::Tensor()};
    const auto fast = cpu::attention_forward(q, k, v, range, scoring),
               plain = ref::attention_forward(q, k, v, range, scoring);
    expect_close(fast.out_BSNV, plain.out_BSNV, tolerance, "out");
    expect_close(fast.lse_BNS, plain.lse_BNS, 3e-6, "lse");
    const auto g = cpu::attention_backward(dout, q, k, v, plain, range, scoring);
    const auto h = ref::attention_backward(dout, q, k, v, plain, range, scoring);
    // dq and dk come from differences of products over `dim` channels, which cancel to zero where a query sees one key
    // only: what is left there is the rounding of the products, about sqrt(dim) in size, not of the result.
    const double cancelled = tolerance * std::sqrt(static_cast<double>(c.dim));
    expect_close(g.dq_BSND, h.dq_BSND, c.window == 1 ? cancelled : tolerance, "dq");
    expect_close(g.dk_BKGD, h.dk_BKGD, c.window == 1 ? cancelled : tolerance, "dk");
    expect_close(g.dv_BKGV, h.dv_BKGV, tolerance, "dv");
    ASSERT_EQ(g.dsinks_N.defined(), c.sinks);
    if (c.sinks) expect_close(g.dsinks_N, h.dsinks_N, tolerance, "dsinks");
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Attention,
                         testing::Values(Case{2, 96, 96, 2, 2, 32, 0, 0}, Case{1, 7, 7, 1, 1, 8, 0, 0},
                                         Case{2, 131, 131, 2, 3, 24, 0, 0}, Case{1, 150, 150, 1, 2, 64, 20, 0},
                                         Case{2, 150, 150, 2, 1, 16, 0, 37}, Case{2, 100, 100, 1, 7, 16, 60, 45},
                                         Case{1, 10, 120, 2, 2, 16, 0, 0}, Case{3, 1, 77, 2, 4, 32, 0, 0},
                                         Case{1, 1, 90, 2, 1, 16, 30, 0}, Case{1, 49, 49, 1, 1, 128, 1, 0}));
INSTANTIATE_TEST_SUITE_P(OddHeads, Attention,
                         testing::Values(Case{2, 60, 60, 2, 2, 6, 0, 0}, Case{1, 50, 50, 1, 3, 20, 9, 0},
                                         Case{2, 1, 70, 2, 2, 13, 0, 0}, Case{1, 5, 5, 1, 1, 1, 0, 0}));
INSTANTIATE_TEST_SUITE_P(ValueSize, Attention,
                         testing::Values(Case{2, 100, 100, 3, 1, 24, 0, 0, 16}, Case{1, 60, 60, 1, 4, 12, 0, 0, 40},
                                         Case{2, 1, 55, 1, 4, 40, 0, 0, 30}, Case{1, 70, 70, 2, 2, 19, 0, 21, 5}));
INSTANTIATE_TEST_SUITE_P(Softcap, Attention,
                         testing::Values(Case{2, 96, 96, 2, 2, 32, 0, 0, 0, 1.5},
                                         Case{1, 60, 60, 1, 2, 16, 10, 0, 0, 50},
                                         Case{2, 1, 61, 2, 2, 16, 0, 0, 0, 0.7}));
INSTANTIATE_TEST_SUITE_P(Sinks, Attention,
                         testing::Values(Case{2, 131, 131, 2, 3, 24, 0, 0, 0, 0, true},
                                         Case{1, 60, 60, 1, 2, 16, 1, 0, 0, 0, true},
                                         Case{3, 1, 77, 2, 4, 32, 0, 0, 0, 0, true},
                                         Case{2, 70, 70, 2, 2, 10, 30, 0, 14, 2.0, true}));

TEST(Attention, RefusesWhatDoesNotFit) {
  const at::Tensor q = random({1, 4, 6, 8}), k = random({1, 4, 4, 8}), wide = random({1, 4, 2, 9}),
                   v = random({1, 4, 2, 8});
  const KeyRange range = make_range(1, 4, 4, 0, 0);
  EXPECT_THROW(attention_forward(q, k, k, range, {}), Error) << "4 groups of 6 heads";
  EXPECT_THROW(attention_forward(q, wide, v, range, {}), Error) << "another head size";
  EXPECT_THROW(attention_forward(q, v, v, range, {.sinks_N = at::zeros({2})}), Error) << "a sink per group";
}

TEST(Attention, DoesNotDependOnThreads) {
  at::manual_seed(8);
  const at::Tensor q = random({1, 200, 4, 16}), k = random({1, 200, 2, 16}), v = random({1, 200, 2, 16});
  const KeyRange range = make_range(1, 200, 200, 0, 0);
  const Scoring scoring{0.25, 3, random({4})};
  at::set_num_threads(1);
  const auto one = attention_forward(q, k, v, range, scoring);
  const auto grads_one = attention_backward(q, q, k, v, one, range, scoring);
  at::set_num_threads(2);
  const auto two = attention_forward(q, k, v, range, scoring);
  const auto grads_two = attention_backward(q, q, k, v, one, range, scoring);
  EXPECT_TRUE(at::equal(one.out_BSNV, two.out_BSNV));
  EXPECT_TRUE(at::equal(grads_one.dk_BKGD, grads_two.dk_BKGD));
  EXPECT_TRUE(at::equal(grads_one.dq_BSND, grads_two.dq_BSND));
  EXPECT_TRUE(at::equal(grads_one.dsinks_N, grads_two.dsinks_N));
}

TEST(Attention, ExtremeScoresStayFinite) {
  const at::Tensor q = at::full({1, 60, 1, 8}, 40.0F), k = random({1, 60, 1, 8}) * 40, v = random({1, 60, 1, 8});
  const KeyRange range = make_range(1, 60, 60, 0, 0);
  const auto fast = cpu::attention_forward(q, k, v, range, {}), plain = ref::attention_forward(q, k, v, range, {});
  expect_close(fast.out_BSNV, plain.out_BSNV, 1e-3);
  expect_close(cpu::attention_backward(q, q, k, v, plain, range, {}).dv_BKGV,
               ref::attention_backward(q, q, k, v, plain, range, {}).dv_BKGV, 1e-2);
}

/// Of other ranks' keys a query may see none: it gets nothing and gives nothing, beside others and alone.
TEST(Attention, QueriesThatSeeNothing) {
  at::manual_seed(10);
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    for (const int64_t queries : {1, 70}) {
      for (const bool sinks : {false, true}) {
        const at::Tensor q = random({2, queries, 4, 8}, type), k = random({2, 60, 2, 8}, type),
                         v = random({2, 60, 2, 8}, type), dout = random({2, queries, 4, 8}, type);
        at::Tensor first = at::full({2, queries}, 7, at::kInt), last = at::full({2, queries}, 55, at::kInt);
        last[1].fill_(7);  // the second row sees nothing, of the first only some do
        if (queries > 1) last[0].narrow(0, 3, 50).fill_(7);
        const Scoring scoring{.scale = 0.3, .softcap = 2, .sinks_N = sinks ? random({4}) : at::Tensor()};
        const auto fast = cpu::attention_forward(q, k, v, {first, last}, scoring),
                   plain = ref::attention_forward(q, k, v, {first, last}, scoring);
        const double tolerance = type == at::kFloat ? 3e-6 : 1.6e-2;
        expect_close(fast.out_BSNV, plain.out_BSNV, tolerance, "out");
        EXPECT_EQ(fast.out_BSNV[1].abs().max().item<double>(), 0);
        EXPECT_TRUE(at::allclose(fast.lse_BNS, plain.lse_BNS.to(at::kFloat), 1e-5, 1e-5));
        EXPECT_EQ(at::isneginf(fast.lse_BNS[1]).all().item<bool>(), !sinks);
        const auto g = cpu::attention_backward(dout, q, k, v, plain, {first, last}, scoring),
                   h = ref::attention_backward(dout, q, k, v, plain, {first, last}, scoring);
        expect_close(g.dq_BSND, h.dq_BSND, tolerance, "dq");
        expect_close(g.dk_BKGD, h.dk_BKGD, tolerance, "dk");
        expect_close(g.dv_BKGV, h.dv_BKGV, tolerance, "dv");
        EXPECT_EQ(g.dq_BSND[1].abs().max().item<double>(), 0);
        EXPECT_EQ(g.dk_BKGD[1].abs().max().item<double>(), 0);
      }
    }
  }
}

/// Keys in three parts, of which some queries see nothing, are the keys at once.
TEST(Attention, PartsOfTheKeysAreMerged) {
  at::manual_seed(11);
  for (const auto type : {at::kFloat, at::kBFloat16, at::kDouble}) {
    const at::Tensor q = random({2, 90, 4, 8}, type), k = random({2, 90, 2, 8}, type), v = random({2, 90, 2, 6}, type);
    const KeyRange range = make_range(2, 90, 90, 40, 0);
    const Scoring scoring{.scale = 0.9, .sinks_N = random({4}, type)};
    const AttentionOutput want = attention_forward(q, k, v, range, scoring);
    for (const bool fast : {true, false}) {
      if (fast && type == at::kDouble) continue;
      AttentionOutput all;
      for (const int64_t from : {60, 30, 0}) {
        // The first part has the sink: it alone is seen by a query that sees none of its keys.
        const KeyRange part{at::clamp(range.first_BS - from, 0, 30), at::clamp(range.last_BS - from, 0, 30)};
        Scoring of = scoring;
        if (from < 60) of.sinks_N = at::Tensor();
        AttentionOutput got = attention_forward(q, k.narrow(1, from, 30), v.narrow(1, from, 30), part, of);
        if (from == 60) {
          all = {got.out_BSNV.to(type == at::kDouble ? type : at::kFloat), got.lse_BNS};
          continue;
        }
        const AttentionOutput later{got.out_BSNV.narrow(1, 20, 70).contiguous(),
                                    got.lse_BNS.narrow(2, 20, 70).contiguous()},
            earlier{got.out_BSNV.narrow(1, 0, 20).contiguous(), got.lse_BNS.narrow(2, 0, 20).contiguous()};
        (fast ? cpu::attention_merge : ref::attention_merge)(all, later, 20);
        (fast ? cpu::attention_merge : ref::attention_merge)(all, earlier, 0);
      }
      expect_close(all.out_BSNV, want.out_BSNV, type == at::kBFloat16 ? 2e-2 : 3e-6, "out");
      expect_close(all.lse_BNS, want.lse_BNS, 3e-6, "lse");
    }
  }
}

TEST(Attention, UnseenKeysDoNotMatter) {
  at::manual_seed(9);
  const at::Tensor q = random({1, 100, 2, 16}), k = random({1, 100, 1, 16}), v = random({1, 100, 1, 16});
  at::Tensor first = at::arange(100, at::kInt).view({1, 100}), last = first + 1;
  const KeyRange itself{first, last};
  const auto out = cpu::attention_forward(q, k, v, itself, {});
  EXPECT_TRUE(at::allclose(out.out_BSNV, v.expand({1, 100, 2, 16})));
  const at::Tensor poisoned = k.clone();
  poisoned.slice(1, 50, 60).fill_(std::numeric_limits<float>::quiet_NaN());
  const KeyRange before{at::zeros({1, 100}, at::kInt), at::clamp_max(last, 48)};
  EXPECT_TRUE(at::isfinite(cpu::attention_forward(q, poisoned, v, before, {}).out_BSNV).all().item<bool>());
}

}  // namespace
}  // namespace rialto::kernels
