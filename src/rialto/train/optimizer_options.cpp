// Keys of `optimizer:` as the optimizer takes them; the rules have checked the names.
#include "rialto/train/optimizer_options.h"

namespace rialto::train {

optim::Options optimizer_options(const config::RunConfig& config) {
  const config::OptimizerSection& section = config.optimizer;
  optim::Options options;
  options.adam_beta1 = section.adam_beta1;
  options.adam_beta2 = section.adam_beta2;
  options.adam_eps = section.adam_eps;
  return options;
}

}  // namespace rialto::train
