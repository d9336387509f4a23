// Are two models' logits the same? One row after the other, so that nothing but the rows at hand is held.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "rialto/base/json.h"

namespace rialto::train {

/// What CONTRIBUTING.md, "Numbers", allows logits, in units of max(1, max|b|).
inline constexpr double kLogitsTolerance = 1e-5;

/// One logit of both sides.
struct LogitPair {
  int64_t row = 0, position = 0, token = 0;
  double a = 0, b = 0;
};

class LogitsComparison {
 public:
  /// `vocab`: logits of a position.
  explicit LogitsComparison(int64_t vocab) : vocab_(vocab) {}

  /// The next row of both, [length, vocab] each. Throws kInternal when they are no whole positions of one size.
  void add_row(std::span<const float> a, std::span<const float> b);

  /// Where |a - b| is largest (the first such place); nullopt: nothing was added, or nothing was finite.
  const std::optional<LogitPair>& largest() const { return largest_; }
  double max_difference() const;
  /// The first place where a side is infinite or no number: such logits are equal to nothing.
  const std::optional<LogitPair>& not_finite() const { return not_finite_; }
  double max_abs_b() const { return max_abs_b_; }
  int64_t positions() const { return positions_; }
  /// Positions at which both sides' largest logit (the first of equal ones) is the same token's.
  int64_t same_top() const { return same_top_; }

  /// tolerance * max(1, max|b|).
  double allowed(double tolerance) const;
  /// Something was added, all of it finite, and no difference is above what is allowed.
  bool within(double tolerance) const;

 private:
  int64_t vocab_, rows_ = 0, positions_ = 0, same_top_ = 0;
  double max_abs_b_ = 0;
  std::optional<LogitPair> largest_, not_finite_;
};

/// The verdict in one line, without newline: "equal logits: ..." or "different logits: ...".
std::string to_text(const LogitsComparison& comparison, double tolerance);
/// The same for programs. A number that is not finite is written as a string.
Json to_json(const LogitsComparison& comparison, double tolerance);

}  // namespace rialto::train
