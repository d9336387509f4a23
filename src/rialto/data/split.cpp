// Megatron's split strings. Source: megatron/core/datasets/blended_megatron_dataset_config.py and _builder.py.
#include "rialto/data/split.h"

#include <array>
#include <cmath>

#include "rialto/base/error.h"

namespace rialto::data {
namespace {

constexpr size_t kNumSplits = 3;  // train, validation, test

/// A non-negative number at the front of `text`, which is shortened by it and one comma. Throws kConfig.
double take_weight(const std::string& split, std::string_view& text) {
  const size_t comma = std::min(text.find(','), text.size());
  const std::string word(text.substr(0, comma));
  text.remove_prefix(std::min(comma + 1, text.size()));
  size_t used = 0;
  double weight = -1;
  const bool plain = !word.empty() && word.find_first_not_of("0123456789. ") == std::string::npos;
  try {
    if (plain) weight = std::stod(word, &used);
  } catch (const std::logic_error&) {
    used = 0;
  }
  if (!plain || used == 0 || word.find_first_not_of(' ', used) != std::string::npos) {
    throw Error(ErrorKind::kConfig, "dataset.split", "is not a list of numbers",
                {.got = split, .want = "such as \"9999,8,2\""});
  }
  return weight;
}

}  // namespace

std::vector<std::pair<int64_t, int64_t>> split_sequences(const std::string& split, int64_t num_sequences) {
  std::array<double, kNumSplits> weights{};
  std::string_view rest = split;
  size_t count = 0;
  double sum = 0;
  do {
    if (count == kNumSplits)
      throw Error(ErrorKind::kConfig, "dataset.split", "has more than three parts", {.got = split});
    weights[count] = take_weight(split, rest);
    sum += weights[count++];
  } while (!rest.empty());
  if (!(sum > 0) || split.ends_with(','))
    throw Error(ErrorKind::kConfig, "dataset.split", "gives no documents to anyone", {.got = split});

  // Python's round() and nearbyint() both round halves to even; the sums below are Megatron's, in its order.
  std::vector<std::pair<int64_t, int64_t>> ranges;
  double begin = 0;
  for (const double weight : weights) {
    const double end = begin + weight / sum;
    const auto first = static_cast<int64_t>(std::nearbyint(begin * static_cast<double>(num_sequences)));
    const auto last = static_cast<int64_t>(std::nearbyint(end * static_cast<double>(num_sequences)));
    ranges.emplace_back(first, end > begin ? last : first);
    begin = end;
  }
  return ranges;
}

}  // namespace rialto::data
