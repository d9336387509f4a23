// The `model:` section of a run_config.yaml.
#include "rialto/resolve/model_section.h"

#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "rialto/resolve/activations.h"
#include "rialto/resolve/model_parts.h"
#include "rialto/resolve/rope_config.h"

namespace rialto::resolve {

SectionText::SectionText(std::string_view name) : text_(fmt::format("{}:\n", name)) {}
void SectionText::add(std::string_view key, std::string_view yaml) { text_ += fmt::format("  {}: {}\n", key, yaml); }
void SectionText::comment(std::string_view line) { text_ += fmt::format("  # {}\n", line); }

namespace {

std::string call(std::string_view target) { return fmt::format("{{_call_: false, _target_: {}}}", target); }

template <class T>
std::string or_null(const std::optional<T>& value) {
  return value ? write_scalar(*value) : "null";
}

std::string flags(const std::vector<bool>& values) {
  std::vector<int> numbers(values.begin(), values.end());
  return fmt::format("[{}]", fmt::join(numbers, ", "));
}

std::string activation(const ModelParts& parts) {
  const spec::Activation function = parts.activation();
  const std::string_view module =
      function == spec::Activation::kSilu ? "torch.nn.functional" : "megatron.core.activations";
  return call(fmt::format("{}.{}", module, megatron_name(function)));
}

void add_frame(SectionText& section, const ModelParts& parts) {
  const spec::ModelSpec& model = parts.model;
  const spec::Norm& norm = model.final_norm;
  section.add("bf16", model.dtype == DType::kBF16);
  section.add("fp16", model.dtype == DType::kF16);
  section.add("params_dtype", call(fmt::format("torch.{}", torch_name(model.dtype))));
  section.add("num_layers", parts.num_layers());
  section.add("hidden_size", model.hidden);
  section.add("vocab_size", model.vocab);
  section.add("make_vocab_size_divisible_by", int64_t{1});
  section.add("should_pad_vocab", false);
  section.add("seq_length", model.max_positions);
  section.add("share_embeddings_and_output_weights", model.tied);
  section.add("init_method_std", model.init_std);
  section.add("normalization", norm.kind == spec::NormKind::kRms ? "RMSNorm" : "LayerNorm");
  section.add("layernorm_epsilon", norm.eps);
  section.add("layernorm_zero_centered_gamma", norm.zero_centered);
  section.add("mtp_num_layers", model.mtp.empty() ? "null" : write_scalar(static_cast<int64_t>(model.mtp.size())));
  if (model.logit_softcap) section.add("final_logit_softcapping", *model.logit_softcap);
  for (const char* size : {"context", "expert_model", "expert_tensor", "pipeline_model", "tensor_model"})
    section.add(fmt::format("{}_parallel_size", size), int64_t{1});
  section.add("virtual_pipeline_model_parallel_size", "null");
  section.add("sequence_parallel", false);
}

/// Megatron's window counts the keys before the query, transformers' counts the query too.
void add_windows(SectionText& section, const ModelParts& parts) {
  std::vector<bool> windowed, no_rope;
  for (const spec::Layer& layer : parts.model.layers) {
    const auto* attention = std::get_if<spec::Attention>(&layer.mixer);
    windowed.push_back(attention && attention->window);
    no_rope.push_back(attention && !attention->rope);
  }
  const std::optional<int64_t> width = parts.window();
  section.add("window_size", width ? fmt::format("[{}, 0]", *width - 1) : "null");
  section.add("window_attn_skip_freq", width && holds(windowed, false) ? flags(windowed) : "null");
  section.add("no_rope_freq", holds(no_rope, true) ? flags(no_rope) : "null");
}

void add_attention(SectionText& section, const ModelParts& parts, const spec::Attention& attention) {
  const double usual = 1 / std::sqrt(static_cast<double>(attention.head_dim));
  section.add("multi_latent_attention", false);
  section.add("num_query_groups", attention.num_groups);
  section.add("kv_channels", attention.head_dim);
  section.add("add_qkv_bias", attention.qkv_bias);
  section.add("qk_layernorm", attention.qk_norm.has_value());
  section.add("softmax_scale", attention.softmax_scale == usual ? "null" : write_scalar(attention.softmax_scale));
  section.add("softmax_type", attention.sinks ? "learnable" : "vanilla");
  if (attention.softcap) section.add("attn_logit_softcapping", *attention.softcap);
  add_windows(section, parts);
}

void add_latent(SectionText& section, const spec::LatentAttention& latent) {
  section.add("multi_latent_attention", true);
  section.add("q_lora_rank", or_null(latent.q_lora_rank));
  section.add("kv_lora_rank", latent.kv_lora_rank);
  section.add("qk_head_dim", latent.qk_nope_dim);
  section.add("qk_pos_emb_head_dim", latent.qk_rope_dim);
  section.add("v_head_dim", latent.v_head_dim);
  section.add("qk_layernorm", true);
}

/// The same numbers under two sets of names: latent attention's own, and those of other attention.
void add_yarn(SectionText& section, const spec::YarnScaling& yarn, std::string_view prefix) {
  const auto add = [&](std::string_view key, auto value) { section.add(fmt::format("{}{}", prefix, key), value); };
  add("rotary_scaling_factor", yarn.factor);
  add("original_max_position_embeddings", yarn.original_max_positions);
  add("beta_fast", yarn.beta_fast);
  add("beta_slow", yarn.beta_slow);
  add("mscale", yarn.mscale.value_or(1));
  add("mscale_all_dim", yarn.mscale_all_dim.value_or(0));
  if (yarn.attention_factor) add("attention_factor", *yarn.attention_factor);
  if (!prefix.empty()) add("correction_range_round_to_int", yarn.truncate);
}

/// Megatron-Core knows the factor only; the others have Megatron Bridge's names.
void add_llama3(SectionText& section, const spec::Llama3Scaling& llama3) {
  if (llama3 == spec::Llama3Scaling{.factor = llama3.factor}) return;
  section.comment("Megatron computes low 1, high 4, original 8192 whatever the model wants: its logits will differ");
  section.add("rope_scaling_low_freq_factor", llama3.low_freq_factor);
  section.add("rope_scaling_high_freq_factor", llama3.high_freq_factor);
  section.add("rope_scaling_original_max_position_embeddings", llama3.original_max_positions);
}

void add_rope(SectionText& section, const ModelParts& parts) {
  const spec::Rope rope = parts.rope ? *parts.rope : spec::Rope{};
  const auto* linear = std::get_if<spec::LinearScaling>(&rope.scaling);
  const auto* llama3 = std::get_if<spec::Llama3Scaling>(&rope.scaling);
  const auto* yarn = std::get_if<spec::YarnScaling>(&rope.scaling);
  section.add("position_embedding_type", yarn && !parts.latent ? "yarn" : "rope");
  // Gemma 3's provider takes the bases of layers with a window and without.
  section.add("rotary_base",
              parts.local_rope && parts.local_rope->base != rope.base
                  ? fmt::format("[{}, {}]", write_scalar(parts.local_rope->base), write_scalar(rope.base))
                  : write_scalar(rope.base));
  section.add("rotary_percent",
              parts.attention && rope.dim > 0 ? rotary_share(rope.dim, parts.attention->head_dim) : 1.0);
  // Latent attention pairs neighbours without being asked.
  section.add("rotary_interleaved", rope.pairing == spec::RopePairing::kAdjacent && !parts.latent);
  section.add("rope_scaling", llama3 != nullptr);
  if (llama3) section.add("rope_scaling_factor", llama3->factor);
  section.add("seq_len_interpolation_factor", linear ? write_scalar(linear->factor) : "null");
  if (parts.latent) section.add("rope_type", yarn ? "yarn" : "rope");
  if (yarn) add_yarn(section, *yarn, parts.latent ? "" : "yarn_");
  if (llama3) add_llama3(section, *llama3);
  if (std::holds_alternative<spec::LongRopeScaling>(rope.scaling)) {
    section.comment("Megatron knows no LongRoPE: its logits will differ");
    section.add("rope_scaling_type", "longrope");
  }
}

void add_moe(SectionText& section, const ModelParts& parts) {
  const spec::MoeFfn& moe = *parts.moe;
  const spec::Router& router = moe.router;
  const bool grouped = router.num_groups > 1;
  section.add("num_moe_experts", moe.num_experts);
  section.add("moe_ffn_hidden_size", moe.expert_hidden);
  section.add("moe_layer_freq", parts.model.per_layer_keys ? flags(parts.is_moe) : "1");
  section.add("moe_grouped_gemm", true);
  section.add("moe_shared_expert_intermediate_size", moe.shared_hidden > 0 ? write_scalar(moe.shared_hidden) : "null");
  section.add("moe_shared_expert_gate", moe.shared_gate);
  section.add("moe_router_topk", router.top_k);
  section.add("moe_router_score_function", router.score == spec::RouterScore::kSigmoid ? "sigmoid" : "softmax");
  // Softmax before the choice, or of the chosen: the latter is the former, renormalized.
  section.add("moe_router_pre_softmax",
              router.score == spec::RouterScore::kSigmoid || !(router.softmax_after_top_k || router.renormalize));
  section.add("moe_router_enable_expert_bias", router.selection_bias);
  section.add("moe_router_num_groups", grouped ? write_scalar(router.num_groups) : "null");
  section.add("moe_router_group_topk", grouped ? write_scalar(router.top_groups) : "null");
  section.add("moe_router_topk_scaling_factor", router.scale == 1 ? "null" : write_scalar(router.scale));
  section.add("moe_router_dtype", "fp32");
  section.add("glu_linear_offset", moe.activation == spec::Activation::kGptOss ? 1.0 : 0.0);
  section.add("activation_func_clamp_value", or_null(moe.clamp));
}

void add_layer_spec(SectionText& section, const families::Family& family, bool moe) {
  if (!family.layer_spec.empty())
    section.add("transformer_layer_spec", call(family.layer_spec));
  else if (moe)
    section.add(
        "transformer_layer_spec",
        "{_args_: [], _partial_: true, _target_: megatron.core.models.gpt.gpt_layer_specs.get_gpt_decoder_block_spec, "
        "use_transformer_engine: true}");
}

void add_ffn(SectionText& section, const ModelParts& parts) {
  const bool biased = (parts.moe && parts.moe->expert_bias) || (parts.attention && parts.attention->out_bias);
  section.add("activation_func", activation(parts));
  section.add("gated_linear_unit", parts.dense ? parts.dense->gated : true);
  section.add("add_bias_linear", biased);
  section.add("ffn_hidden_size", parts.dense ? parts.dense->hidden : parts.moe->expert_hidden);
  if (parts.moe)
    add_moe(section, parts);
  else
    section.add("num_moe_experts", "null");
}

}  // namespace

std::string write_model_section(const spec::ModelSpec& model) {
  const ModelParts parts(model);
  SectionText section("model");
  const families::Family& family = family_named(model.family);
  section.add("_target_", family.provider);
  add_frame(section, parts);
  section.add("num_attention_heads", parts.num_heads());
  if (parts.latent)
    add_latent(section, *parts.latent);
  else
    add_attention(section, parts, *parts.attention);
  add_rope(section, parts);
  add_ffn(section, parts);
  add_layer_spec(section, family, parts.moe != nullptr);
  return section.text();
}

}  // namespace rialto::resolve
