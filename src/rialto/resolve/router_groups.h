// Whether a router's groups fit its experts: one answer for config.json and for `model:` sections.
#pragma once

#include "rialto/spec/model_spec.h"

namespace rialto::resolve {

enum class GroupsFlaw {
  kNone,
  kIndivisible,  ///< the groups do not divide the experts
  kTooFew,       ///< the groups that are kept hold fewer experts than a token takes
  kLonely,       ///< one expert in a group that is ranked by its best two
};

inline GroupsFlaw flaw_of_groups(const spec::Router& router, int64_t num_experts) {
  if (num_experts % router.num_groups != 0) return GroupsFlaw::kIndivisible;
  const int64_t group = num_experts / router.num_groups;
  if (router.top_groups > router.num_groups || router.top_groups * group < router.top_k) return GroupsFlaw::kTooFew;
  const bool by_two = router.num_groups > 1 && router.group_score == spec::GroupScore::kSumOfBestTwo;
  return by_two && group < 2 ? GroupsFlaw::kLonely : GroupsFlaw::kNone;
}

}  // namespace rialto::resolve
