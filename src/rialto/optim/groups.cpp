// Groups by name and shape; segments by walking weights and owned ranges side by side.
#include "rialto/optim/groups.h"

#include <algorithm>
#include <cmath>

#include "rialto/base/error.h"

namespace rialto::optim {
namespace {

bool is_embedding_or_output(const spec::Param& param) {
  return param.name == "embedding.word_embeddings.weight" || param.name == "output_layer.weight";
}

bool is_qk_norm(const spec::Param& param) {
  return param.name.find("q_layernorm.") != std::string::npos || param.name.find("k_layernorm.") != std::string::npos;
}

/// Runs of weights that are updated alike, in ascending order.
std::vector<Segment> runs_of(const model::Weights& weights, const Options& options) {
  std::vector<size_t> order;
  for (size_t i = 0; i < weights.all().size(); ++i)
    if (!weights.all()[i].param.buffer) order.push_back(i);
  std::ranges::stable_sort(order, {}, [&](size_t i) { return weights.all()[i].offset; });
  std::vector<Segment> runs;
  bool joins = false;  // the weight before this one ends the last run
  for (const size_t i : order) {
    const model::Weight& weight = weights.all()[i];
    const Segment next{.range = {weight.offset, weight.offset + weight.size},
                       .group = group_of(weight.param, options),
                       .rule = rule_of(weight.param, options),
                       .weight = i};
    if (joins && !weight.frozen && next.rule != Kind::kMuon && runs.back().rule == next.rule &&
        runs.back().group == next.group)
      runs.back().range.end = next.range.end;
    else if (!weight.frozen)
      runs.push_back(next);
    joins = !weight.frozen;
  }
  return runs;
}

void offload(std::vector<Segment>& segments, double fraction) {
  int64_t total = 0;
  for (const Segment& segment : segments) total += segment.range.size();
  auto left = static_cast<int64_t>(std::llround(fraction * static_cast<double>(total)));
  for (size_t i = 0; i < segments.size() && left > 0; ++i) {
    if (segments[i].range.size() > left) {
      Segment rest = segments[i];
      rest.range.begin = segments[i].range.end = segments[i].range.begin + left;
      segments.insert(segments.begin() + static_cast<ptrdiff_t>(i) + 1, rest);
    }
    segments[i].offloaded = true;
    left -= segments[i].range.size();
  }
}

}  // namespace

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::kAdam:
      return "adam";
    case Kind::kSgd:
      return "sgd";
    case Kind::kLion:
      return "lion";
    case Kind::kMuon:
      return "muon";
  }
  return "";
}

Group group_of(const spec::Param& param, const Options& options) {
  return {.decoupled_lr = is_embedding_or_output(param),
          .decay = param.weight_decay || (options.decay_qk_norms && is_qk_norm(param))};
}

Kind rule_of(const spec::Param& param, const Options& options) {
  if (options.kind != Kind::kMuon) return options.kind;
  return param.shape.size() == 2 && !is_embedding_or_output(param) ? Kind::kMuon : Kind::kAdam;
}

std::vector<const char*> moment_names(Kind rule, const Options& options) {
  switch (rule) {
    case Kind::kAdam:
      return {"exp_avg", "exp_avg_sq"};
    case Kind::kLion:
      return {"exp_avg"};
    case Kind::kSgd:
      return options.sgd_momentum > 0 ? std::vector<const char*>{"momentum_buffer"} : std::vector<const char*>{};
    case Kind::kMuon:
      return {"momentum_buffer"};
  }
  return {};
}

std::vector<Segment> make_segments(const model::Weights& weights, const Options& options,
                                   const std::vector<Range>& owned) {
  const std::vector<Segment> runs = runs_of(weights, options);
  std::vector<Segment> segments;
  auto first = runs.begin();
  for (const Range& range : owned) {
    while (first != runs.end() && first->range.end <= range.begin) ++first;
    for (auto run = first; run != runs.end() && run->range.begin < range.end; ++run) {
      Segment part = *run;
      part.range = {std::max(run->range.begin, range.begin), std::min(run->range.end, range.end)};
      if (part.rule == Kind::kMuon && part.range != run->range)
        throw Error(ErrorKind::kInternal, weights.all()[part.weight].param.name, "Muon updates whole weights only");
      segments.push_back(part);
    }
  }
  offload(segments, options.offload_fraction);
  return segments;
}

}  // namespace rialto::optim
