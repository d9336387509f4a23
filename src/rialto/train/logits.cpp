// Token ids in, fp32 logits out, for other programs to compare.
#include "rialto/train/logits.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/checkpoint/tensors.h"
#include "rialto/formats/safetensors.h"

namespace rialto::train {
namespace {

/// Numbers of the layers with experts.
std::vector<size_t> expert_layers(const spec::ModelSpec& model) {
  std::vector<size_t> layers;
  for (size_t l = 0; l < model.layers.size(); ++l)
    if (std::holds_alternative<spec::MoeFfn>(model.layers[l].ffn)) layers.push_back(l);
  return layers;
}

/// `logits`, then the routes of `layers`.
std::vector<formats::SafetensorsEntry> entries_of(const spec::ModelSpec& model, const std::vector<size_t>& layers,
                                                  int64_t rows, int64_t length) {
  std::vector<formats::SafetensorsEntry> entries(1);
  entries[0].name = "logits";
  entries[0].dtype = DType::kF32;
  entries[0].shape = {rows, length, model.vocab};
  for (const size_t layer : layers) {
    formats::SafetensorsEntry& entry = entries.emplace_back();
    entry.name = fmt::format("routes.{}", layer);
    entry.dtype = DType::kI64;
    entry.shape = {rows * length, std::get<spec::MoeFfn>(model.layers[layer].ffn).router.top_k};
  }
  return entries;
}

}  // namespace

at::Tensor logits_of_row(const generate::LoadedModel& model, const std::vector<int64_t>& row, model::Routing* routing) {
  const at::NoGradGuard no_grad;
  at::Tensor tokens = at::empty({1, static_cast<int64_t>(row.size())}, at::kLong);
  std::copy(row.begin(), row.end(), tokens.data_ptr<int64_t>());
  const at::Tensor logits =
      model.model->forward_logits(tokens.to(model.weights->context().device), /*cache=*/nullptr, routing);
  return logits.select(0, 0).cpu().contiguous();
}

void write_logits(const generate::LoadedModel& model, const data::TokenRows& rows, bool routes, FileOps& ops,
                  const fs::path& out, Progress* progress) {
  Progress& shown = progress ? *progress : silent();
  const std::vector<size_t> layers = routes ? expert_layers(model.spec) : std::vector<size_t>{};
  if (routes && layers.empty())
    throw Error(ErrorKind::kUsage, "--routes", "this model has no experts to choose", {.got = model.spec.family});
  const std::vector<formats::SafetensorsEntry> entries =
      entries_of(model.spec, layers, static_cast<int64_t>(rows.size()), static_cast<int64_t>(rows.front().size()));
  std::vector<std::vector<at::Tensor>> chosen(layers.size());  // by layer: of each row [S, K]
  shown.begin("logits", rows.size(), "rows");
  const auto fill = [&](size_t index, const formats::ByteSink& sink) {
    if (index > 0) {
      for (const at::Tensor& experts_SK : chosen[index - 1]) checkpoint::push_bytes(experts_SK, sink);
      return;
    }
    uint64_t done = 0;
    for (const std::vector<int64_t>& row : rows) {
      check_cancelled(shown, "logits");
      model::Routing routing{.want_choices = true};
      checkpoint::push_bytes(logits_of_row(model, row, routes ? &routing : nullptr), sink);
      for (size_t l = 0; l < layers.size(); ++l) chosen[l].push_back(routing.choices.at(l).cpu().contiguous());
      shown.update(++done);
    }
  };
  replace_file(ops, out,
               [&](const fs::path& temporary) { formats::write_safetensors(ops, temporary, entries, {}, fill); });
  shown.end();
}

}  // namespace rialto::train
