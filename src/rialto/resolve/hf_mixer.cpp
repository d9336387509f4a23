// Attention of a config.json. Source: transformers 5.23, the attention classes of the families.
#include "rialto/resolve/hf_mixer.h"

#include <cmath>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/resolve/limits.h"
#include "rialto/resolve/rope_config.h"

namespace rialto::resolve {
namespace {

using bridge::ConfigKind;

double inverse_root(double value) { return 1 / std::sqrt(value); }

int64_t read_head_dim(const HfConfig& config, int64_t hidden, int64_t heads) {
  if (config.has(ConfigKind::kHeadDim))
    if (const auto head_dim = config.integer_or_null(ConfigKind::kHeadDim, 1, kMaxSize)) return *head_dim;
  if (hidden % heads != 0)
    throw config.bad(ConfigKind::kHeads, "does not divide hidden_size, and no head_dim is given",
                     {.got = fmt::format("{} heads of {}", heads, hidden)});
  return hidden / heads;
}

std::optional<double> softcap(const HfConfig& config, ConfigKind kind) {
  if (!config.has(kind) || config.value(kind).is_null()) return {};
  return config.number(kind, 1e-6, kLargest);
}

}  // namespace

double latent_softmax_scale(const spec::LatentAttention& latent) {
  const double scale = inverse_root(static_cast<double>(latent.qk_nope_dim + latent.qk_rope_dim));
  const auto* yarn = std::get_if<spec::YarnScaling>(&latent.rope->scaling);
  if (!yarn || yarn->mscale_all_dim.value_or(0) == 0) return scale;
  const double mscale = spec::yarn_mscale(yarn->factor, *yarn->mscale_all_dim);
  return scale * mscale * mscale;
}

MixerReader::MixerReader(const HfConfig& config, const spec::Norm& norm, int64_t hidden, int64_t max_positions)
    : no_rope_without_window_(config.family().traits.no_rope_without_window) {
  read_attention(config, norm, hidden);
  if (config.family().traits.latent) read_latent(config);
  const int64_t turning = latent_ ? latent_->qk_rope_dim : attention_.head_dim;
  Ropes ropes = read_ropes(config, turning, max_positions);
  if (latent_) {
    latent_->rope = ropes.global;
    latent_->softmax_scale = latent_softmax_scale(*latent_);
  }
  attention_.rope = std::move(ropes.global);
  local_rope_ = std::move(ropes.local);
}

void MixerReader::read_attention(const HfConfig& config, const spec::Norm& norm, int64_t hidden) {
  const families::Traits& traits = config.family().traits;
  attention_.num_heads = config.integer(ConfigKind::kHeads, 1, kMaxSize);
  attention_.num_groups = config.integer_or_null(ConfigKind::kGroups, 1, kMaxSize).value_or(attention_.num_heads);
  if (attention_.num_heads % attention_.num_groups != 0)
    throw config.bad(ConfigKind::kGroups, "does not divide the attention heads",
                     {.got = fmt::format("{} heads, {} key/value heads", attention_.num_heads, attention_.num_groups)});
  if (traits.latent) return;
  attention_.head_dim = read_head_dim(config, hidden, attention_.num_heads);
  attention_.qkv_bias =
      config.has(ConfigKind::kAttentionBias) ? config.boolean(ConfigKind::kAttentionBias) : traits.qkv_bias;
  attention_.out_bias = attention_.qkv_bias && traits.bias_of_output;
  if (config.has(ConfigKind::kQkNorm) ? config.boolean(ConfigKind::kQkNorm) : traits.qk_norm) attention_.qk_norm = norm;
  attention_.qk_norm_width = traits.qk_norm_width;
  attention_.sinks = traits.sinks;
  attention_.softcap = softcap(config, ConfigKind::kAttentionSoftcap);
  attention_.softmax_scale =
      inverse_root(config.has(ConfigKind::kQueryScalar) ? config.number(ConfigKind::kQueryScalar, 1e-6, kLargest)
                                                        : static_cast<double>(attention_.head_dim));
}

void MixerReader::read_latent(const HfConfig& config) {
  if (attention_.num_groups != attention_.num_heads)
    throw config.bad(ConfigKind::kGroups, "must equal the attention heads: a latent is projected up for each of them",
                     {.got = fmt::to_string(attention_.num_groups), .want = fmt::to_string(attention_.num_heads)});
  spec::LatentAttention& latent = latent_.emplace();
  latent.num_heads = attention_.num_heads;
  if (config.has(ConfigKind::kQLoraRank))
    latent.q_lora_rank = config.integer_or_null(ConfigKind::kQLoraRank, 1, kMaxSize);
  latent.kv_lora_rank = config.integer(ConfigKind::kKvLoraRank, 1, kMaxSize);
  latent.qk_nope_dim = config.integer(ConfigKind::kQkNopeDim, 1, kMaxSize);
  latent.qk_rope_dim = config.integer(ConfigKind::kQkRopeDim, 1, kMaxSize);
  latent.v_head_dim = config.integer(ConfigKind::kVHeadDim, 1, kMaxSize);
  latent.latent_norm = {.eps = config.family().traits.latent_eps};
}

spec::Mixer MixerReader::mixer(std::optional<int64_t> window, bool mixed) const {
  if (latent_) return *latent_;
  spec::Attention attention = attention_;
  attention.window = window;
  if (window && local_rope_) attention.rope = local_rope_;
  if (!window && mixed && no_rope_without_window_) attention.rope.reset();
  return attention;
}

}  // namespace rialto::resolve
