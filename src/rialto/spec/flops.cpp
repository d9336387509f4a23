// Counts of parameters and of floating-point operations.
#include <algorithm>

#include "rialto/spec/param.h"

namespace rialto::spec {
namespace {

/// Sum over a token's keys, counted twice (scores and values) and averaged over a causal sequence: S for full
/// attention.
double keys_per_token(double seq_length, std::optional<int64_t> window) {
  const double reach = window ? std::min(seq_length, static_cast<double>(*window)) : seq_length;
  return reach * (2 - reach / seq_length);
}

/// Width of all heads times keys: the multiply-adds of attention itself per token.
double attention_width(const Attention& attention, double seq_length) {
  return static_cast<double>(attention.num_heads * attention.head_dim) * keys_per_token(seq_length, attention.window);
}
double attention_width(const LatentAttention& mla, double seq_length) {
  return static_cast<double>(mla.num_heads * (mla.qk_nope_dim + mla.qk_rope_dim + mla.v_head_dim)) / 2 * seq_length;
}

/// Multiply-adds of a weight per token: experts count as often as they are chosen; an embedding row is a look-up.
double weight_use(const Param& param, const ModelSpec& model) {
  if (param.shape.size() < 2) return 0;
  const double heads = 1 + static_cast<double>(model.mtp.size());  // each depth predicts through the model's head
  if (param.stack == Stack::kEmbedding) return param.tied_head ? heads : 0;
  if (param.stack == Stack::kHead) return heads;
  if (param.expert < 0) return 1;
  const auto& moe = std::get<MoeFfn>(layer_of(param, model)->ffn);
  return static_cast<double>(moe.router.top_k) / static_cast<double>(moe.num_experts);
}

}  // namespace

int64_t num_parameters(const ModelSpec& model) {
  int64_t count = 0;
  for (const Param& param : param_table(model))
    if (!param.buffer) count += num_elements(param.shape);
  return count;
}

double train_flops(const ModelSpec& model, double tokens, double seq_length) {
  double per_token = 0;
  for (const Param& param : param_table(model))
    per_token += weight_use(param, model) * static_cast<double>(num_elements(param.shape));
  const auto add_attention = [&](const Layer& layer) {
    per_token += std::visit([&](const auto& mixer) { return attention_width(mixer, seq_length); }, layer.mixer);
  };
  for (const Layer& layer : model.layers) add_attention(layer);
  for (const MtpBlock& block : model.mtp) add_attention(block.layer);
  return 6 * tokens * per_token;
}

}  // namespace rialto::spec
