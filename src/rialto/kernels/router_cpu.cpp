// The choice of experts on the CPU: one scan of a token's experts for each one that is taken.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "rialto/kernels/router.h"

namespace rialto::kernels {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

/// Takes the k best of `values` that are open and closes them; of equals the lower index. Always k different ones, even
/// of values that are not numbers.
template <class Take>
void take_best(const std::vector<float>& values, std::vector<char>& open, int64_t k, const Take& take) {
  const auto count = static_cast<int64_t>(values.size());
  for (int64_t j = 0; j < k; ++j) {
    int64_t best = -1;
    for (int64_t i = 0; i < count; ++i) {
      if (open[static_cast<size_t>(i)] &&
          (best < 0 || values[static_cast<size_t>(i)] > values[static_cast<size_t>(best)]))
        best = i;
    }
    open[static_cast<size_t>(best)] = 0;
    take(j, best);
  }
}

float group_score(const float* values, int64_t size, GroupScore kind) {
  float first = kLowest, second = kLowest;
  for (int64_t i = 0; i < size; ++i) {
    if (values[i] > first) {
      second = first;
      first = values[i];
    } else if (values[i] > second) {
      second = values[i];
    }
  }
  return kind == GroupScore::kMax || size < 2 ? first : first + second;
}

/// Leaves only experts of the best groups open.
void keep_best_groups(const float* values, std::vector<char>& open, const RouterOptions& options) {
  const auto size = static_cast<int64_t>(open.size()) / options.num_groups;
  std::vector<float> scores(static_cast<size_t>(options.num_groups));
  std::vector<char> groups(scores.size(), 1);
  for (int64_t g = 0; g < options.num_groups; ++g)
    scores[static_cast<size_t>(g)] = group_score(values + g * size, size, options.group_score);
  std::fill(open.begin(), open.end(), 0);
  take_best(scores, groups, options.top_groups,
            [&](int64_t, int64_t group) { std::fill_n(open.begin() + group * size, size, 1); });
}

}  // namespace

at::Tensor cpu::select_experts(const at::Tensor& choice, const RouterOptions& options) {
  const int64_t tokens = choice.size(0), experts = choice.size(1);
  at::Tensor out = at::empty({tokens, options.top_k}, choice.options().dtype(at::kLong));
  const float* from = choice.const_data_ptr<float>();
  auto* to = out.data_ptr<int64_t>();
  at::parallel_for(0, tokens, 64, [&](int64_t first, int64_t last) {
    std::vector<float> values(static_cast<size_t>(experts));
    std::vector<char> open(values.size());
    for (int64_t t = first; t < last; ++t) {
      std::copy_n(from + t * experts, experts, values.begin());
      std::fill(open.begin(), open.end(), 1);
      if (options.top_groups < options.num_groups) keep_best_groups(values.data(), open, options);
      take_best(values, open, options.top_k, [&](int64_t j, int64_t e) { to[t * options.top_k + j] = e; });
    }
  });
  return out;
}

}  // namespace rialto::kernels
