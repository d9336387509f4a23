// The `model:` section that another program wrote -> ModelSpec.
//
// A window of [n, 0] is n + 1 keys, since that is what Megatron computes. The family is the one whose parts the values
// ask for.
#include "rialto/resolve/foreign_model.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/resolve/foreign_section.h"
#include "rialto/resolve/hf_mixer.h"
#include "rialto/resolve/limits.h"
#include "rialto/resolve/model_parts.h"
#include "rialto/resolve/resolve.h"

namespace rialto::resolve {
namespace {

/// Dense: qk_layernorm Qwen3, add_qkv_bias Qwen2, a window Mistral, none of them Llama.
std::string infer_family(const YamlSection& model, bool latent) {
  if (latent) {
    const Node* score = model.find("moe_router_score_function");
    return score && says(*score, "sigmoid") ? "deepseek_v3" : "deepseek_v2";
  }
  const bool qk_norm = model.flag_or("qk_layernorm", false);
  if (model.find("num_moe_experts")) {
    if (model.target("_target_") == "OlMoEModelProvider") return "olmoe";
    return qk_norm ? "qwen3_moe" : "mixtral";
  }
  if (qk_norm) return "qwen3";
  if (model.flag_or("add_qkv_bias", false)) return "qwen2";
  return model.find("window_size") ? "mistral" : "llama";
}

class ForeignModel {
 public:
  ForeignModel(const YamlSection& section, const Node& node, const families::Family& family)
      : section_(section), node_(node), traits_(family.traits) {
    model_.family = family.name;
  }

  spec::ModelSpec read() {
    read_frame();
    const int64_t num_layers = section_.size("num_layers", kMaxLayers);
    const spec::Mixer mixer = traits_.latent ? spec::Mixer(latent()) : spec::Mixer(attention());
    const std::vector<std::optional<int64_t>> windows = foreign_windows(section_, num_layers);
    const std::vector<bool> moe_layers = foreign_moe_layers(section_, num_layers);
    const bool some_moe = std::find(moe_layers.begin(), moe_layers.end(), true) != moe_layers.end();
    const spec::MoeFfn experts = some_moe ? moe() : spec::MoeFfn{};
    const spec::DenseFfn dense{.hidden = section_.size("ffn_hidden_size", kMaxSize)};
    for (size_t layer = 0; layer < moe_layers.size(); ++layer) {
      spec::Layer each{.mixer_norm = norm_, .mixer = mixer, .ffn_norm = norm_, .ffn = dense};
      if (moe_layers[layer]) each.ffn = experts;
      if (auto* windowed = std::get_if<spec::Attention>(&each.mixer)) windowed->window = windows[layer];
      model_.layers.push_back(std::move(each));
    }
    add_mtp();
    return std::move(model_);
  }

 private:
  void read_frame() {
    model_.hidden = section_.size("hidden_size", kMaxSize);
    model_.vocab = section_.size("vocab_size", kMaxVocab);
    model_.max_positions = section_.size("seq_length", kMaxPositions);
    model_.tied = section_.flag_or("share_embeddings_and_output_weights", true);
    model_.init_std = section_.number_or("init_method_std", 0, 1e3, 0.02);
    model_.dtype = foreign_dtype(section_);
    norm_.eps = section_.number_or("layernorm_epsilon", 0, 1, 1e-5);
    model_.final_norm = norm_;
    const Node* freq = section_.find("moe_layer_freq");
    model_.per_layer_keys =
        section_.find("num_moe_experts") && freq && (freq->kind == Node::Kind::kList || freq->integer > 1);
  }

  spec::Attention attention() const {
    const int64_t heads = section_.size("num_attention_heads", kMaxSize);
    if (!section_.find("kv_channels") && model_.hidden % heads != 0)
      throw section_.bad(node_, "kv_channels", "a head size");
    spec::Attention attention{
        .num_heads = heads,
        .num_groups = section_.size_or("num_query_groups", kMaxSize, heads),
        .head_dim = section_.size_or("kv_channels", kMaxSize, std::max<int64_t>(model_.hidden / heads, 1)),
        .qkv_bias = section_.flag_or("add_qkv_bias", false),
        .qk_norm_width = traits_.qk_norm_width,
        .rope = foreign_rope(section_)};
    if (heads % attention.num_groups != 0)
      throw section_.bad(section_.need("num_query_groups"), "num_query_groups", fmt::format("a divisor of {}", heads));
    if (attention.head_dim % 2 != 0)
      throw section_.bad(section_.find("kv_channels") ? section_.need("kv_channels") : node_, "kv_channels",
                         "an even head size, for rotary embeddings");
    if (section_.flag_or("qk_layernorm", false)) attention.qk_norm = norm_;
    attention.softmax_scale = 1 / std::sqrt(static_cast<double>(attention.head_dim));
    attention.rope->dim = attention.head_dim;
    return attention;
  }

  spec::LatentAttention latent() const {
    spec::LatentAttention latent{.num_heads = section_.size("num_attention_heads", kMaxSize),
                                 .kv_lora_rank = section_.size("kv_lora_rank", kMaxSize),
                                 .qk_nope_dim = section_.size("qk_head_dim", kMaxSize),
                                 .qk_rope_dim = section_.size("qk_pos_emb_head_dim", kMaxSize),
                                 .v_head_dim = section_.size("v_head_dim", kMaxSize),
                                 .latent_norm = {.eps = traits_.latent_eps},
                                 .rope = foreign_latent_rope(section_)};
    if (section_.find("q_lora_rank")) latent.q_lora_rank = section_.size("q_lora_rank", kMaxSize);
    latent.rope->dim = latent.qk_rope_dim;
    latent.rope->pairing = traits_.pairing;
    latent.softmax_scale = latent_softmax_scale(latent);
    return latent;
  }

  spec::MoeFfn moe() const {
    spec::MoeFfn moe{.num_experts = section_.size("num_moe_experts", kMaxExperts),
                     .expert_hidden = section_.size("moe_ffn_hidden_size", kMaxSize),
                     .router = traits_.router};
    moe.shared_hidden = section_.size_or("moe_shared_expert_intermediate_size", kMaxSize, 0);
    spec::Router& router = moe.router;
    router.top_k = section_.size_or("moe_router_topk", moe.num_experts, 2);
    router.num_groups = section_.size_or("moe_router_num_groups", moe.num_experts, 1);
    router.top_groups = section_.size_or("moe_router_group_topk", moe.num_experts, 1);
    router.scale = section_.number_or("moe_router_topk_scaling_factor", 0, kLargest, 1);
    router.selection_bias = section_.flag_or("moe_router_enable_expert_bias", false);
    // Sigmoid scores are always renormalized; softmax ones when taken of the chosen alone.
    router.renormalize =
        router.score == spec::RouterScore::kSigmoid || !section_.flag_or("moe_router_pre_softmax", false);
    return moe;
  }

  void add_mtp() {
    if (!traits_.latent) section_.require("mtp_num_layers", "null", true);
    if (!section_.find("mtp_num_layers")) return;
    for (int64_t depth = section_.size("mtp_num_layers", kMaxMtpDepth); depth > 0; --depth)
      model_.mtp.push_back({norm_, norm_, norm_, model_.layers.back()});
  }

  const YamlSection& section_;
  const Node& node_;
  const families::Traits& traits_;
  spec::Norm norm_;
  spec::ModelSpec model_;
};

}  // namespace

spec::ModelSpec model_from_foreign(const Node& node) {
  const YamlSection section(node, "model");
  const bool latent = section.flag_or("multi_latent_attention", false);
  check_foreign(section, latent);
  const families::Family& family = family_named(infer_family(section, latent));
  return ForeignModel(section, node, family).read();
}

}  // namespace rialto::resolve
