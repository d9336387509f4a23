// Pipeline orders: what each rank does, in which order, and that no set of ranks waits for ever.
#include <gmock/gmock.h>

#include "rialto/base/error.h"
#include "rialto/schedule/actions.h"

namespace rialto::schedule {
namespace {

std::vector<std::vector<Action>> all_ranks(int pp, int num_microbatches) {
  std::vector<std::vector<Action>> ranks;
  for (int rank = 0; rank < pp; ++rank) ranks.push_back(pipeline_order({.pp = pp}, rank, num_microbatches));
  return ranks;
}

/// "F0 F1 B0 ..."
std::string computing(const std::vector<Action>& actions) {
  std::string text;
  for (const Action& action : actions) {
    if (action.act == Act::kForward) text += "F" + std::to_string(action.microbatch) + " ";
    if (action.act == Act::kBackward) text += "B" + std::to_string(action.microbatch) + " ";
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
  EXPECT_THROW(pipeline_order({.pp = 2, .vpp = 2}, 0, 4), Error);
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
  EXPECT_THAT(find_deadlock({{{.act = Act::kForward}, {.act = Act::kForward}}}), testing::HasSubstr("twice"));
}

}  // namespace
}  // namespace rialto::schedule
