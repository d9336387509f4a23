// Opening a model for use.
#include "rialto/generate/loaded_model.h"

#include <ATen/core/grad_mode.h>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/checkpoint/tensors.h"
#include "rialto/hub/source_layout.h"

namespace rialto::generate {

LoadedModel open_model(const fs::path& path, std::optional<DType> dtype, at::Device device, bool training,
                       Progress* progress) {
  LoadedModel loaded;
  loaded.source = checkpoint::open_source(path);
  if (progress != nullptr) {
    for (const std::string& notice : loaded.source.notices) progress->notice(notice);
  }
  loaded.spec = loaded.source.model;
  if (dtype) loaded.spec.dtype = *dtype;
  if (loaded.spec.dtype == DType::kF16)
    loaded.spec.dtype = DType::kF32;  // no fp16 compute here; fp32 holds every fp16 value
  const model::Context context{device, checkpoint::scalar_type_of(loaded.spec.dtype)};
  loaded.weights = std::make_unique<model::Weights>(loaded.spec, spec::Layout{}, spec::Coords{}, context, training);
  checkpoint::load_weights(loaded.source, *loaded.weights, progress);
  const auto layers = static_cast<int64_t>(loaded.spec.layers.size());
  loaded.model =
      std::make_unique<model::Model>(loaded.spec, *loaded.weights, comm::Mesh{}, spec::stage_range(layers, {}, 0));
  const fs::path folder = loaded.source.native ? loaded.source.path / hub::kSourceFolder : loaded.source.path;
  if (fs::is_directory(folder)) loaded.companions = folder;
  return loaded;
}

std::optional<hub::Tokenizer> open_tokenizer(const LoadedModel& model) {
  if (!model.companions || !fs::exists(*model.companions / "tokenizer.json")) return std::nullopt;
  return hub::Tokenizer(*model.companions);
}

Sampling default_sampling(const LoadedModel& model) {
  Sampling sampling;
  sampling.stop_ids = model.spec.eos_token_ids;
  if (!model.companions || !fs::exists(*model.companions / "config.json")) return sampling;
  const hub::GenerationConfig config = hub::read_generation_config(*model.companions);
  if (!config.eos_token_ids.empty()) sampling.stop_ids = config.eos_token_ids;
  sampling.greedy = !config.do_sample;
  sampling.temperature = config.temperature;
  sampling.top_p = config.top_p;
  sampling.top_k = config.do_sample ? config.top_k : 0;
  sampling.repetition_penalty = config.repetition_penalty;
  if (config.max_new_tokens) sampling.max_new_tokens = *config.max_new_tokens;
  return sampling;
}

}  // namespace rialto::generate
