// From the precision that a configuration asks for to recipes and a loss scale.
#include "rialto/train/precision.h"

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/config/precision.h"

namespace rialto::train {
namespace {

kernels::GemmScaling scaling_of(std::string_view recipe) {
  if (recipe == "delayed") return kernels::GemmScaling::kDelayed;
  if (recipe == "tensorwise") return kernels::GemmScaling::kCurrent;
  if (recipe == "blockwise") return kernels::GemmScaling::kBlocks;
  if (recipe == "mxfp8") return kernels::GemmScaling::kMx;
  return kernels::GemmScaling::kNone;
}

}  // namespace

model::BlockPrecision block_precision(const config::RunConfig& config, int64_t num_layers) {
  const config::Precision precision = config::precision_of(config);
  model::BlockPrecision blocks;
  blocks.scaling = scaling_of(precision.fp8_recipe);
  blocks.fp8_wgrad = precision.fp8_wgrad;
  blocks.delayed = {.history_len = precision.fp8_amax_history_len,
                    .margin = precision.fp8_margin,
                    .most_recent = precision.fp8_amax_compute_algo == "most_recent",
                    .gradient = precision.fp8 == "hybrid" ? kernels::Fp8Format::kE5M2 : kernels::Fp8Format::kE4M3};
  if (!precision.first_last_layers_bf16) return blocks;
  blocks.first_wide = precision.num_layers_at_start_in_bf16;
  blocks.last_wide = precision.num_layers_at_end_in_bf16;
  const bool fp8 = blocks.scaling != kernels::GemmScaling::kNone;
  if (fp8 && (blocks.first_wide > num_layers || blocks.last_wide > num_layers)) {
    throw Error(ErrorKind::kConfig, "model.num_layers_at_start_in_bf16", "more layers than the model has",
                {.got = fmt::format("{} at the start, {} at the end", blocks.first_wide, blocks.last_wide),
                 .want = fmt::format("at most {}", num_layers),
                 .hint = {}});
  }
  return blocks;
}

std::optional<optim::LossScaler> make_loss_scaler(const config::RunConfig& config) {
  const config::OptimizerSection& o = config.optimizer;
  if (!o.loss_scale && config::precision_of(config).dtype != DType::kF16) return {};
  return optim::LossScaler({.constant = o.loss_scale,
                            .initial = o.initial_loss_scale,
                            .min = o.min_loss_scale,
                            .window = static_cast<int64_t>(o.loss_scale_window),
                            .hysteresis = o.hysteresis});
}

}  // namespace rialto::train
