// Blends as words, as files and as weights.
#include "rialto/data/blend.h"

#include <charconv>
#include <cmath>
#include <span>
#include <sstream>

#include "rialto/base/error.h"
#include "rialto/base/json.h"

namespace rialto::data {
namespace {

std::string stripped(const std::string& word) {
  const size_t begin = word.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return {};
  return word.substr(begin, word.find_last_not_of(" \t\r\n") - begin + 1);
}

std::optional<double> number_of(const std::string& word) {
  double value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return value;
}

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

/// numpy.sum of a float64 array: eight running sums below 129 values, halves above.
/// Source: numpy/_core/src/umath/loops_utils.h.src, pairwise_sum.
double numpy_sum(std::span<const double> values) {
  constexpr size_t kLanes = 8, kPlain = 128;
  if (values.size() > kPlain) {
    const size_t half = values.size() / 2 / kLanes * kLanes;
    return numpy_sum(values.first(half)) + numpy_sum(values.subspan(half));
  }
  double sum = 0;
  size_t done = 0;
  if (values.size() >= kLanes) {
    std::array<double, kLanes> r{};
    for (; done + kLanes <= values.size(); done += kLanes) {
      for (size_t lane = 0; lane < kLanes; ++lane) r[lane] += values[done + lane];
    }
    sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
  }
  for (; done < values.size(); ++done) sum += values[done];
  return sum;
}

}  // namespace

Blend blend_of(const std::vector<std::string>& words, const std::string& where) {
  const auto refuse = [&](std::string_view what, const std::string& got) {
    throw Error(ErrorKind::kConfig, where, what, {.got = got, .want = "prefixes, or weight prefix weight prefix ..."});
  };
  Blend blend;
  std::vector<double> weights;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string word = stripped(words[i]);
    const bool weight_place = words.size() % 2 == 0 && i % 2 == 0;
    const std::optional<double> weight = weight_place ? number_of(word) : std::nullopt;
    if (word.empty()) refuse("an empty name in a blend", "''");
    if (weight && weights.size() * 2 != i) refuse("a blend with weights for some only", word);
    if (weight && !(*weight > 0 && std::isfinite(*weight))) refuse("a weight that is not a positive number", word);
    if (weight)
      weights.push_back(*weight);
    else
      blend.prefixes.push_back(word);
  }
  if (blend.prefixes.empty()) refuse("names no data", "nothing");
  if (!weights.empty() && weights.size() != blend.prefixes.size())
    refuse("a blend with weights for some only", std::to_string(weights.size()) + " weights");
  if (!weights.empty()) blend.weights = std::move(weights);
  return blend;
}

std::vector<std::string> blend_words(const fs::path& path) { return words_of(read_text_file(path)); }

std::array<std::vector<std::string>, 3> blend_words_per_split(const fs::path& path) {
  const Json json = parse_json(read_text_file(path), path.string());
  std::array<std::vector<std::string>, 3> out;
  constexpr std::array<const char*, 3> kKeys{"train", "valid", "test"};
  for (size_t i = 0; i < kKeys.size(); ++i) {
    const auto found = json.is_object() ? json.find(kKeys[i]) : json.end();
    if (!json.is_object() || found == json.end())
      throw Error(ErrorKind::kInput, path.string(), std::string("has no blend \"") + kKeys[i] + "\"",
                  {.want = "an object with train, valid and test, each a text, a list of texts or null"});
    if (found->is_null()) continue;
    if (found->is_string()) {
      out[i] = words_of(found->get<std::string>());
      continue;
    }
    for (const Json& word : *found) {
      if (!found->is_array() || !word.is_string())
        throw Error(ErrorKind::kInput, path.string(), std::string("\"") + kKeys[i] + "\" is not a list of texts");
      out[i].push_back(word.get<std::string>());
    }
  }
  return out;
}

std::vector<double> normalized(const std::vector<double>& weights) {
  const double sum = numpy_sum(weights);
  std::vector<double> out;
  for (const double weight : weights) out.push_back(weight / sum);
  return out;
}

int64_t samples_for(double weight, int64_t num_samples, double surplus) {
  const double target = std::ceil(static_cast<double>(num_samples) * weight);
  return static_cast<int64_t>(std::ceil(target * (1 + surplus)));
}

}  // namespace rialto::data
