// A progress that cancels: for tests of what an interrupted run leaves.
#pragma once

#include "rialto/base/progress.h"

namespace rialto {

/// Asks to stop after a number of updates.
class StopAfter final : public Progress {
 public:
  explicit StopAfter(int updates) : left_(updates) {}
  void begin(std::string_view, uint64_t, std::string_view) override {}
  void update(uint64_t) override { --left_; }
  void end() override {}
  void notice(std::string_view) override {}
  bool cancelled() const override { return left_ <= 0; }

 private:
  int left_;
};

}  // namespace rialto
