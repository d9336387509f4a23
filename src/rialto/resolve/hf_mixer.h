// Attention of a config.json, layer by layer.
#pragma once

#include <optional>

#include "rialto/resolve/hf_config.h"
#include "rialto/spec/model_spec.h"

namespace rialto::resolve {

/// DeepSeek's YaRN scales scores too. Source: transformers modeling_deepseek_v3.py, yarn_apply_mscale.
double latent_softmax_scale(const spec::LatentAttention& latent);

class MixerReader {
 public:
  /// Reads what all layers share. Throws kInput for sizes that do not fit each other.
  MixerReader(const HfConfig& config, const spec::Norm& norm, int64_t hidden, int64_t max_positions);

  /// The mixer of a layer with this window; `mixed`: the model has layers with a window.
  spec::Mixer mixer(std::optional<int64_t> window, bool mixed) const;

 private:
  void read_attention(const HfConfig& config, const spec::Norm& norm, int64_t hidden);
  void read_latent(const HfConfig& config);

  spec::Attention attention_;
  std::optional<spec::LatentAttention> latent_;
  std::optional<spec::Rope> local_rope_;
  bool no_rope_without_window_ = false;
};

}  // namespace rialto::resolve
