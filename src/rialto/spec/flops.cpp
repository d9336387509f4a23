// Counts of parameters and of floating-point operations.
#include "rialto/spec/flops.h"

#include <algorithm>

namespace rialto::spec {
namespace {

/// Width of queries and of values over all heads, and the window.
std::pair<int64_t, double> pair_width(const Attention& attention) {
  return {attention.window.value_or(0), 2 * static_cast<double>(attention.num_heads * attention.head_dim)};
}
std::pair<int64_t, double> pair_width(const LatentAttention& mla) {
  return {0, static_cast<double>(mla.num_heads * (mla.qk_nope_dim + mla.qk_rope_dim + mla.v_head_dim))};
}

/// How often a weight is used per token: experts as often as they are chosen; an embedding row is a look-up.
double weight_use(const Param& param, const ModelSpec& model) {
  if (param.shape.size() < 2) return 0;
  const double heads = 1 + static_cast<double>(model.mtp.size());  // each depth predicts through the model's head
  if (param.stack == Stack::kEmbedding) return param.tied_head ? heads : 0;
  if (param.stack == Stack::kHead) return heads;
  if (param.expert < 0) return 1;
  const auto& moe = std::get<MoeFfn>(layer_of(param, model)->ffn);
  return static_cast<double>(moe.router.top_k) / static_cast<double>(moe.num_experts);
}

bool is_gate(const Param& param) {
  return param.name.ends_with("mlp.router.weight") || param.name.ends_with("shared_experts.gate_weight");
}

/// Norms that Megatron counts like products.
double counted_norms(const ModelSpec& model) {
  const auto latent = [](const Layer& layer) {
    const auto* mla = std::get_if<LatentAttention>(&layer.mixer);
    return mla ? static_cast<double>(mla->q_lora_rank.value_or(0) + mla->kv_lora_rank) : 0.0;
  };
  double sum = 0;
  for (const Layer& layer : model.layers) sum += latent(layer);
  for (const MtpBlock& block : model.mtp) sum += latent(block.layer) + 3 * static_cast<double>(model.hidden);
  return sum;
}

/// Unmasked query-key pairs of a document: query i sees min(i, window) keys.
double causal_pairs(double length, double window) {
  if (window == 0 || window >= length) return length * (length + 1) / 2;
  return window * (window + 1) / 2 + (length - window) * window;
}

}  // namespace

int64_t num_parameters(const ModelSpec& model) {
  int64_t count = 0;
  for (const Param& param : param_table(model))
    if (!param.buffer) count += num_elements(param.shape);
  return count;
}

FlopCounter::FlopCounter(const ModelSpec& model, const std::function<bool(const Param&)>& trained) {
  for (const Param& param : param_table(model)) {
    const double products = weight_use(param, model) * static_cast<double>(num_elements(param.shape));
    exact_weights_ += (!trained || trained(param) ? 6 : 4) * products;
    if (!is_gate(param)) megatron_weights_ += 6 * products;
  }
  megatron_weights_ += 6 * counted_norms(model);
  const auto add_attention = [&](const Layer& layer) {
    const auto [window, width] = std::visit([](const auto& mixer) { return pair_width(mixer); }, layer.mixer);
    pair_width_by_window_[window] += width;
  };
  for (const Layer& layer : model.layers) add_attention(layer);
  for (const MtpBlock& block : model.mtp) add_attention(block.layer);
}

double FlopCounter::exact(std::span<const int64_t> document_lengths) const {
  double tokens = 0, flops = 0;
  for (const int64_t length : document_lengths) tokens += static_cast<double>(length);
  for (const auto& [window, width] : pair_width_by_window_) {
    for (const int64_t length : document_lengths)
      flops += 6 * width * causal_pairs(static_cast<double>(length), static_cast<double>(window));
  }
  return flops + tokens * exact_weights_;
}

double FlopCounter::megatron(double tokens, double row_length) const {
  double per_token = megatron_weights_;
  for (const auto& [window, width] : pair_width_by_window_) {
    const auto w = static_cast<double>(window);
    per_token += 6 * width * (w > 0 && w < row_length ? w - w * (w - 1) / (2 * row_length) : row_length / 2);
  }
  return tokens * per_token;
}

}  // namespace rialto::spec
