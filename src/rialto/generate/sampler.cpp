// From logits to the next token.
#include "rialto/generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "rialto/base/error.h"
#include "rialto/base/random.h"

namespace rialto::generate {
namespace {

/// Source: transformers RepetitionPenaltyLogitsProcessor: each token seen counts once.
void penalise(std::span<float> logits, std::span<const int64_t> history, double penalty) {
  if (penalty == 1.0) return;
  for (const int64_t token : std::set<int64_t>(history.begin(), history.end())) {
    if (token < 0 || token >= static_cast<int64_t>(logits.size())) continue;
    float& logit = logits[static_cast<size_t>(token)];
    logit = static_cast<float>(logit < 0 ? logit * penalty : logit / penalty);
  }
}

int64_t argmax(std::span<const float> logits) {
  int64_t best = -1;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i])) continue;
    if (best < 0 || logits[i] > logits[static_cast<size_t>(best)]) best = static_cast<int64_t>(i);
  }
  if (best < 0 || !std::isfinite(logits[static_cast<size_t>(best)])) {
    throw Error(ErrorKind::kInternal, "generate", "the logits are not finite");
  }
  return best;
}

/// Token ids by falling logit; equal logits by rising id.
std::vector<size_t> sorted_candidates(std::span<const float> logits, size_t keep) {
  std::vector<size_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), size_t{0});
  const auto before = [&](size_t a, size_t b) {
    const float x = std::isnan(logits[a]) ? -INFINITY : logits[a], y = std::isnan(logits[b]) ? -INFINITY : logits[b];
    return x != y ? x > y : a < b;
  };
  keep = std::min(keep, ids.size());
  std::partial_sort(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(keep), ids.end(), before);
  ids.resize(keep);
  return ids;
}

}  // namespace

int64_t pick_token(std::span<float> logits, std::span<const int64_t> history, const Sampling& sampling, uint64_t step) {
  penalise(logits, history, sampling.repetition_penalty);
  const int64_t best = argmax(logits);
  if (sampling.greedy || sampling.temperature <= 0) return best;
  const size_t keep = sampling.top_k > 0 ? static_cast<size_t>(sampling.top_k) : logits.size();
  const std::vector<size_t> ids = sorted_candidates(logits, keep);
  const double top = logits[ids.front()];
  std::vector<double> weights(ids.size());
  double total = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    const double logit = logits[ids[i]];
    weights[i] = std::isnan(logit) ? 0 : std::exp((logit - top) / sampling.temperature);
    total += weights[i];
  }
  // The smallest set of likeliest tokens whose probability reaches top_p; at least one.
  size_t kept = ids.size();
  if (sampling.top_p < 1.0) {
    double sum = 0;
    for (kept = 0; kept < ids.size();) {
      sum += weights[kept++];
      if (sum >= sampling.top_p * total) break;
    }
    total = sum;
  }
  double left = RandomStream(sampling.seed, "sample").uniform(step) * total;
  for (size_t i = 0; i < kept; ++i) {
    left -= weights[i];
    if (left < 0) return static_cast<int64_t>(ids[i]);
  }
  return static_cast<int64_t>(ids[kept - 1]);
}

}  // namespace rialto::generate
