// Frame, layers and prediction blocks of a `model:` section.
#include "rialto/resolve/section_model.h"

#include <cmath>

#include <fmt/format.h>

#include "rialto/config/model_keys.h"
#include "rialto/resolve/limits.h"
#include "rialto/resolve/model_parts.h"
#include "rialto/resolve/section_layers.h"
#include "rialto/resolve/section_parts.h"
#include "rialto/resolve/section_rope.h"

namespace rialto::resolve {
namespace {

using bridge::ConfigKind;
using config::unwrapped;

DType stored_dtype(const YamlSection& keys) {
  const std::optional<DType> dtype = dtype_from_torch(keys.target("params_dtype"));
  if (dtype != DType::kF32 && dtype != DType::kBF16 && dtype != DType::kF16)
    throw keys.bad("params_dtype", "torch.float32, torch.bfloat16 or torch.float16");
  return *dtype;
}

spec::Norm read_norm(const SectionSource& source) {
  spec::Norm norm = source.traits().norm;
  const bool rms = norm.kind == spec::NormKind::kRms;
  source.fixed("normalization", rms ? "RMSNorm" : "LayerNorm", true);
  source.flag("layernorm_zero_centered_gamma", false, norm.zero_centered);
  norm.eps = source.keys.number_or("layernorm_epsilon", 0, 1, 1e-5);
  return norm;
}

spec::ModelSpec read_frame(const SectionSource& source, std::optional<DType> dtype) {
  const YamlSection& keys = source.keys;
  for (const config::ModelKey& key : config::model_keys())
    if (!key.only.empty()) keys.require(key.key, key.only, true);
  spec::ModelSpec model{.family = std::string(source.family.name)};
  model.hidden = keys.size("hidden_size", kMaxSize);
  model.vocab = keys.size("vocab_size", kMaxVocab);
  model.max_positions = keys.size("seq_length", kMaxPositions);
  if (source.traits().scaled_embedding) model.embedding_scale = std::sqrt(static_cast<double>(model.hidden));
  model.tied = keys.flag_or("share_embeddings_and_output_weights", source.megatron());
  model.init_std = keys.number_or("init_method_std", 0, 1e3, 0.02);
  model.dtype = dtype ? *dtype : stored_dtype(keys);
  model.final_norm = read_norm(source);
  model.logit_softcap = source.number_if(ConfigKind::kLogitSoftcap, "final_logit_softcapping", 0, 0);
  return model;
}

class LayerMaker {
 public:
  LayerMaker(const SectionSource& source, const spec::ModelSpec& model, bool some_moe, bool some_dense) {
    const families::Traits& traits = source.traits();
    if (traits.pre_norms) plain_.mixer_norm = plain_.ffn_norm = model.final_norm;
    if (!traits.pre_norms) plain_.mixer_norm = plain_.ffn_norm = std::nullopt;
    if (traits.post_norms) plain_.mixer_post_norm = plain_.ffn_post_norm = model.final_norm;
    bool out_bias = false;
    if (traits.latent) {
      plain_.mixer = read_section_latent(source);
    } else {
      spec::Attention attention = read_section_attention(source, model.hidden, model.final_norm);
      ropes_ = read_section_ropes(source, attention.head_dim);
      out_bias = attention.out_bias;
      plain_.mixer = std::move(attention);
    }
    check_section_unit(source, some_moe, out_bias);
    if (some_moe) moe_ = read_section_moe(source);
    if (some_dense || source.keys.find("ffn_hidden_size")) dense_ = read_section_dense(source);
  }

  spec::Layer make(std::optional<int64_t> window, bool no_rope, bool moe) const {
    spec::Layer layer = plain_;
    if (auto* attention = std::get_if<spec::Attention>(&layer.mixer)) {
      attention->window = window;
      if (!no_rope) attention->rope = window && ropes_.local ? *ropes_.local : ropes_.global;
    }
    if (moe)
      layer.ffn = moe_;
    else
      layer.ffn = dense_;
    return layer;
  }

 private:
  spec::Layer plain_;
  SectionRopes ropes_;
  spec::DenseFfn dense_;
  spec::MoeFfn moe_;
};

/// Keys carry the layer number where Megatron was given a pattern, in its file; in ours, where layers differ.
bool has_layer_keys(const SectionSource& source, const std::vector<bool>& moe) {
  if (!source.keys.find("num_moe_experts")) return false;
  if (!source.megatron()) return holds(moe, false);
  const Node* freq = source.keys.find("moe_layer_freq");
  return freq && (unwrapped(*freq).kind == Node::Kind::kList || freq->integer > 1);
}

void add_mtp(const SectionSource& source, const LayerMaker& maker, bool mixed, int64_t depth, spec::ModelSpec& model) {
  const families::Traits& traits = source.traits();
  for (int64_t index = 0; index < depth; ++index)
    model.mtp.push_back({.embedding_norm = model.final_norm,
                         .hidden_norm = model.final_norm,
                         .final_norm = model.final_norm,
                         .layer = traits.mtp_dense ? maker.make({}, mixed && traits.no_rope_without_window, false)
                                                   : model.layers.back()});
}

}  // namespace

spec::ModelSpec read_section_model(const SectionSource& source, std::optional<DType> dtype) {
  spec::ModelSpec model = read_frame(source, dtype);
  const SectionLayers layers = read_section_layers(source);
  const int64_t most = source.traits().mtp_one_block ? 1 : kMaxMtpDepth;
  const int64_t depth = source.size_if(ConfigKind::kMtpDepth, "mtp_num_layers", most);
  const bool some_dense = holds(layers.moe, false) || (depth > 0 && source.traits().mtp_dense);
  const LayerMaker maker(source, model, holds(layers.moe, true), some_dense);
  for (size_t layer = 0; layer < layers.moe.size(); ++layer)
    model.layers.push_back(maker.make(layers.windows[layer], layers.no_rope[layer], layers.moe[layer]));
  model.per_layer_keys = has_layer_keys(source, layers.moe);
  add_mtp(source, maker, layers.mixed, depth, model);
  return model;
}

}  // namespace rialto::resolve
