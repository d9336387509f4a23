// What a pipeline loses by waiting, against the closed forms.
#include "rialto/schedule/timing.h"

#include <gmock/gmock.h>

#include "rialto/base/error.h"

namespace rialto::schedule {
namespace {

std::vector<std::vector<Action>> all_ranks(const spec::Layout& layout, int num_microbatches,
                                           const OrderOptions& options = {}) {
  std::vector<std::vector<Action>> ranks;
  for (int rank = 0; rank < layout.pp; ++rank) ranks.push_back(pipeline_order(layout, rank, num_microbatches, options));
  return ranks;
}

/// Narayanan et al. 2021: the bubble is (pp - 1) / vpp forwards and backwards on top of the micro-batches' own.
double expected_idle(int pp, int vpp, int num_microbatches) {
  const double bubble = static_cast<double>(pp - 1) / vpp;
  return bubble / (num_microbatches + bubble);
}

TEST(Timing, IdleFractionIsTheFormulas) {
  for (const int pp : {1, 2, 4, 8})
    for (const int rounds : {1, 2, 5}) {
      const int microbatches = pp * rounds;
      EXPECT_NEAR(play(all_ranks({.pp = pp}, microbatches)).idle_fraction(), expected_idle(pp, 1, microbatches), 1e-9);
      for (const int vpp : {2, 4}) {
        if (pp == 1) continue;
        EXPECT_NEAR(play(all_ranks({.pp = pp, .vpp = vpp}, microbatches)).idle_fraction(),
                    expected_idle(pp, vpp, microbatches), 1e-9)
            << pp << " x " << vpp << ", " << microbatches;
      }
    }
}

TEST(Timing, SplitWeightGradientsWaitLess) {
  const spec::Layout layout{.pp = 4};
  const double plain = play(all_ranks(layout, 8)).idle_fraction();
  const double split = play(all_ranks(layout, 8, {.split_weight_gradients = true})).idle_fraction();
  EXPECT_LT(split, 0.65 * plain);
}

TEST(Timing, SpansFollowEachOtherAndTheirMessages) {
  const Timing timing = play(all_ranks({.pp = 2}, 2), {.forward = 1, .backward = 2});
  ASSERT_EQ(timing.spans.size(), 2u);
  const std::vector<Span>& last = timing.spans[1];
  ASSERT_EQ(last.size(), 4u);  // F0 B0 F1 B1
  EXPECT_EQ(last[0].start, 1);
  EXPECT_EQ(last[1].start, 2);
  EXPECT_EQ(last[3].end, 7);
  EXPECT_EQ(timing.spans[0].back().end, 9);
  EXPECT_EQ(timing.total, 9);
}

TEST(Timing, WaitingForEverIsRefused) {
  EXPECT_THROW(play({{{.act = Act::kPostRecvForward, .peer = 1, .slot = 0}, {.act = Act::kWait, .slot = 0}}, {}}),
               Error);
}

}  // namespace
}  // namespace rialto::schedule
