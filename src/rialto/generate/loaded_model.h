// A model opened for use from a HF folder or a native checkpoint, with what stands beside it.
#pragma once

#include <memory>
#include <optional>

#include "rialto/checkpoint/checkpoint.h"
#include "rialto/generate/generate.h"
#include "rialto/hub/hf_directory.h"
#include "rialto/hub/tokenizer.h"
#include "rialto/model/model.h"

namespace rialto::generate {

struct LoadedModel {
  spec::ModelSpec spec;
  checkpoint::Source source;
  std::unique_ptr<model::Weights> weights;
  std::unique_ptr<model::Model> model;
  /// Folder with tokenizer.json and generation_config.json: the HF folder, or rialto_source/ of the checkpoint.
  std::optional<fs::path> companions;
};

/// Loads the weights as `dtype` (default: as the source stores them) onto `device`. `training` allocates gradients.
/// Throws kInput.
LoadedModel open_model(const fs::path& path, std::optional<DType> dtype, at::Device device, bool training,
                       Progress* progress);

/// The model's tokenizer; nullopt when it has none beside it.
std::optional<hub::Tokenizer> open_tokenizer(const LoadedModel& model);

/// Sampling as generation_config.json asks (do_sample, temperature, top_p, top_k, repetition_penalty, max_new_tokens)
/// and its end-of-text ids; without that file greedy, and the model's end-of-text ids.
Sampling default_sampling(const LoadedModel& model);

}  // namespace rialto::generate
