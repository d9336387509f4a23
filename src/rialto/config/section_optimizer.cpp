// Keys of `optimizer:`.
#include <fmt/format.h>

#include "rialto/config/section_tables.h"

namespace rialto::config {
namespace {

using Found = std::optional<Finding>;

std::vector<Field<OptimizerSection>> optimizer_fields() {
  using O = OptimizerSection;
  return {
      field("optimizer", &O::optimizer, "adam (decoupled weight decay: AdamW)"),
      field_or_default("lr", &O::lr, "highest learning rate"),
      field_or_default("min_lr", &O::min_lr, "lowest learning rate of the decay"),
      field("weight_decay", &O::weight_decay, "decay of matrices; norms and biases have none"),
      field("adam_beta1", &O::adam_beta1, "decay of the first moment"),
      field("adam_beta2", &O::adam_beta2, "decay of the second moment"),
      field("adam_eps", &O::adam_eps, "added to the root of the second moment"),
      field("clip_grad", &O::clip_grad, "largest norm of the gradient; 0: no clipping"),
      field("log_num_zeros_in_grad", &O::log_num_zeros_in_grad,
            "count zeros in the gradient, for step line and records"),
      field("use_distributed_optimizer", &O::use_distributed_optimizer,
            "with several processes each keeps and updates the optimizer state of its share of the weights (ZeRO-1); "
            "checkpoints are written so that both of Megatron's optimizers read them"),
      field("loss_scale", &O::loss_scale, "constant factor of the loss; unset: dynamic with fp16, none otherwise"),
      field_or_default("initial_loss_scale", &O::initial_loss_scale, "first factor of the dynamic loss scale"),
      field_or_default("min_loss_scale", &O::min_loss_scale, "lowest factor of the dynamic loss scale"),
      field_or_default("loss_scale_window", &O::loss_scale_window,
                       "iterations without overflow after which the factor doubles"),
      field_or_default("hysteresis", &O::hysteresis, "overflows after which the factor is halved"),
  };
}

Found lowest_rate(const RunConfig& config) {
  const double low = config.optimizer.min_lr, high = config.optimizer.lr;
  if ((low >= 0 && low <= high) || !(high >= 0)) return {};
  return Finding{"out of range", {.got = fmt::format("{}", low), .want = fmt::format("0 to {} (optimizer.lr)", high)}};
}

/// A decay of moments: 1 would never take up a gradient.
Rule beta_rule(std::string_view id, std::string_view key, double OptimizerSection::* beta) {
  return {id, key, "at least 0 and below 1", [beta](const RunConfig& config) -> Found {
            const double got = config.optimizer.*beta;
            if (got >= 0 && got < 1) return {};
            return Finding{"out of range", {.got = fmt::format("{}", got), .want = "at least 0 and below 1"}};
          }};
}

}  // namespace

void add_optimizer_rows(std::vector<KeyRow>& rows) {
  add_rows(rows, "optimizer", &RunConfig::optimizer, optimizer_fields());
}

void add_optimizer_rules(std::vector<Rule>& rules) {
  using C = const RunConfig&;
  rules.push_back(name_rule("R021", "optimizer.optimizer", [](C c) { return c.optimizer.optimizer; }, {"adam"}));
  // Beyond this a single step could overflow fp32 weights, and the state before a failed step would not be worth
  // saving.
  rules.push_back(number_rule("R022", "optimizer.lr", [](C c) { return c.optimizer.lr; }, 0, 1e30));
  rules.push_back({"R023", "optimizer.min_lr", "0 to optimizer.lr", lowest_rate});
  rules.push_back(number_rule("R024", "optimizer.weight_decay", [](C c) { return c.optimizer.weight_decay; }, 0, 1e6));
  rules.push_back(beta_rule("R025", "optimizer.adam_beta1", &OptimizerSection::adam_beta1));
  rules.push_back(beta_rule("R026", "optimizer.adam_beta2", &OptimizerSection::adam_beta2));
  rules.push_back(number_rule("R027", "optimizer.adam_eps", [](C c) { return c.optimizer.adam_eps; }, 0, 1e6));
  rules.push_back(number_rule("R028", "optimizer.clip_grad", [](C c) { return c.optimizer.clip_grad; }, 0, 1e30));
}

}  // namespace rialto::config
