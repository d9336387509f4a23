// Comparing logits, and saying what came out.
#include "rialto/train/compare_logits.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::train {
namespace {

std::string place(const LogitPair& pair) {
  return fmt::format("row {}, position {}, id {} ({:.9g} and {:.9g})", pair.row, pair.position, pair.token, pair.a,
                     pair.b);
}

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(fmt::format("{}", value)); }

Json place_json(const std::optional<LogitPair>& pair) {
  if (!pair) return nullptr;
  return {{"row", pair->row},
          {"position", pair->position},
          {"token", pair->token},
          {"a", number(pair->a)},
          {"b", number(pair->b)}};
}

}  // namespace

void LogitsComparison::add_row(std::span<const float> a, std::span<const float> b) {
  const auto vocab = static_cast<size_t>(vocab_);
  if (a.size() != b.size() || a.size() % vocab != 0)
    throw Error(ErrorKind::kInternal, "logits", "rows that do not fit each other",
                {.got = fmt::format("{} and {} values", a.size(), b.size()),
                 .want = fmt::format("whole positions of {} values", vocab_)});
  for (size_t first = 0; first < a.size(); first += vocab) {
    const auto position = static_cast<int64_t>(first / vocab);
    size_t top_a = first, top_b = first;
    for (size_t i = first; i < first + vocab; ++i) {
      const LogitPair pair{rows_, position, static_cast<int64_t>(i - first), a[i], b[i]};
      if (!std::isfinite(pair.a) || !std::isfinite(pair.b)) {
        if (!not_finite_) not_finite_ = pair;
        continue;
      }
      if (a[i] > a[top_a]) top_a = i;
      if (b[i] > b[top_b]) top_b = i;
      max_abs_b_ = std::max(max_abs_b_, std::abs(pair.b));
      if (!largest_ || std::abs(pair.a - pair.b) > max_difference()) largest_ = pair;
    }
    ++positions_;
    same_top_ += top_a == top_b ? 1 : 0;
  }
  ++rows_;
}

double LogitsComparison::max_difference() const { return largest_ ? std::abs(largest_->a - largest_->b) : 0; }

double LogitsComparison::allowed(double tolerance) const { return tolerance * std::max(1.0, max_abs_b_); }

bool LogitsComparison::within(double tolerance) const {
  return largest_ && !not_finite_ && max_difference() <= allowed(tolerance);
}

std::string to_text(const LogitsComparison& comparison, double tolerance) {
  const std::string verdict = comparison.within(tolerance) ? "equal logits" : "different logits";
  if (comparison.not_finite()) return verdict + ": one is not finite at " + place(*comparison.not_finite());
  if (!comparison.largest()) return verdict + ": there are none";
  return fmt::format("{}: at most {:.3g} apart (allowed {:.3g}), at {}; the same top token at {} of {} positions",
                     verdict, comparison.max_difference(), comparison.allowed(tolerance), place(*comparison.largest()),
                     comparison.same_top(), comparison.positions());
}

Json to_json(const LogitsComparison& comparison, double tolerance) {
  return {{"equal", comparison.within(tolerance)},
          {"max_difference", comparison.max_difference()},
          {"allowed", comparison.allowed(tolerance)},
          {"tolerance", tolerance},
          {"max_abs_b", comparison.max_abs_b()},
          {"at", place_json(comparison.largest())},
          {"not_finite", place_json(comparison.not_finite())},
          {"positions", comparison.positions()},
          {"same_top", comparison.same_top()}};
}

}  // namespace rialto::train
