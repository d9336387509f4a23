// Attention of a `model:` section. Source: Megatron-Core 0.16.1 transformer/attention.py, multi_latent_attention.py.
#include <cmath>

#include <fmt/format.h>

#include "rialto/resolve/hf_mixer.h"
#include "rialto/resolve/limits.h"
#include "rialto/resolve/section_parts.h"
#include "rialto/resolve/section_rope.h"

namespace rialto::resolve {
namespace {

using bridge::ConfigKind;

int64_t read_head_dim(const YamlSection& keys, int64_t hidden, int64_t heads) {
  if (!keys.find("kv_channels") && hidden % heads != 0)
    throw keys.bad("kv_channels", fmt::format("a head size: {} heads do not divide {}", heads, hidden));
  const int64_t head_dim = keys.size_or("kv_channels", kMaxSize, std::max<int64_t>(hidden / heads, 1));
  if (head_dim % 2 != 0) throw keys.bad("kv_channels", "an even head size, for rotary embeddings");
  return head_dim;
}

/// Gemma 2's provider says the number whose inverse root it is.
double read_scale(const SectionSource& source, int64_t head_dim) {
  const YamlSection& keys = source.keys;
  const double usual = 1 / std::sqrt(static_cast<double>(head_dim));
  double scale = keys.number_or("softmax_scale", 1e-12, kLargest, usual);
  if (keys.find("query_pre_attn_scalar")) {
    const double said = 1 / std::sqrt(keys.number_or("query_pre_attn_scalar", 1e-6, kLargest, 1));
    if (keys.find("softmax_scale") && said != scale)
      throw keys.bad("query_pre_attn_scalar", "the number whose inverse root softmax_scale is");
    scale = said;
  }
  if (scale != usual && !source.open(ConfigKind::kQueryScalar))
    throw keys.not_computed(keys.find("softmax_scale") ? "softmax_scale" : "query_pre_attn_scalar",
                            fmt::format("null ({})", source.family.title));
  return scale;
}

}  // namespace

spec::Attention read_section_attention(const SectionSource& source, int64_t hidden, const spec::Norm& norm) {
  const YamlSection& keys = source.keys;
  const families::Traits& traits = source.traits();
  source.fixed("multi_latent_attention", "false");
  const int64_t heads = keys.size("num_attention_heads", kMaxSize);
  spec::Attention attention{.num_heads = heads,
                            .num_groups = keys.size_or("num_query_groups", kMaxSize, heads),
                            .head_dim = read_head_dim(keys, hidden, heads),
                            .qk_norm_width = traits.qk_norm_width,
                            .sinks = traits.sinks,
                            .rope = {}};
  if (heads % attention.num_groups != 0) throw keys.bad("num_query_groups", fmt::format("a divisor of {}", heads));
  const Json bias = source.usual(ConfigKind::kAttentionBias), normed = source.usual(ConfigKind::kQkNorm);
  attention.qkv_bias =
      source.flag("add_qkv_bias", !bias.is_null(), bias.is_boolean() ? bias.get<bool>() : traits.qkv_bias);
  attention.out_bias = attention.qkv_bias && traits.bias_of_output;
  if (source.flag("qk_layernorm", !normed.is_null(), normed.is_boolean() ? normed.get<bool>() : traits.qk_norm))
    attention.qk_norm = norm;
  attention.softmax_scale = read_scale(source, attention.head_dim);
  attention.softcap = source.number_if(ConfigKind::kAttentionSoftcap, "attn_logit_softcapping", 0, 0);
  source.fixed("softmax_type", traits.sinks ? "learnable" : "vanilla", traits.sinks);
  return attention;
}

spec::LatentAttention read_section_latent(const SectionSource& source) {
  const YamlSection& keys = source.keys;
  source.fixed("multi_latent_attention", "true", true);
  source.fixed("qk_layernorm", "true");  // the norms of latents
  source.fixed("add_qkv_bias", "false");
  source.fixed("softmax_scale", "null");
  source.fixed("softmax_type", "vanilla");
  source.fixed("attn_logit_softcapping", "null");
  spec::LatentAttention latent{.num_heads = keys.size("num_attention_heads", kMaxSize),
                               .kv_lora_rank = keys.size("kv_lora_rank", kMaxSize),
                               .qk_nope_dim = keys.size("qk_head_dim", kMaxSize),
                               .qk_rope_dim = keys.size("qk_pos_emb_head_dim", kMaxSize),
                               .v_head_dim = keys.size("v_head_dim", kMaxSize),
                               .latent_norm = {.eps = source.traits().latent_eps},
                               .rope = {}};
  if (const int64_t rank = source.size_if(ConfigKind::kQLoraRank, "q_lora_rank", kMaxSize)) latent.q_lora_rank = rank;
  if (latent.qk_rope_dim % 2 != 0) throw keys.bad("qk_pos_emb_head_dim", "an even number, for rotary embeddings");
  latent.rope = read_latent_rope(source, latent.qk_rope_dim);
  latent.softmax_scale = latent_softmax_scale(latent);
  return latent;
}

}  // namespace rialto::resolve
