// Pipeline orders: what each rank does, in which order, and that no set of ranks waits for ever.
#include <map>
#include <tuple>

#include <gmock/gmock.h>

#include "rialto/base/error.h"
#include "rialto/schedule/actions.h"

namespace rialto::schedule {
namespace {

std::vector<std::vector<Action>> all_ranks(int pp, int num_microbatches, int vpp = 1,
                                           const OrderOptions& options = {}) {
  std::vector<std::vector<Action>> ranks;
  for (int rank = 0; rank < pp; ++rank)
    ranks.push_back(pipeline_order({.pp = pp, .vpp = vpp}, rank, num_microbatches, options));
  return ranks;
}

/// "F0 F1 B0 ...", with chunks "F0.1"
std::string computing(const std::vector<Action>& actions, bool chunks = false) {
  std::string text;
  const auto number = [chunks](const Action& action) {
    return std::to_string(action.microbatch) + (chunks ? "." + std::to_string(action.chunk) : "") + " ";
  };
  for (const Action& action : actions) {
    if (action.act == Act::kForward) text += "F" + number(action);
    if (action.act == Act::kBackward) text += "B" + number(action);
    if (action.act == Act::kBackwardWeight) text += "W" + number(action);
    if (action.act == Act::kReduceGrads) text += "R ";
    if (action.act == Act::kStep) text += "S";
  }
  return text;
}

TEST(Schedule, OneStageAlternates) {
  const std::vector<Action> actions = pipeline_order({}, 0, 3);
  EXPECT_EQ(computing(actions), "F0 B0 F1 B1 F2 B2 R S");
  EXPECT_EQ(actions.size(), 8u);  // nothing is sent
}

TEST(Schedule, OneForwardOneBackward) {
  EXPECT_EQ(computing(pipeline_order({.pp = 3}, 0, 4)), "F0 F1 F2 B0 F3 B1 B2 B3 R S");
  EXPECT_EQ(computing(pipeline_order({.pp = 3}, 1, 4)), "F0 F1 B0 F2 B1 F3 B2 B3 R S");
  EXPECT_EQ(computing(pipeline_order({.pp = 3}, 2, 4)), "F0 B0 F1 B1 F2 B2 F3 B3 R S");
  EXPECT_EQ(computing(pipeline_order({.pp = 4}, 0, 2)), "F0 F1 B0 B1 R S");  // fewer micro-batches than stages
}

TEST(Schedule, EveryPipelineUpTo64StagesEnds) {
  for (const int pp : {1, 2, 3, 4, 5, 7, 8, 16, 31, 32, 64})
    for (const int microbatches : {1, 2, 3, pp - 1, pp, pp + 1, 2 * pp, 3 * pp + 1})
      EXPECT_EQ(find_deadlock(all_ranks(pp, std::max(microbatches, 1))), "") << pp << " stages, " << microbatches;
}

TEST(Schedule, InterleavedOrderIsMegatrons) {
  // Two stages of two chunks, four micro-batches in groups of two; four forwards first on rank 0, two on rank 1.
  EXPECT_EQ(computing(pipeline_order({.pp = 2, .vpp = 2}, 0, 4), true),
            "F0.0 F1.0 F0.1 F1.1 F2.0 B0.1 F3.0 B1.1 F2.1 B0.0 F3.1 B1.0 B2.1 B3.1 B2.0 B3.0 R S");
  EXPECT_EQ(computing(pipeline_order({.pp = 2, .vpp = 2}, 1, 4), true),
            "F0.0 F1.0 F0.1 B0.1 F1.1 B1.1 F2.0 B0.0 F3.0 B1.0 F2.1 B2.1 F3.1 B3.1 B2.0 B3.0 R S");
  EXPECT_EQ(warm_up_steps({.pp = 4, .vpp = 3}, 1, 64, {.microbatch_group = 5}), 2 * 2 + 2 * 5);
  EXPECT_EQ(warm_up_steps({.pp = 4, .vpp = 2}, 0, 4), 8);  // everything
}

TEST(Schedule, EveryInterleavedPipelineEnds) {
  int checked = 0;
  for (const int pp : {2, 3, 4, 5, 8, 16})
    for (const int vpp : {2, 3, 4, 8})
      for (const int microbatches : {pp, pp + 1, 2 * pp, 3 * pp, 5 * pp - 1, 64})
        for (const int group : {pp, pp + 1, 2 * pp, 3 * pp - 1, microbatches}) {
          const int rest = microbatches % group;
          if (group > microbatches || (rest != 0 && rest < pp)) continue;
          for (const bool split : {false, true}) {
            const OrderOptions options{.microbatch_group = group, .split_weight_gradients = split};
            ASSERT_EQ(find_deadlock(all_ranks(pp, microbatches, vpp, options)), "")
                << pp << " stages, " << vpp << " chunks, " << microbatches << " in groups of " << group;
            ++checked;
          }
        }
  EXPECT_GT(checked, 400);
  const auto largest = all_ranks(64, 512, 8);
  EXPECT_EQ(find_deadlock(largest), "");
  EXPECT_EQ(find_deadlock(all_ranks(64, 512, 8, {.forward_only = true})), "");
}

TEST(Schedule, EverythingIsComputedOnce) {
  for (const int rank : {0, 1, 2}) {
    std::map<std::tuple<Act, int, int>, int> count;
    for (const Action& action : pipeline_order({.pp = 3, .vpp = 4}, rank, 6, {.split_weight_gradients = true}))
      if (action.act == Act::kForward || action.act == Act::kBackward || action.act == Act::kBackwardWeight)
        ++count[{action.act, action.microbatch, action.chunk}];
    EXPECT_EQ(count.size(), 3u * 4 * 6);
    for (const auto& [work, times] : count) EXPECT_EQ(times, 1);
  }
}

TEST(Schedule, WeightGradientsFillTheDrain) {
  const OrderOptions split{.split_weight_gradients = true};
  EXPECT_EQ(computing(pipeline_order({.pp = 3}, 0, 4, split)), "F0 F1 F2 B0 W0 F3 B1 W1 B2 W2 B3 W3 R S");
  EXPECT_EQ(computing(pipeline_order({.pp = 3}, 2, 4, split)), "F0 B0 F1 B1 F2 B2 W0 F3 B3 W1 W2 W3 R S");
}

TEST(Schedule, EvaluationRunsForwardsAlone) {
  EXPECT_EQ(computing(pipeline_order({.pp = 2, .vpp = 2}, 1, 2, {.forward_only = true}), true), "F0.0 F1.0 F0.1 F1.1 ");
  for (const int pp : {2, 3, 4, 8})
    for (const int vpp : {1, 2, 3})
      for (int microbatches = 1; microbatches <= 2 * pp + 1; ++microbatches)
        EXPECT_EQ(find_deadlock(all_ranks(pp, microbatches, vpp, {.forward_only = true})), "")
            << pp << " stages, " << vpp << " chunks, " << microbatches << ": also where no training order exists";
}

TEST(Schedule, InFlightForwardsAreBounded) {
  // 1F1B holds at most pp - rank forwards: what the planner counts as activation memory.
  for (int rank = 0; rank < 8; ++rank) {
    int held = 0, most = 0;
    for (const Action& action : pipeline_order({.pp = 8}, rank, 40)) {
      held += action.act == Act::kForward ? 1 : action.act == Act::kBackward ? -1 : 0;
      most = std::max(most, held);
    }
    EXPECT_EQ(most, 8 - rank);
    EXPECT_EQ(held, 0);
  }
}

TEST(Schedule, RefusesWhatItCannotDo) {
  EXPECT_THROW(pipeline_order({.vpp = 2}, 0, 4), Error);                                    // no pipeline
  EXPECT_THROW(pipeline_order({.pp = 2, .vpp = 2}, 0, 4, {.microbatch_group = 1}), Error);  // below the stages
  EXPECT_THROW(pipeline_order({.pp = 2, .vpp = 2}, 0, 4, {.microbatch_group = 5}), Error);  // above the batch
  EXPECT_THROW(pipeline_order({.pp = 4, .vpp = 2}, 0, 9, {.microbatch_group = 4}), Error);  // a rest of 1
  EXPECT_NO_THROW(pipeline_order({.pp = 4, .vpp = 2}, 0, 9, {.microbatch_group = 5}));      // a rest of 4
  EXPECT_THROW(pipeline_order({}, 0, 0), Error);
  EXPECT_THROW(pipeline_order({.pp = 2}, 2, 1), Error);
}

TEST(Deadlock, EveryDroppedOrSwappedPostIsNoticed) {
  const std::vector<std::vector<Action>> good = all_ranks(3, 4);
  ASSERT_EQ(find_deadlock(good), "");
  for (size_t rank = 0; rank < good.size(); ++rank)
    for (size_t i = 0; i < good[rank].size(); ++i) {
      if (good[rank][i].act == Act::kReduceGrads || good[rank][i].act == Act::kStep) continue;
      auto ranks = good;
      ranks[rank].erase(ranks[rank].begin() + static_cast<std::ptrdiff_t>(i));
      // A backward pass left out is not the transport's to notice.
      if (good[rank][i].act != Act::kBackward) {
        EXPECT_NE(find_deadlock(ranks), "") << rank << ": " << to_text(good[rank][i]);
      }
      if (good[rank][i].peer < 0) continue;
      ranks = good;
      ++ranks[rank][i].microbatch;
      EXPECT_NE(find_deadlock(ranks), "") << rank << ": " << to_text(good[rank][i]);
    }
}

TEST(Deadlock, InterleavedMistakesAreNoticed) {
  const std::vector<std::vector<Action>> good = all_ranks(2, 4, 2);
  for (size_t rank = 0; rank < good.size(); ++rank)
    for (size_t i = 0; i < good[rank].size(); ++i) {
      if (good[rank][i].peer < 0) continue;
      auto ranks = good;
      ranks[rank].erase(ranks[rank].begin() + static_cast<std::ptrdiff_t>(i));
      EXPECT_NE(find_deadlock(ranks), "") << rank << ": " << to_text(good[rank][i]);
      ranks = good;
      ranks[rank][i].chunk = 1 - ranks[rank][i].chunk;  // meets the same micro-batch of another stage
      EXPECT_NE(find_deadlock(ranks), "") << rank << ": " << to_text(good[rank][i]);
    }
}

TEST(Deadlock, WaitingInACircleIsNamed) {
  // Both receive first: neither sends.
  const auto rank = [](int peer) {
    return std::vector<Action>{{.act = Act::kPostRecvForward, .peer = peer, .slot = 0},
                               {.act = Act::kWait, .slot = 0},
                               {.act = Act::kPostSendForward, .peer = peer, .slot = 1},
                               {.act = Act::kWait, .slot = 1}};
  };
  const std::string said = find_deadlock({rank(1), rank(0)});
  EXPECT_THAT(said, testing::HasSubstr("rank 0 at action 1 (wait slot 0)"));
  EXPECT_THAT(said, testing::HasSubstr("rank 1"));
}

TEST(Deadlock, MistakesWithSlotsAndPeersAreNamed) {
  EXPECT_THAT(find_deadlock({{{.act = Act::kWait, .slot = 3}}}), testing::HasSubstr("nothing was posted"));
  EXPECT_THAT(find_deadlock({{{.act = Act::kPostSendForward, .peer = 7, .slot = 0}}}),
              testing::HasSubstr("does not exist"));
  EXPECT_THAT(find_deadlock({{{.act = Act::kBackward}}}), testing::HasSubstr("without its forward"));
  EXPECT_THAT(find_deadlock({{{.act = Act::kBackwardWeight}}}), testing::HasSubstr("without its backward"));
  EXPECT_THAT(find_deadlock({{{.act = Act::kForward}, {.act = Act::kForward}}}), testing::HasSubstr("twice"));
}

}  // namespace
}  // namespace rialto::schedule
