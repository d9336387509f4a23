// Loss and every gradient in Hugging Face names.
#include "rialto/train/gradients.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/bridge/plan.h"
#include "rialto/families/family.h"
#include "rialto/formats/safetensors.h"
#include "rialto/train/step.h"

namespace rialto::train {
namespace {

GlobalBatch next_token_batch(const data::TokenRows& rows, at::Device device) {
  const auto length = static_cast<int64_t>(rows.front().size());
  const auto count = static_cast<int64_t>(rows.size());
  if (length < 2) throw Error(ErrorKind::kUsage, "gradients", "a row of one token has nothing to predict");
  model::Batch batch;
  batch.tokens_BS = at::empty({count, length}, at::kLong);
  for (int64_t row = 0; row < count; ++row) {
    std::copy(rows[static_cast<size_t>(row)].begin(), rows[static_cast<size_t>(row)].end(),
              batch.tokens_BS.data_ptr<int64_t>() + row * length);
  }
  batch.labels_BS = at::roll(batch.tokens_BS, -1, 1);
  batch.loss_weights_BS = at::ones({count, length}, at::kFloat);
  batch.loss_weights_BS.select(1, length - 1).zero_();
  batch.positions_BS = at::arange(length, at::kLong).repeat({count, 1});
  for (at::Tensor* tensor : {&batch.tokens_BS, &batch.labels_BS, &batch.loss_weights_BS, &batch.positions_BS})
    *tensor = tensor->to(device);
  batch.sample_numbers.assign(rows.size(), 0);
  GlobalBatch global;
  global.num_micro_batches = 1;
  global.total_weight = static_cast<double>(count * (length - 1));
  global.num_tokens = count * length;
  global.micro_batches.push_back(std::move(batch));
  return global;
}

}  // namespace

void write_gradients(const generate::LoadedModel& model, const data::TokenRows& rows, FileOps& ops, const fs::path& out,
                     double mtp_loss_scaling_factor) {
  const families::Family* family = families::find_by_name(model.spec.family);
  if (family == nullptr) throw Error(ErrorKind::kInternal, model.spec.family, "no such family");
  if (mtp_loss_scaling_factor != 0 && model.spec.mtp.empty())
    throw Error(ErrorKind::kUsage, "gradients", "the model holds no blocks of multi-token prediction",
                {.got = fmt::format("mtp_loss_scaling_factor {}", mtp_loss_scaling_factor), .want = "0", .hint = {}});
  const GlobalBatch batch = next_token_batch(rows, model.weights->context().device);
  model.model->set_objective({.mtp_loss_scaling_factor = mtp_loss_scaling_factor});
  const Iteration iteration = run_iteration(*model.model, *model.weights, batch, {});
  const auto loss = static_cast<float>(iteration.loss);
  const std::vector<float> mtp_losses(iteration.extra.mtp.begin(), iteration.extra.mtp.end());

  bridge::Map map = bridge::make_map(model.spec, family->params);
  for (auto* side : {&map.hf, &map.native}) {
    for (bridge::TensorInfo& tensor : *side) tensor.dtype = DType::kF32;
  }
  std::vector<at::Tensor> gradients;  // host copies, one per parameter
  for (const bridge::TensorInfo& tensor : map.native) {
    const at::Tensor& gradient = model.weights->at(tensor.name).main_grad;
    gradients.push_back(gradient.defined() ? gradient.cpu().contiguous() : gradient);
  }
  std::set<uint32_t> without;  // HF tensors of buffers: a router's selection bias
  for (const bridge::Piece& piece : map.pieces) {
    if (!piece.native.lo.empty() && !gradients[piece.native.tensor].defined()) without.insert(piece.hf.tensor);
  }
  bridge::Executor executor(
      map, bridge::Direction::kToHf, [&](uint32_t index, uint64_t begin, std::span<std::byte> bytes) {
        const auto* from = static_cast<const std::byte*>(gradients[index].const_data_ptr()) + begin;
        std::copy(from, from + bytes.size(), bytes.begin());
      });

  std::vector<formats::SafetensorsEntry> entries(1);
  entries[0].name = "loss";
  if (!mtp_losses.empty()) {
    formats::SafetensorsEntry& entry = entries.emplace_back();
    entry.name = "mtp_losses";
    entry.shape = {static_cast<int64_t>(mtp_losses.size())};
  }
  const size_t num_losses = entries.size();
  std::vector<uint32_t> tensors(num_losses);  // HF tensor of each entry behind the losses
  for (uint32_t index = 0; index < map.hf.size(); ++index) {
    if (without.contains(index)) continue;
    formats::SafetensorsEntry& entry = entries.emplace_back();
    entry.name = "grad." + map.hf[index].name;
    entry.shape = map.hf[index].shape;
    tensors.push_back(index);
  }
  const auto fill = [&](size_t index, const formats::ByteSink& sink) {
    if (index == 0)
      sink(std::as_bytes(std::span(&loss, 1)));
    else if (index < num_losses)
      sink(std::as_bytes(std::span(mtp_losses)));
    else
      executor.produce(tensors[index], sink);
  };
  replace_file(ops, out,
               [&](const fs::path& temporary) { formats::write_safetensors(ops, temporary, entries, {}, fill); });
}

}  // namespace rialto::train
