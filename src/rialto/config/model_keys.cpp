// The table of model keys.
#include "rialto/config/model_keys.h"

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/config/fields.h"

namespace rialto::config {
namespace {

using enum ModelKeyType;

constexpr ModelKey kModelKeys[] = {
    {"family", kText, "family of the model, a name of `rialto models`; unset: by _target_, else llama"},
    {"_target_", kText, "Megatron Bridge's provider class, which may stand for the family"},
    {"num_layers", kSize, "transformer layers"},
    {"hidden_size", kSize, "width of the residual stream"},
    {"ffn_hidden_size", kSize, "width of gate and of up in layers without experts"},
    {"vocab_size", kSize, "rows of the embedding; unset: the tokenizer's"},
    {"seq_length", kSize, "tokens of a training sequence and, for random weights, the longest position"},
    {"share_embeddings_and_output_weights", kFlag, "the head is the embedding; unset: false"},
    {"init_method_std", kNumber, "standard deviation of random weights; unset: 0.02"},
    {"normalization", kText, "RMSNorm or LayerNorm; unset: as the family"},
    {"layernorm_epsilon", kNumber, "added to the mean square in a norm; unset: 1e-5"},
    {"layernorm_zero_centered_gamma", kFlag, "norms are stored as weight - 1; unset: as the family"},
    {"final_logit_softcapping", kNumber, "logits become cap * tanh(logit / cap); unset: no cap"},
    {"mtp_num_layers", kSize, "blocks of multi-token prediction; unset: none"},
    // attention
    {"num_attention_heads", kSize, "query heads"},
    {"num_query_groups", kSize, "key/value heads; unset: as many as query heads"},
    {"kv_channels", kSize, "size of a head; unset: hidden_size / num_attention_heads"},
    {"add_qkv_bias", kFlag, "biases on query, key and value; unset: as the family"},
    {"add_bias_linear", kFlag, "biases on the other products (GPT-OSS); unset: as the family"},
    {"qk_layernorm", kFlag, "a norm on queries and keys; unset: as the family"},
    {"softmax_scale", kNumber, "factor of the scores; unset: 1 / sqrt(kv_channels)"},
    {"query_pre_attn_scalar", kNumber, "softmax_scale as Gemma 2 says it: the inverse of its square"},
    {"softmax_type", kText, "vanilla, or learnable: one learned logit per head (GPT-OSS); unset: as the family"},
    {"attn_logit_softcapping", kNumber, "scores become cap * tanh(score / cap); unset: no cap"},
    {"window_size", kSizes,
     "keys a query sees, itself included, as transformers counts; or [keys before it, 0]; unset: all"},
    {"window_attn_skip_freq", kSizes,
     "which layers have the window: all but every Nth, or a flag per layer; unset: as the family"},
    {"interleaved_attn_pattern", kSizes, "the same as Gemma 3 says it: [layers with a window, 1 without]"},
    // latent attention
    {"multi_latent_attention", kFlag, "keys and values are projected up from a latent; unset: as the family"},
    {"q_lora_rank", kSize, "width of the latent of queries; unset: they are projected at once"},
    {"kv_lora_rank", kSize, "width of the latent of keys and values"},
    {"qk_head_dim", kSize, "channels of a query or key head that do not turn"},
    {"qk_pos_emb_head_dim", kSize, "channels that turn, one key for all heads"},
    {"v_head_dim", kSize, "size of a value head"},
    // positions
    {"position_embedding_type", kText, "rope, or yarn with the yarn_ keys; unset: rope"},
    {"no_rope_freq", kSizes, "layers without positions: every Nth, or a flag per layer; unset: as the family"},
    {"rotary_base", kNumbers, "base of the rotary frequencies, or [with a window, without]; unset: 10000"},
    {"rotary_percent", kNumber, "share of a head that turns; unset: 1"},
    {"rotary_interleaved", kFlag, "neighbouring channels turn together; unset: as the family"},
    {"rope_scaling", kFlag, "Llama 3's scaling of frequencies; unset: false"},
    {"rope_scaling_factor", kNumber, "its factor; unset: 8", {}, "8"},
    {"rope_scaling_low_freq_factor", kNumber, "its low_freq_factor; unset: 1, as Megatron-Core always has it"},
    {"rope_scaling_high_freq_factor", kNumber, "its high_freq_factor; unset: 4, as Megatron-Core always has it"},
    {"rope_scaling_original_max_position_embeddings", kSize,
     "the length it starts from; unset: 8192, as Megatron-Core always has it"},
    {"rope_scaling_type", kText, "a scaling that Megatron has no name for", "null"},
    {"seq_len_interpolation_factor", kNumber, "positions are divided by this; unset: 1"},
    {"yarn_rotary_scaling_factor", kNumber, "YaRN's factor"},
    {"yarn_original_max_position_embeddings", kSize, "the length YaRN starts from"},
    {"yarn_beta_fast", kNumber, "turns above which YaRN keeps a frequency; unset: 32"},
    {"yarn_beta_slow", kNumber, "turns below which YaRN divides one; unset: 1"},
    {"yarn_mscale", kNumber, "numerator of YaRN's factor of cosines and sines; unset: 1"},
    {"yarn_mscale_all_dim", kNumber, "its denominator; unset: none"},
    {"yarn_attention_factor", kNumber, "that factor itself; unset: by the two before"},
    {"yarn_correction_range_round_to_int", kFlag, "YaRN's range is rounded to whole channels; unset: true"},
    {"rope_type", kText, "of latent attention: rope, or yarn with the keys below; unset: rope"},
    {"rotary_scaling_factor", kNumber, "YaRN's factor of latent attention; unset: 40"},
    {"original_max_position_embeddings", kSize, "the length it starts from; unset: 4096"},
    {"beta_fast", kNumber, "turns above which it keeps a frequency; unset: 32"},
    {"beta_slow", kNumber, "turns below which it divides one; unset: 1"},
    {"mscale", kNumber, "numerator of its factor of cosines and sines; unset: 1"},
    {"mscale_all_dim", kNumber, "its denominator, which scales scores too; unset: 0"},
    {"attention_factor", kNumber, "the factor of cosines and sines itself; unset: by the two before"},
    // feed-forward
    {"activation_func", kText, "silu, fast_gelu, squared_relu or quick_gelu; unset: as the family"},
    {"gated_linear_unit", kFlag, "act(gate) * up; unset: as the family"},
    {"glu_linear_offset", kNumber, "added to up (GPT-OSS: 1); unset: as the family"},
    {"activation_func_clamp_value", kNumber, "limit of gate and up (GPT-OSS); unset: as the family"},
    // experts
    {"num_moe_experts", kSize, "experts of a layer that has them; unset: no layer has"},
    {"moe_ffn_hidden_size", kSize, "width of an expert; unset: ffn_hidden_size"},
    {"moe_layer_freq",
     kSizes,
     "layers with experts: every Nth from the first, or a flag per layer; unset: all",
     {},
     "1"},
    {"moe_shared_expert_intermediate_size", kSize, "width of all shared experts together; unset: none"},
    {"moe_router_topk", kSize, "experts of a token", {}, "2"},
    {"moe_router_score_function", kText, "softmax or sigmoid; unset: as the family", {}, "softmax"},
    {"moe_router_pre_softmax",
     kFlag,
     "weights are the scores of all; false: they sum to 1; unset: as the family",
     {},
     "false"},
    {"moe_router_enable_expert_bias",
     kFlag,
     "a bias for choosing, never for weighing; unset: as the family",
     {},
     "false"},
    {"moe_router_num_groups", kSize, "groups of experts; unset: one"},
    {"moe_router_group_topk", kSize, "groups that a token's experts are taken from; unset: one"},
    {"moe_router_topk_scaling_factor", kNumber, "of the weights, last; unset: 1"},
    // what no model here has
    {"apply_query_key_layer_scaling", kFlag, "not computed", "false"},
    {"apply_residual_connection_post_layernorm", kFlag, "not computed", "false"},
    {"attention_output_gate", kFlag, "not computed", "false"},
    {"experimental_attention_variant", kText, "not computed", "null"},
    {"heterogeneous_block_specs", kFlag, "not computed", "false"},
    {"is_hybrid_model", kFlag, "not computed", "false"},
    {"linear_attention_freq", kSizes, "not computed", "null"},
    {"moe_apply_probs_on_input", kFlag, "not computed", "false"},
    {"moe_latent_size", kSize, "not computed", "null"},
    {"moe_router_topk_limited_devices", kSize, "not computed", "null"},
    {"moe_shared_expert_gate", kFlag, "not computed", "false"},
    {"mrope_section", kSizes, "not computed", "null"},
    {"qk_l2_norm", kFlag, "not computed", "false"},
};

template <class Check>
void check_items(const Node& value, const Check& check) {
  const Node& list = unwrapped(value);
  if (list.kind != Node::Kind::kList) return check(value);
  std::for_each(list.items.begin(), list.items.end(), check);
}

}  // namespace

std::span<const ModelKey> model_keys() { return kModelKeys; }

const Node& unwrapped(const Node& node) {
  const Node* arguments = node.kind == Node::Kind::kMap ? node.find("_args_") : nullptr;
  return arguments && arguments->items.size() == 1 ? arguments->items[0] : node;
}

void check_type(const ModelKey& key, const Node& value) {
  if (value.kind == Node::Kind::kNull) return;
  switch (key.type) {
    case kSize:
      read_int(value);
      return;
    case kNumber:
      read_float(value);
      return;
    case kFlag:
      read_bool(value);
      return;
    case kText: {
      const Node* target = value.kind == Node::Kind::kMap ? value.find("_target_") : nullptr;
      read_string(target ? *target : value);
      return;
    }
    case kSizes:
      check_items(value, [](const Node& item) {
        if (item.kind != Node::Kind::kBool) read_int(item);
      });
      return;
    case kNumbers:
      check_items(value, [](const Node& item) { read_float(item); });
      return;
  }
}

std::string write_flow(const Node& value) {
  std::string text;
  switch (value.kind) {
    case Node::Kind::kNull:
      return "null";
    case Node::Kind::kString:
      return write_flow_text(value.text);
    case Node::Kind::kList:
      for (const Node& item : value.items) text += (text.empty() ? "" : ", ") + write_flow(item);
      return "[" + text + "]";
    case Node::Kind::kMap:
      for (size_t i = 0; i < value.items.size(); ++i)
        text += fmt::format("{}{}: {}", i ? ", " : "", write_flow_text(value.keys[i]), write_flow(value.items[i]));
      return "{" + text + "}";
    default:
      return value.text;
  }
}

}  // namespace rialto::config
