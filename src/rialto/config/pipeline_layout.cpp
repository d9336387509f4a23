// Parsing of pipeline layouts.
#include "rialto/config/pipeline_layout.h"

#include <charconv>
#include <string>

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::config {
namespace {

constexpr size_t kMostLetters = size_t{1} << 16;

[[noreturn]] void refuse(std::string_view what, std::string got) {
  throw Error(ErrorKind::kConfig, "pipeline layout", what,
              {.got = std::move(got), .want = "E, t, m, L, |, x*n and (...)*n"});
}

/// Replaces repetitions by what they stand for.
class Unroller {
 public:
  explicit Unroller(std::string_view text) : rest_(text) {}

  std::string unroll() {
    std::string out;
    while (!rest_.empty()) {
      const std::string unit = next_unit();
      const int64_t times = repetitions();
      if (unit.size() * static_cast<size_t>(times) + out.size() > kMostLetters) refuse("too many layers", "");
      for (int64_t i = 0; i < times; ++i) out += unit;
    }
    return out;
  }

 private:
  std::string next_unit() {
    if (rest_.front() != '(') {
      const std::string letter(rest_.substr(0, 1));
      if (std::string_view("EtmL|").find(letter) == std::string_view::npos) refuse("unknown letter", letter);
      rest_.remove_prefix(1);
      return letter;
    }
    const size_t end = rest_.find(')');
    if (end == std::string_view::npos) refuse("a bracket is not closed", std::string(rest_));
    const std::string_view inside = rest_.substr(1, end - 1);
    if (inside.empty() || inside.find('(') != std::string_view::npos) refuse("brackets", std::string(inside));
    rest_.remove_prefix(end + 1);
    if (!rest_.starts_with('*')) refuse("brackets without *n", std::string(inside));
    return Unroller(inside).unroll();
  }

  int64_t repetitions() {
    if (!rest_.starts_with('*')) return 1;
    int64_t times = 0;
    const char* const first = rest_.data() + 1;
    const auto [end, error] = std::from_chars(first, rest_.data() + rest_.size(), times);
    if (error != std::errc() || times < 1 || times > static_cast<int64_t>(kMostLetters))
      refuse("* needs a number from 1", std::string(rest_));
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    return times;
  }

  std::string_view rest_;
};

int64_t& count_of(LayoutStage& stage, char letter) {
  switch (letter) {
    case 'E':
      return stage.embedding;
    case 'm':
      return stage.mtp;
    case 'L':
      return stage.loss;
    default:
      return stage.decoders;
  }
}

}  // namespace

std::vector<LayoutStage> parse_pipeline_layout(std::string_view text) {
  std::string letters;
  for (const char c : text)
    if (c != ',' && c != ' ') letters += c;
  std::vector<LayoutStage> stages(1);
  char last = 'E';
  for (const char letter : Unroller(letters).unroll()) {
    if (letter == '|') {
      stages.emplace_back();
      continue;
    }
    // E t m L is the only order in which a model runs.
    if (std::string_view("EtmL").find(letter) < std::string_view("EtmL").find(last))
      refuse("layers in an order that no model has", std::string(text));
    last = letter;
    ++count_of(stages.back(), letter);
  }
  return stages;
}

std::string_view misplaced_layer(const std::vector<LayoutStage>& stages) {
  LayoutStage all;
  int64_t with_mtp = 0;
  for (const LayoutStage& stage : stages) {
    all.embedding += stage.embedding;
    all.loss += stage.loss;
    with_mtp += stage.mtp > 0;
  }
  if (all.embedding != 1 || stages.front().embedding != 1) return "the first stage has the embedding, once";
  if (all.loss != 1 || stages.back().loss != 1) return "the last stage has the loss, once";
  if (with_mtp > 1) return "all prediction blocks are in one stage";
  return "";
}

int64_t pipeline_chunks(const ParallelKeys& keys) {
  if (keys.pipeline_model_parallel_layout.empty()) return keys.virtual_pipeline_model_parallel_size.value_or(1);
  const auto stages = static_cast<int64_t>(parse_pipeline_layout(keys.pipeline_model_parallel_layout).size());
  return stages / keys.pipeline_model_parallel_size;
}

std::vector<int64_t> layers_of_stages(const ParallelKeys& keys, int64_t num_layers) {
  std::vector<int64_t> layers;
  if (!keys.pipeline_model_parallel_layout.empty()) {
    for (const LayoutStage& stage : parse_pipeline_layout(keys.pipeline_model_parallel_layout))
      layers.push_back(stage.decoders);
    return layers;
  }
  const int64_t ranks = keys.pipeline_model_parallel_size, chunks = pipeline_chunks(keys);
  const auto &first = keys.num_layers_in_first_pipeline_stage, &last = keys.num_layers_in_last_pipeline_stage;
  if (first || last) {
    const int64_t others = ranks - (first ? 1 : 0) - (last ? 1 : 0);
    const int64_t each = others > 0 ? (num_layers - first.value_or(0) - last.value_or(0)) / others : 0;
    for (int64_t stage = 0; stage < ranks * chunks; ++stage) {
      const int64_t rank = stage % ranks;
      const int64_t of_rank = rank == 0 && first ? *first : rank == ranks - 1 && last ? *last : each;
      layers.push_back(of_rank / chunks);
    }
    return layers;
  }
  const int64_t embedding = keys.account_for_embedding_in_pipeline_split,
                loss = keys.account_for_loss_in_pipeline_split;
  if (embedding + loss == 0) return {};
  layers.assign(static_cast<size_t>(ranks * chunks), (num_layers + embedding + loss) / (ranks * chunks));
  layers.front() -= embedding;
  layers.back() -= loss;
  return layers;
}

}  // namespace rialto::config
