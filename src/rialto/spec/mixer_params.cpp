// Rows of attention. Names: Megatron-Core attention.py, multi_latent_attention.py; norms behind the output product as
// Megatron Bridge's TERowParallelLinearLayerNorm has them.
#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/spec/table.h"

namespace rialto::spec {
namespace {

/// Scaled over the heads that a rank has, or over all of them: then the weight is split as the heads are.
void add_qk_norms(Table& table, const Scope& at, const Attention& attention) {
  if (!attention.qk_norm) return;
  for (const auto& [stem, heads] : {std::pair("self_attention.q_layernorm.", attention.num_heads),
                                    {"self_attention.k_layernorm.", attention.num_groups}}) {
    if (attention.qk_norm_width == QkNormWidth::kFull) {
      table.norm(at, stem, heads * attention.head_dim, *attention.qk_norm, {}, 0);
      continue;
    }
    const size_t first = table.params.size();
    table.norm(at, stem, attention.head_dim, *attention.qk_norm);
    for (size_t i = first; i < table.params.size(); ++i) table.params[i].tensor_parallel_sum = true;
  }
}

void add_output(Table& table, const Scope& at, int64_t hidden, int64_t width, bool bias, const Layer& layer) {
  table.weight(at, "self_attention.linear_proj.weight", {hidden, width}, 1, Init::kResidual);
  if (bias) table.vector(at, "self_attention.linear_proj.bias", {hidden}, {}, Init::kZeros);
  if (layer.mixer_post_norm)
    table.norm(at, "self_attention.linear_proj.post_layernorm.", hidden, *layer.mixer_post_norm);
}

/// linear_qkv rows: per group its query heads, then its key head, then its value head, d rows each.
void add_attention(Table& table, const Scope& at, int64_t hidden, const Layer& layer, const Attention& attention) {
  const int64_t heads = attention.num_heads, groups = attention.num_groups, d = attention.head_dim;
  if (groups < 1 || heads < 1 || d < 1 || heads % groups != 0)
    throw Error(ErrorKind::kShape, at.name + "self_attention", "key/value heads do not divide the query heads",
                {.got = fmt::format("{} heads in {} groups of size {}", heads, groups, d)});
  if (layer.mixer_norm) table.norm(at, "self_attention.linear_qkv.layer_norm_", hidden, *layer.mixer_norm);
  table.weight(at, "self_attention.linear_qkv.weight", {groups, heads / groups + 2, d, hidden}, 0).by_key_head = true;
  if (attention.qkv_bias)
    table.vector(at, "self_attention.linear_qkv.bias", {groups, heads / groups + 2, d}, 0, Init::kZeros).by_key_head =
        true;
  add_qk_norms(table, at, attention);
  if (attention.sinks) table.vector(at, "self_attention.core_attention.softmax_offset", {heads}, 0, Init::kNormal);
  add_output(table, at, hidden, heads * d, attention.out_bias, layer);
}

/// Down projections are whole on every tensor-parallel rank; up projections split by heads.
void add_attention(Table& table, const Scope& at, int64_t hidden, const Layer& layer, const LatentAttention& mla) {
  const int64_t heads = mla.num_heads, qk_dim = mla.qk_nope_dim + mla.qk_rope_dim;
  if (layer.mixer_norm) table.norm(at, "input_layernorm.", hidden, *layer.mixer_norm);
  if (mla.q_lora_rank) {
    table.weight(at, "self_attention.linear_q_down_proj.weight", {*mla.q_lora_rank, hidden}, {}).sequence_parallel_sum =
        true;
    table.norm(at, "self_attention.linear_q_up_proj.layer_norm_", *mla.q_lora_rank, mla.latent_norm,
               "self_attention.q_layernorm.");
    table.weight(at, "self_attention.linear_q_up_proj.weight", {heads, qk_dim, *mla.q_lora_rank}, 0);
  } else {
    table.weight(at, "self_attention.linear_q_proj.weight", {heads, qk_dim, hidden}, 0);
  }
  table.weight(at, "self_attention.linear_kv_down_proj.weight", {mla.kv_lora_rank + mla.qk_rope_dim, hidden}, {})
      .sequence_parallel_sum = true;
  table.norm(at, "self_attention.linear_kv_up_proj.layer_norm_", mla.kv_lora_rank, mla.latent_norm,
             "self_attention.kv_layernorm.");
  table.weight(at, "self_attention.linear_kv_up_proj.weight",
               {heads, mla.qk_nope_dim + mla.v_head_dim, mla.kv_lora_rank}, 0);
  add_output(table, at, hidden, heads * mla.v_head_dim, false, layer);
}

}  // namespace

void add_mixer(Table& table, const Scope& at, int64_t hidden, const Layer& layer) {
  std::visit([&](const auto& mixer) { add_attention(table, at, hidden, layer, mixer); }, layer.mixer);
}

}  // namespace rialto::spec
