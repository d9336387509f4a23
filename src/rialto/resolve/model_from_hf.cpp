// config.json -> ModelSpec, by the family's traits and rows.
#include <cmath>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/resolve/architecture.h"
#include "rialto/resolve/hf_config.h"
#include "rialto/resolve/hf_ffn.h"
#include "rialto/resolve/hf_layers.h"
#include "rialto/resolve/hf_mixer.h"
#include "rialto/resolve/limits.h"
#include "rialto/resolve/resolve.h"

namespace rialto::resolve {
namespace {

using bridge::ConfigKind;

/// Null is what transformers takes it for: float32.
DType read_dtype(const HfConfig& config) {
  if (config.value(ConfigKind::kDtype).is_null()) return DType::kF32;
  const std::string text = config.text(ConfigKind::kDtype);
  const std::optional<DType> dtype = dtype_from_torch(text);
  if (dtype != DType::kF32 && dtype != DType::kBF16 && dtype != DType::kF16)
    throw config.bad(ConfigKind::kDtype, "cannot be used", {.got = text, .want = "float32, bfloat16 or float16"});
  return *dtype;
}

std::vector<int64_t> read_eos(const HfConfig& config) {
  const Json json = config.value(ConfigKind::kEos);
  if (json.is_null()) return {};
  std::vector<int64_t> ids;
  for (const Json& id : json.is_array() ? json : Json::array({json})) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() > kMaxVocab)
      throw config.bad(ConfigKind::kEos, "cannot be used", {.got = json.dump(), .want = "token ids"});
    ids.push_back(id.get<int64_t>());
  }
  return ids;
}

std::optional<spec::Norm> when(bool present, const spec::Norm& norm) {
  return present ? std::optional<spec::Norm>(norm) : std::nullopt;
}

/// Everything but layers.
spec::ModelSpec read_frame(const HfConfig& config) {
  const families::Traits& traits = config.family().traits;
  spec::ModelSpec model{.family = std::string(config.family().name)};
  model.hidden = config.integer(ConfigKind::kHidden, 1, kMaxSize);
  model.vocab = config.integer(ConfigKind::kVocab, 1, kMaxVocab);
  model.max_positions = config.integer(ConfigKind::kMaxPositions, 1, kMaxPositions);
  model.tied = config.boolean(ConfigKind::kTied);
  if (traits.scaled_embedding) model.embedding_scale = std::sqrt(static_cast<double>(model.hidden));
  model.final_norm = traits.norm;
  model.final_norm.eps = config.number(ConfigKind::kNormEps, 0, 1);
  if (config.has(ConfigKind::kLogitSoftcap) && !config.value(ConfigKind::kLogitSoftcap).is_null())
    model.logit_softcap = config.number(ConfigKind::kLogitSoftcap, 1e-6, kLargest);
  model.init_std = config.number(ConfigKind::kInitStd, 0, 1e3);
  model.dtype = read_dtype(config);
  model.eos_token_ids = read_eos(config);
  model.bos_token_id = config.integer_or_null(ConfigKind::kBos, 0, kMaxVocab);
  return model;
}

class LayerMaker {
 public:
  LayerMaker(const HfConfig& config, const spec::ModelSpec& model)
      : config_(config), norm_(model.final_norm), mixer_(config, norm_, model.hidden, model.max_positions) {
    const families::Traits& traits = config.family().traits;
    plain_.mixer_norm = plain_.ffn_norm = when(traits.pre_norms, norm_);
    plain_.mixer_post_norm = plain_.ffn_post_norm = when(traits.post_norms, norm_);
  }

  spec::Layer make(std::optional<int64_t> window, bool mixed, bool moe) {
    spec::Layer layer = plain_;
    layer.mixer = mixer_.mixer(window, mixed);
    if (moe) {
      if (!moe_) moe_ = read_moe(config_);
      layer.ffn = *moe_;
    } else {
      if (!dense_) dense_ = read_dense(config_);
      layer.ffn = *dense_;
    }
    return layer;
  }

 private:
  const HfConfig& config_;
  spec::Norm norm_;
  MixerReader mixer_;
  spec::Layer plain_;
  std::optional<spec::DenseFfn> dense_;
  std::optional<spec::MoeFfn> moe_;
};

void add_layers(const HfConfig& config, spec::ModelSpec& model) {
  const int64_t num_layers = config.integer(ConfigKind::kLayers, 1, kMaxLayers);
  LayerMaker maker(config, model);
  const std::vector<std::optional<int64_t>> windows = read_windows(config, num_layers);
  const std::vector<bool> moe = read_moe_layers(config, num_layers);
  if (config.has(ConfigKind::kExperts) &&
      config.integer(ConfigKind::kExperts, 1, kMaxExperts) * num_layers > kMaxExpertsOfModel)
    throw config.bad(ConfigKind::kExperts, "makes too many experts",
                     {.want = fmt::format("at most {} in all layers", kMaxExpertsOfModel)});
  bool mixed = false, some_dense = false;
  for (size_t layer = 0; layer < windows.size(); ++layer) {
    mixed |= windows[layer].has_value();
    some_dense |= !moe[layer];
  }
  // transformers asks whether the config has a window, not whether any layer uses it.
  mixed |= config.has(ConfigKind::kWindow) && config.says(ConfigKind::kWindow);
  for (size_t layer = 0; layer < windows.size(); ++layer)
    model.layers.push_back(maker.make(windows[layer], mixed, moe[layer]));
  model.per_layer_keys = config.has(ConfigKind::kExperts) && some_dense;
  if (!config.has(ConfigKind::kMtpDepth)) return;
  const families::Traits& traits = config.family().traits;
  const int64_t most = traits.mtp_one_block ? 1 : kMaxMtpDepth;
  const int64_t depth = config.integer_or_null(ConfigKind::kMtpDepth, 0, most).value_or(0);
  for (int64_t index = 0; index < depth; ++index)
    model.mtp.push_back({.embedding_norm = model.final_norm,
                         .hidden_norm = model.final_norm,
                         .final_norm = model.final_norm,
                         .layer = traits.mtp_dense ? maker.make({}, mixed, false) : model.layers.back()});
}

}  // namespace

Resolved model_from_hf(const Json& json, const std::string& where) {
  if (!json.is_object()) throw Error(ErrorKind::kInput, where, "is not a JSON object");
  const families::Family& family = family_of(json, where);
  const HfConfig config(json, family, where);
  spec::ModelSpec model = read_frame(config);
  add_layers(config, model);
  return {std::move(model), &family};
}

}  // namespace rialto::resolve
