// Lengths and findings.
#include "rialto/data/check_report.h"

#include <cmath>

namespace rialto::data {

void LengthCounts::add(int64_t length) {
  ++counts_[length];
  ++pieces_;
  tokens_ += length;
}

Json LengthCounts::report() const {
  if (counts_.empty()) return Json::object();
  const auto at = [&](double share) {
    auto left = static_cast<int64_t>(std::ceil(share * static_cast<double>(pieces_)));
    for (const auto& [length, count] : counts_)
      if ((left -= count) <= 0) return length;
    return counts_.rbegin()->first;
  };
  return {{"shortest", counts_.begin()->first},
          {"mean", static_cast<double>(tokens_) / static_cast<double>(pieces_)},
          {"median", at(0.5)},
          {"p95", at(0.95)},
          {"longest", counts_.rbegin()->first}};
}

void Findings::add(const char* kind, const std::string& line) {
  counts_[kind] = counts_.value(kind, 0) + 1;
  if (listed_.size() < most_listed_) listed_.push_back(line);
}

}  // namespace rialto::data
