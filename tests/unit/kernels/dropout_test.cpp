// Dropout: its share, its independence of batches and threads, both bodies, and attention's weights.
#include "rialto/kernels/dropout.h"

#include <ATen/Parallel.h>

#include <set>
#include <string>

#include "compare.h"
#include "rialto/kernels/attention.h"

namespace rialto::kernels {
namespace {

Dropout make(double probability, const std::vector<int>& samples, const std::string& place = "x") {
  Dropout dropout{.probability = probability};
  for (const int sample : samples) dropout.rows.emplace_back(7, "dropout/" + place + "/" + std::to_string(sample));
  return dropout;
}

TEST(Dropout, DropsItsShareAndScalesTheRest) {
  for (const double p : {0.1, 0.5, 0.9}) {
    const int64_t count = 200000;
    const at::Tensor y = dropout(at::ones({count}), make(p, {3}));
    const auto zeros = static_cast<double>((y == 0).sum().item<int64_t>());
    const double deviation = std::sqrt(p * (1 - p) * static_cast<double>(count));
    EXPECT_NEAR(zeros, p * static_cast<double>(count), 5 * deviation) << p;
    const auto left = y.masked_select(y != 0);
    EXPECT_TRUE(at::equal(left, at::full_like(left, static_cast<float>(1 / (1 - p))))) << p;
    // Neighbours are independent: of all pairs p^2 are both dropped.
    const at::Tensor gone = (y == 0).view({-1, 2}).all(1);
    EXPECT_NEAR(gone.to(at::kDouble).mean().item<double>(), p * p, 0.01) << p;
  }
}

TEST(Dropout, BodiesAgree) {
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor x = random({6, 7}, type);
    const Dropout drops = make(0.3, {4, 9, 11});
    EXPECT_TRUE(at::equal(cpu::dropout(x, drops), ref::dropout(x, drops))) << type;
  }
}

TEST(Dropout, IsAFunctionOfTheSampleAndThePlace) {
  const at::Tensor x = at::ones({8, 50});
  const at::Tensor both = dropout(x, make(0.5, {4, 5}));
  EXPECT_TRUE(at::equal(both.narrow(0, 4, 4), dropout(x.narrow(0, 0, 4), make(0.5, {5})))) << "alone as in a batch";
  EXPECT_FALSE(at::equal(both.narrow(0, 0, 4), both.narrow(0, 4, 4)));
  EXPECT_FALSE(at::equal(both, dropout(x, make(0.5, {4, 5}, "y"))));
  const at::Tensor large = at::ones({1, 100000});
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor one = dropout(large, make(0.5, {1}));
  at::set_num_threads(2);
  EXPECT_TRUE(at::equal(one, dropout(large, make(0.5, {1}))));
  at::set_num_threads(threads);
}

TEST(Dropout, APartOfTheBatchIsItsPartOfTheWhole) {
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor x = random({15, 7}, type);  // three samples of five tokens
    const at::Tensor whole = dropout(x, make(0.5, {4, 9, 11}));
    for (const auto& [first, count] : {std::pair(0, 4), {4, 3}, {3, 9}, {14, 1}, {0, 15}}) {
      Dropout part = make(0.5, {4, 9, 11});
      part.sample_tokens = 5;
      part.runs = {{first, count}};
      const at::Tensor want = whole.narrow(0, first, count), own = x.narrow(0, first, count);
      EXPECT_TRUE(at::equal(cpu::dropout(own, part), want)) << first << " " << count;
      EXPECT_TRUE(at::equal(ref::dropout(own, part), want)) << first << " " << count;
    }
  }
}

TEST(Dropout, PartsOfTheBatchAreTheirPartsOfTheWhole) {
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor x = random({15, 7}, type);
    const at::Tensor whole = dropout(x, make(0.5, {4, 9, 11})), rows = at::tensor({1, 2, 4, 5, 6, 7, 14}, at::kLong);
    Dropout part = make(0.5, {4, 9, 11});
    part.sample_tokens = 5;
    part.runs = {{1, 2}, {4, 4}, {14, 1}};
    const at::Tensor want = whole.index_select(0, rows), own = x.index_select(0, rows);
    EXPECT_TRUE(at::equal(cpu::dropout(own, part), want));
    EXPECT_TRUE(at::equal(ref::dropout(own, part), want));
  }
}

/// Some heads, some queries and some keys drop what they drop in the whole.
TEST(DroppedAttention, PartsAreTheirPartsOfTheWhole) {
  at::manual_seed(6);
  const int64_t tokens = 61, heads = 6;
  const at::Tensor query = at::cat({at::arange(3, 30), at::arange(50, 58)}).to(at::kLong);
  const at::Tensor key = at::cat({at::arange(5, 20), at::arange(31, 60)}).to(at::kLong);
  const at::Tensor q = random({2, tokens, heads, 8}), k = random({2, tokens, heads, 8}),
                   v = random({2, tokens, heads, 8});
  const auto all = [&](int64_t queries, int64_t keys) {
    return KeyRange{at::zeros({2, queries}, at::kInt), at::full({2, queries}, keys, at::kInt)};
  };
  Scoring whole{.scale = 0.3, .dropout = make(0.4, {8, 3})}, part = whole;
  part.places = {.first_head = 2, .queries = tokens, .keys = tokens, .query_S = query, .key_K = key};
  // Of the other keys nothing is to be seen: they are far below.
  const auto hidden = at::full({tokens}, -1e4).index_fill_(0, key, 0).view({1, tokens, 1});
  at::Tensor q1 = q.clone(), k1 = k.clone();
  q1.select(3, 0).fill_(1);
  k1.select(3, 0).copy_(hidden.expand({2, tokens, heads}));
  const auto some = [&](const at::Tensor& x, const at::Tensor& places) {
    return x.index_select(1, places).narrow(2, 2, 3);
  };
  const AttentionOutput want = ref::attention_forward(q1, k1, v, all(tokens, tokens), whole);
  const KeyRange range = all(query.numel(), key.numel());
  for (const bool fast : {true, false}) {
    const at::Tensor own_q = some(q1, query), own_k = some(k1, key), own_v = some(v, key);
    const AttentionOutput got =
        (fast ? cpu::attention_forward : ref::attention_forward)(own_q, own_k, own_v, range, part);
    expect_close(got.out_BSNV, some(want.out_BSNV, query), 3e-6, "out");
    const AttentionGrads g =
        (fast ? cpu::attention_backward : ref::attention_backward)(own_q, own_q, own_k, own_v, got, range, part);
    const AttentionGrads plain = ref::attention_backward(own_q, own_q, own_k, own_v, got, range, part);
    expect_close(g.dk_BKGD, plain.dk_BKGD, 5e-6, "dk");
    expect_close(g.dv_BKGV, plain.dv_BKGV, 5e-6, "dv");
  }
}

struct Shape {
  int64_t tokens, groups, per_group, dim;
  bool sinks = false;
};
class DroppedAttention : public testing::TestWithParam<Shape> {};

TEST_P(DroppedAttention, EqualsRecordedOperationsOnTheSameMask) {
  const Shape s = GetParam();
  const int64_t heads = s.groups * s.per_group, padded = (s.tokens + 3) / 4 * 4;
  at::manual_seed(5);
  const auto leaf = [](const at::Tensor& x) { return x.to(at::kDouble).set_requires_grad(true); };
  const at::Tensor q = random({2, s.tokens, heads, s.dim}, at::kFloat),
                   k = random({2, s.tokens, s.groups, s.dim}, at::kFloat),
                   v = random({2, s.tokens, s.groups, s.dim}, at::kFloat),
                   dout = random({2, s.tokens, heads, s.dim}, at::kFloat);
  const at::Tensor sinks = s.sinks ? random({heads}, at::kFloat) : at::Tensor();
  const at::Tensor first = at::zeros({2, s.tokens}, at::kInt),
                   last = at::arange(1, s.tokens + 1, at::kInt).expand({2, s.tokens}).contiguous();
  const Scoring scoring{.scale = 0.3, .sinks_N = sinks, .dropout = make(0.2, {8, 3})};
  const KeyRange range{first, last};

  const at::Tensor q2 = leaf(q), k2 = leaf(k), v2 = leaf(v);
  const auto by_head = [&](const at::Tensor& x) { return x.transpose(1, 2); };
  at::Tensor scores =
      at::matmul(by_head(q2), by_head(k2).repeat_interleave(s.per_group, 1).transpose(-1, -2)) * scoring.scale;
  scores = scores.masked_fill(at::ones({s.tokens, s.tokens}, at::kBool).triu(1), -INFINITY);
  if (s.sinks)
    scores = at::cat({scores, sinks.to(at::kDouble).view({1, -1, 1, 1}).expand({2, heads, s.tokens, 1})}, -1);
  const at::Tensor mask =
      ref::kept(scoring.dropout, heads * s.tokens * padded).view({2, heads, s.tokens, padded}).narrow(-1, 0, s.tokens);
  const at::Tensor p = at::softmax(scores, -1).narrow(-1, 0, s.tokens) * mask / 0.8;
  const at::Tensor out = by_head(at::matmul(p, by_head(v2).repeat_interleave(s.per_group, 1)));
  out.backward(dout.to(at::kDouble));

  for (const bool fast : {true, false}) {
    const AttentionOutput got = (fast ? cpu::attention_forward : ref::attention_forward)(q, k, v, range, scoring);
    expect_close(got.out_BSNV, out.detach(), 3e-6, "out");
    const AttentionGrads g =
        (fast ? cpu::attention_backward : ref::attention_backward)(dout, q, k, v, got, range, scoring);
    expect_close(g.dq_BSND, q2.grad(), 5e-6, "dq");
    expect_close(g.dk_BKGD, k2.grad(), 5e-6, "dk");
    expect_close(g.dv_BKGV, v2.grad(), 5e-6, "dv");
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, DroppedAttention,
                         testing::Values(Shape{1, 1, 1, 8}, Shape{50, 2, 3, 16}, Shape{97, 1, 2, 10},
                                         Shape{50, 2, 2, 16, true}));

}  // namespace
}  // namespace rialto::kernels
