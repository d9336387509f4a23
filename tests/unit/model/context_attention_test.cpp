// Attention over four ranks, in every way that they have, is attention of one: outputs and gradients.
#include <set>

#include <fmt/format.h>

#include "leaves.h"
#include "rialto/model/attention/context_parallel.h"
#include "rialto/model/attention/ring.h"
#include "tests/unit/comm/run_ranks.h"
#include "toy.h"

namespace rialto::model {
namespace {

using enum spec::ContextWay;

constexpr int64_t kRows = 2, kTokens = 24, kNumHeads = 8, kGroups = 4, kDim = 6, kValue = 5;

/// Documents of several lengths, other ones in each row.
at::Tensor documents() {
  at::Tensor of = at::empty({kRows, kTokens}, at::kLong);
  for (int64_t b = 0; b < kRows; ++b)
    for (int64_t i = 0; i < kTokens; ++i) of[b][i] = (i + 3 * b) / (5 + 4 * b);
  return of;
}

/// What each step's queries see, put together, is what queries see of the whole sequence: nothing twice, nothing else.
TEST(RingSteps, ShareWhatIsSeen) {
  for (const bool packed : {false, true}) {
    for (const std::optional<int64_t> window : {std::optional<int64_t>(), {1}, {4}, {11}}) {
      const kernels::KeyRange whole = key_range(kRows, kTokens, packed ? documents() : at::Tensor(), window, at::kCPU);
      for (const int size : {2, 3, 4}) {
        for (int index = 0; index < size; ++index) {
          Pass pass(kRows, kTokens / size,
                    {.positions_BS = at::zeros({1}), .documents_BS = packed ? documents() : at::Tensor()},
                    {.part = {index, size}, .sequence = kTokens});
          const Ring& ring = pass.ring(window, {index, size});
          ASSERT_EQ(ring.size(), static_cast<size_t>(size));
          std::set<std::tuple<int64_t, int64_t, int64_t>> seen, want;
          for (const RingStep& step : ring) {
            for (int64_t b = 0; b < kRows; ++b) {
              for (int64_t i = 0; i < step.queries; ++i) {
                for (int64_t j = step.range.first_BS[b][i].item<int64_t>();
                     j < step.range.last_BS[b][i].item<int64_t>(); ++j) {
                  ASSERT_LT(j, step.keys);
                  EXPECT_TRUE(
                      seen.emplace(b, step.places.query_S[i].item<int64_t>(), step.places.key_K[j].item<int64_t>())
                          .second);
                }
              }
            }
          }
          const at::Tensor places = context_places(kTokens, index, size);
          for (int64_t b = 0; b < kRows; ++b) {
            for (int64_t i = 0; i < places.numel(); ++i) {
              const int64_t at = places[i].item<int64_t>();
              for (int64_t j = whole.first_BS[b][at].item<int64_t>(); j < whole.last_BS[b][at].item<int64_t>(); ++j)
                want.emplace(b, at, j);
            }
          }
          EXPECT_EQ(seen, want) << size << " " << index;
        }
      }
    }
  }
}

/// A causal row: of a rank before it a rank's queries see one chunk each; of one behind it the later half sees all.
TEST(RingSteps, LeaveOutWhatNobodySees) {
  Pass pass(1, 8, {.positions_BS = at::zeros({1})}, {.part = {1, 3}, .sequence = 24});
  const Ring& ring = pass.ring({}, {1, 3});
  const auto sizes = [](const RingStep& s) { return std::vector{s.first_query, s.queries, s.first_key, s.keys}; };
  EXPECT_EQ(sizes(ring[0]), (std::vector<int64_t>{0, 8, 0, 8}));
  EXPECT_EQ(sizes(ring[1]), (std::vector<int64_t>{0, 8, 0, 4})) << "rank 0";
  EXPECT_EQ(sizes(ring[2]), (std::vector<int64_t>{4, 4, 0, 8})) << "rank 2";
  const Ring& windows = pass.ring(2, {1, 3});
  EXPECT_EQ(sizes(windows[1]), (std::vector<int64_t>{0, 1, 3, 1})) << "the one before the first query";
  EXPECT_EQ(sizes(windows[2]), (std::vector<int64_t>{4, 1, 7, 1})) << "the one before the later half";
}

struct Case {
  const char* name;
  std::optional<int64_t> window;
  bool packed, sinks;
  std::optional<double> softcap;
  double dropout;
};
const Case kCases[] = {{"causal", {}, false, false, {}, 0},   {"window", 7, false, false, {}, 0},
                       {"sinks", 5, true, true, {}, 0},       {"cap", {}, true, true, 1.3, 0},
                       {"dropout", {}, false, true, {}, 0.3}, {"documents", {}, true, false, {}, 0},
                       {"all", 9, true, true, 2.0, 0.2}};

/// What one process computes.
struct Whole {
  at::Tensor q, k, v, dout, y;
  Weight sink;
};
Scores scores_of(const Case& c, const Weight& sink, uint64_t seed) {
  Scores scores{.scale = 0.4, .softcap = c.softcap, .sinks = c.sinks ? &sink : nullptr};
  scores.dropout.probability = c.dropout;
  for (int64_t b = 0; c.dropout > 0 && b < kRows; ++b) scores.dropout.rows.emplace_back(seed, fmt::format("row {}", b));
  return scores;
}

void compare(const Case& c, at::ScalarType type, double tolerance, const comm::Mesh& mesh) {
  at::manual_seed(31);
  Whole one{.q = leaf({kRows, kTokens, kNumHeads, kDim}, type),
            .k = leaf({kRows, kTokens, kGroups, kDim}, type),
            .v = leaf({kRows, kTokens, kGroups, kValue}, type),
            .dout = at::randn({kRows, kTokens, kNumHeads * kValue}).to(type),
            .y = {},
            .sink = loose(at::randn({kNumHeads}).to(type))};
  const at::Tensor docs = c.packed ? documents() : at::Tensor();
  one.y = attention({}, one.q, one.k, one.v, key_range(kRows, kTokens, docs, c.window, at::kCPU),
                    scores_of(c, one.sink, 5));
  one.y.backward(one.dout.flatten(0, 1));
  const int cp = mesh.size(comm::Axis::kCp), index = mesh.index(comm::Axis::kCp);
  const at::Tensor places = context_places(kTokens, index, cp);
  const auto own = [&](const at::Tensor& x) { return x.detach().index_select(1, places); };
  for (const auto way : {kGather, kHeads, kRing, kHeadsAndRing}) {
    const std::string what = fmt::format("{} {} way {}", c.name, c10::toString(type), static_cast<int>(way));
    const at::Tensor q = twin(own(one.q)), k = twin(own(one.k)), v = twin(own(one.v));
    const Weight sink = loose(one.sink.data.detach());
    Pass pass(kRows, kTokens / cp, {.positions_BS = at::zeros({1}), .documents_BS = docs},
              {.part = {index, cp}, .sequence = kTokens});
    const at::Tensor y = context_attention({}, q, k, v, pass, c.window, scores_of(c, sink, 5), mesh, way);
    y.backward(own(one.dout).flatten(0, 1));
    const auto expect = [&](const at::Tensor& got, const at::Tensor& want, const char* which) {
      expect_close(got, want, tolerance, what + " " + which);
    };
    expect(y, own(one.y.view({kRows, kTokens, -1})).flatten(0, 1), "y");
    expect(q.grad(), own(one.q.grad()), "dq");
    expect(k.grad(), own(one.k.grad()), "dk");
    expect(v.grad(), own(one.v.grad()), "dv");
    if (!c.sinks) continue;
    at::Tensor dsinks = sink.main_grad.clone();
    comm::all_reduce_sum(dsinks, mesh, comm::Axis::kCp);
    expect(dsinks, one.sink.main_grad, "dsinks");
  }
}

TEST(ContextAttention, FourRanksAreOne) {
  EXPECT_EQ(run_ranks(4,
                      [](const std::shared_ptr<comm::World>& world) {
                        const comm::Mesh mesh(spec::Layout{.cp = 4, .cp_inner = 2}, world);
                        for (const Case& c : kCases) {
                          compare(c, at::kDouble, 1e-11, mesh);
                          compare(c, at::kFloat, 3e-6, mesh);
                          compare(c, at::kBFloat16, 3e-2, mesh);
                        }
                      }),
            0);
}

/// Keys and values that were gathered are not kept.
TEST(ContextAttention, KeepsItsOwnTokens) {
  struct Counting final : SaveHook {
    std::map<std::string, int64_t> elements;
    std::unique_ptr<Kept> keep(const at::Tensor& tensor, std::string_view name) override {
      elements[std::string(name)] += tensor.numel();
      return nullptr;
    }
  };
  EXPECT_EQ(run_ranks(2,
                      [](const std::shared_ptr<comm::World>& world) {
                        const comm::Mesh mesh(spec::Layout{.cp = 2}, world);
                        const int index = mesh.index(comm::Axis::kCp);
                        Pass pass(1, 8, {.positions_BS = at::zeros({1})}, {.part = {index, 2}, .sequence = 16});
                        for (const auto way : {kGather, kRing, kHeads}) {
                          const at::Tensor q = leaf({1, 8, 4, 6}), k = leaf({1, 8, 2, 6}), v = leaf({1, 8, 2, 6});
                          Counting counting;
                          const MemoryPlan plan;
                          const Recorder recorder{.save = &counting, .plan = &plan};
                          context_attention(recorder, q, k, v, pass, {}, {}, mesh, way).sum().backward();
                          EXPECT_EQ(counting.elements.at("attention.k"), k.numel()) << static_cast<int>(way);
                          EXPECT_EQ(counting.elements.at("attention.v"), v.numel()) << static_cast<int>(way);
                        }
                      }),
            0);
}

}  // namespace
}  // namespace rialto::model
