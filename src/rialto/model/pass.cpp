// Rotation tables and key ranges of one forward pass.
#include "rialto/model/pass.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "rialto/base/error.h"
#include "rialto/model/rope.h"

namespace rialto::model {
namespace {

struct HostRange {
  at::Tensor first, last;
  int32_t *first_at, *last_at;
  HostRange(int64_t rows, int64_t tokens)
      : first(at::empty({rows, tokens}, at::kInt)),
        last(at::empty({rows, tokens}, at::kInt)),
        first_at(first.data_ptr<int32_t>()),
        last_at(last.data_ptr<int32_t>()) {}
  void set(int64_t i, int64_t from, int64_t to) {
    first_at[i] = static_cast<int32_t>(from);
    last_at[i] = static_cast<int32_t>(to);
  }
  kernels::KeyRange on(const at::Device& device) const { return {first.to(device), last.to(device)}; }
};

/// Keys that a cache holds must have been turned as the new ones will be.
void check_rotation(const AttentionContext& context) {
  const Cache* cache = context.cache;
  if (!cache || cache->rotation_limit == INT64_MAX || cache->next_position == 0) return;
  const int64_t limit = cache->rotation_limit;
  const bool was_long = std::max(cache->num_positions, cache->next_position) > limit;
  if (was_long || context.positions_BS.max().item<int64_t>() < limit) return;
  throw Error(ErrorKind::kInternal, "rope", "the text outgrew the rotation of the cached keys",
              {.got = {}, .want = {}, .hint = "extend_text says when to start again"});
}

}  // namespace

std::string rope_key(const spec::Rope& rope) {
  std::string key = fmt::format("{} {} {}", rope.base, rope.dim, static_cast<int>(rope.pairing));
  if (const auto* linear = std::get_if<spec::LinearScaling>(&rope.scaling))
    key += fmt::format(" linear {}", linear->factor);
  if (const auto* llama3 = std::get_if<spec::Llama3Scaling>(&rope.scaling)) {
    key += fmt::format(" llama3 {} {} {} {}", llama3->factor, llama3->low_freq_factor, llama3->high_freq_factor,
                       llama3->original_max_positions);
  }
  if (const auto* yarn = std::get_if<spec::YarnScaling>(&rope.scaling)) {
    key += fmt::format(" yarn {} {} {} {} {} {}", yarn->factor, yarn->beta_fast, yarn->beta_slow,
                       yarn->original_max_positions, spec::attention_factor(*yarn), yarn->truncate);
  }
  if (const auto* longer = std::get_if<spec::LongRopeScaling>(&rope.scaling)) {
    key += fmt::format(" longrope {} {} {} {}", fmt::join(longer->short_factors, ","),
                       fmt::join(longer->long_factors, ","), longer->original_max_positions, longer->attention_factor);
  }
  return key;
}

kernels::KeyRange key_range(int64_t rows, int64_t tokens, const at::Tensor& documents_BS, std::optional<int64_t> window,
                            const at::Device& device) {
  HostRange range(rows, tokens);
  const at::Tensor documents =
      documents_BS.defined() ? documents_BS.to(at::kCPU, at::kLong).contiguous() : documents_BS;
  for (int64_t b = 0; b < rows; ++b) {
    const int64_t* document = documents.defined() ? documents.const_data_ptr<int64_t>() + b * tokens : nullptr;
    std::set<int64_t> seen;
    int64_t start = 0;
    for (int64_t i = 0; i < tokens; ++i) {
      if (document && (i == 0 || document[i] != document[i - 1])) {
        start = i;
        if (!seen.insert(document[i]).second) {
          throw Error(ErrorKind::kInput, "batch", fmt::format("document {} of row {} is in two places", document[i], b),
                      {.got = {}, .want = "the tokens of a document side by side", .hint = {}});
        }
      }
      range.set(b * tokens + i, window ? std::max(start, i - *window + 1) : start, i + 1);
    }
  }
  return range.on(device);
}

kernels::KeyRange cached_key_range(int64_t rows, int64_t tokens, int64_t held, std::optional<int64_t> window,
                                   const at::Device& device) {
  HostRange range(rows, tokens);
  for (int64_t b = 0; b < rows; ++b) {
    for (int64_t i = 0; i < tokens; ++i) {
      range.set(b * tokens + i, window ? std::max<int64_t>(0, held + i - *window + 1) : 0, held + i + 1);
    }
  }
  return range.on(device);
}

at::Tensor context_places(int64_t sequence, int index, int size) {
  if (size == 1) return at::arange(sequence, at::kLong);
  const int64_t chunk = sequence / (2 * size), from_end = 2 * size - 1 - index;
  return at::cat({at::arange(index * chunk, (index + 1) * chunk, at::kLong),
                  at::arange(from_end * chunk, (from_end + 1) * chunk, at::kLong)});
}

const kernels::RopeTable& Pass::rope(const std::optional<spec::Rope>& rope) {
  if (!rope) return none_;
  auto [entry, fresh] = ropes_.try_emplace(rope_key(*rope));
  if (fresh) {
    check_rotation(context_);
    const int64_t num_positions = context_.cache ? context_.cache->num_positions : 0;
    entry->second = rope_table(*rope, context_.positions_BS.reshape({-1}), num_positions);
  }
  return entry->second;
}

kernels::Dropout Pass::dropout(double probability, const std::string& place) const {
  kernels::Dropout dropout{.probability = probability};
  if (!dropout.active()) return dropout;
  for (const int64_t sample : context_.dropping.samples)
    dropout.rows.emplace_back(context_.dropping.seed, fmt::format("dropout/{}/{}", place, sample));
  return dropout;
}

std::vector<kernels::Dropout::Run> Pass::token_runs() const {
  std::vector<kernels::Dropout::Run> runs;
  const auto [first, count] = share_.outside.value_or(kernels::Dropout::Run{0, rows_ * tokens_});
  const at::Tensor own = places(share_.part);
  const int64_t* place = own.const_data_ptr<int64_t>();
  for (int64_t i = first; i < first + count; ++i) {
    const int64_t token = i / tokens_ * share_.sequence + place[i % tokens_];
    if (!runs.empty() && runs.back().first + runs.back().count == token)
      ++runs.back().count;
    else
      runs.push_back({token, 1});
  }
  return runs;
}

kernels::Dropout Pass::hidden_dropout(const std::string& place) const {
  kernels::Dropout of = dropout(context_.dropping.hidden, place);
  of.sample_tokens = share_.sequence;
  of.runs = runs_;
  return of;
}

const kernels::KeyRange& Pass::range(std::optional<int64_t> window, Part part) {
  auto [entry, fresh] = ranges_.try_emplace({window.value_or(0), part});
  if (!fresh) return entry->second;
  const at::Device device = context_.positions_BS.device();
  entry->second = key_range(rows_, share_.sequence, context_.documents_BS, window, device);
  if (part.size == 1) return entry->second;
  const at::Tensor queries = places(part).to(device);
  for (at::Tensor* end : {&entry->second.first_BS, &entry->second.last_BS}) *end = end->index_select(1, queries);
  return entry->second;
}

const Ring& Pass::ring(std::optional<int64_t> window, Part part) {
  auto [entry, fresh] = rings_.try_emplace({window.value_or(0), part});
  if (fresh) entry->second = ring_steps(range(window, part), share_.sequence, part);
  return entry->second;
}

Ring ring_steps(const kernels::KeyRange& range, int64_t sequence, Part part) {
  const int64_t chunk = sequence / (2 * part.size);
  const at::Device device = range.first_BS.device();
  const at::Tensor first_BS = range.first_BS.cpu(), last_BS = range.last_BS.cpu();
  Ring ring;
  for (int t = 0; t < part.size; ++t) {
    const int other = (part.index + part.size - t) % part.size;
    // How many of the other's keys lie before a place. Keys that a query sees are side by side there too: one that sees
    // keys of both its chunks sees all that lies between them.
    const auto before = [&](const at::Tensor& place) {
      return at::clamp(place - other * chunk, 0, chunk) +
             at::clamp(place - (2 * part.size - 1 - other) * chunk, 0, chunk);
    };
    const at::Tensor first = before(first_BS), last = before(last_BS), sees = first < last;
    RingStep step;
    if (const at::Tensor queries = at::nonzero(sees.any(0)); queries.numel() > 0) {
      step.first_query = queries.min().item<int64_t>();
      step.queries = queries.max().item<int64_t>() + 1 - step.first_query;
      step.first_key = first.masked_select(sees).min().item<int64_t>();
      step.keys = last.masked_select(sees).max().item<int64_t>() - step.first_key;
      const auto from_there = [&](const at::Tensor& end) {
        const at::Tensor own = end.narrow(1, step.first_query, step.queries) - step.first_key;
        return at::clamp(own, 0, step.keys).contiguous().to(device);
      };
      step.range = {from_there(first), from_there(last)};
      step.places = {
          .queries = sequence,
          .keys = sequence,
          .query_S = context_places(sequence, part.index, part.size).narrow(0, step.first_query, step.queries),
          .key_K = context_places(sequence, other, part.size).narrow(0, step.first_key, step.keys)};
    }
    ring.push_back(step);
  }
  return ring;
}

}  // namespace rialto::model
