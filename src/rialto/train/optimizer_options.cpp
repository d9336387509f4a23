// Keys of `optimizer:` as the optimizer takes them; the rules have checked the names.
#include "rialto/train/optimizer_options.h"

#include <initializer_list>
#include <string_view>
#include <utility>

#include "rialto/base/error.h"
#include "rialto/config/precision.h"

namespace rialto::train {
namespace {

template <class Value>
Value named(const char* key, std::string_view name, std::initializer_list<std::pair<std::string_view, Value>> values) {
  for (const auto& [known, value] : values) {
    if (known == name) return value;
  }
  throw Error(ErrorKind::kInternal, key, "a name that the rules let pass", {.got = std::string(name)});
}

at::ScalarType moment_type(const char* key, std::string_view name) {
  return named<at::ScalarType>(key, name, {{"float32", at::kFloat}, {"bfloat16", at::kBFloat16}});
}

}  // namespace

optim::Options optimizer_options(const config::RunConfig& config) {
  using enum optim::Kind;
  using enum optim::MuonScale;
  const config::OptimizerSection& section = config.optimizer;
  optim::Options options;
  options.kind = named<optim::Kind>("optimizer.optimizer", section.optimizer,
                                    {{"adam", kAdam}, {"sgd", kSgd}, {"lion", kLion}, {"muon", kMuon}});
  options.adam_beta1 = section.adam_beta1;
  options.adam_beta2 = section.adam_beta2;
  options.adam_eps = section.adam_eps;
  options.decoupled_weight_decay = section.decoupled_weight_decay;
  options.sgd_momentum = section.sgd_momentum;
  options.lion_beta1 = section.lion_beta1;
  options.lion_beta2 = section.lion_beta2;
  options.muon.momentum = section.muon_momentum;
  options.muon.nesterov = section.muon_use_nesterov;
  options.muon.split_qkv = section.muon_split_qkv;
  options.muon.num_ns_steps = section.muon_num_ns_steps;
  options.muon.extra_scale_factor = section.muon_extra_scale_factor;
  options.muon.bf16_products = section.muon_fp32_matmul_prec == "medium";
  options.muon.scale = named<optim::MuonScale>(
      "optimizer.muon_scale_mode", section.muon_scale_mode,
      {{"spectral", kSpectral}, {"shape_scaling", kShapeScaling}, {"unit_rms_norm", kUnitRmsNorm}});
  options.decay_qk_norms =
      section.apply_wd_to_qk_layernorm || config.scheduler.no_weight_decay_cond_type == "qwen3_next";
  options.exp_avg_dtype = moment_type("optimizer.exp_avg_dtype", section.exp_avg_dtype);
  options.exp_avg_sq_dtype = moment_type("optimizer.exp_avg_sq_dtype", section.exp_avg_sq_dtype);
  options.param_remainders = section.use_precision_aware_optimizer && section.store_param_remainders &&
                             config::precision_of(config).dtype == DType::kBF16;
  options.offload_fraction = section.optimizer_cpu_offload ? section.optimizer_offload_fraction : 0;
  return options;
}

}  // namespace rialto::train
