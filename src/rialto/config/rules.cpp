// The arithmetic of a run configuration, checked before anything is allocated.
#include <cmath>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/config/run_config.h"

namespace rialto::config {
namespace {

[[noreturn]] void refuse(std::string_view key, std::string what, std::string got, std::string want,
                         std::string hint = {}) {
  throw Error(ErrorKind::kConfig, key, what, {.got = std::move(got), .want = std::move(want), .hint = std::move(hint)});
}

void at_least(std::string_view key, int64_t value, int64_t least) {
  if (value < least) refuse(key, "too small", std::to_string(value), fmt::format("at least {}", least));
}
void at_least(std::string_view key, const std::optional<int64_t>& value, int64_t least) {
  if (value) at_least(key, *value, least);
}
void at_most(std::string_view key, int64_t value, int64_t most) {
  if (value > most) refuse(key, "too large", std::to_string(value), fmt::format("at most {}", most));
}
void in_range(std::string_view key, double value, double low, double high) {
  if (!(value >= low && value <= high))
    refuse(key, "out of range", fmt::format("{}", value), fmt::format("{} to {}", low, high));
}
void one_of(std::string_view key, const std::string& value, const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) {
    if (name == value) return;
    list += (list.empty() ? "" : ", ") + name;
  }
  const std::string near = nearest(value, names);
  refuse(key, "unknown name", "'" + value + "'", list, near.empty() ? "" : "did you mean '" + near + "'?");
}

constexpr int64_t kMostIterations = int64_t{1} << 40;
constexpr int64_t kMostBatch = int64_t{1} << 20;

void check_batch(const RunConfig& config) {
  const TrainSection& train = config.train;
  at_least("train.micro_batch_size", train.micro_batch_size, 1);
  at_least("train.global_batch_size", train.global_batch_size, 1);
  at_most("train.micro_batch_size", train.micro_batch_size, kMostBatch);
  at_most("train.global_batch_size", train.global_batch_size, kMostBatch);
  at_least("train.train_iters", train.train_iters, 1);
  at_most("train.train_iters", train.train_iters, kMostIterations);
  at_least("train.exit_interval", train.exit_interval, 1);
  if (train.global_batch_size % train.micro_batch_size != 0) {
    const int64_t below =
        std::max(train.micro_batch_size, train.global_batch_size / train.micro_batch_size * train.micro_batch_size);
    refuse("train.global_batch_size", "the global batch is not a whole number of micro-batches",
           fmt::format("global_batch_size {} with train.micro_batch_size {}", train.global_batch_size,
                       train.micro_batch_size),
           "a multiple of micro_batch_size", fmt::format("use {} or {}", below, below + train.micro_batch_size));
  }
  at_least("validation.eval_iters", config.validation.eval_iters, 1);
  at_most("validation.eval_iters", config.validation.eval_iters, kMostIterations);
  at_least("validation.eval_interval", config.validation.eval_interval, 1);
  at_least("logger.log_interval", config.logger.log_interval, 1);
  at_least("checkpoint.save_interval", config.checkpoint.save_interval, 1);
  at_least("checkpoint.ckpt_step", config.checkpoint.ckpt_step, 0);
  at_least("dataset.seq_length", config.dataset.seq_length, 1);
  at_least("model.seq_length", config.model.seq_length(), 1);
}

void check_optimizer(const RunConfig& config) {
  const OptimizerSection& optimizer = config.optimizer;
  one_of("optimizer.optimizer", optimizer.optimizer, {"adam"});
  // Beyond this a single step could overflow fp32 weights, and the state before a failed step would not be worth
  // saving.
  in_range("optimizer.lr", optimizer.lr, 0, 1e30);
  in_range("optimizer.min_lr", optimizer.min_lr, 0, optimizer.lr);
  in_range("optimizer.weight_decay", optimizer.weight_decay, 0, 1e6);
  in_range("optimizer.adam_eps", optimizer.adam_eps, 0, 1e6);
  in_range("optimizer.clip_grad", optimizer.clip_grad, 0, 1e30);
  for (const auto& [key, beta] :
       {std::pair{"optimizer.adam_beta1", optimizer.adam_beta1}, {"optimizer.adam_beta2", optimizer.adam_beta2}}) {
    if (!(beta >= 0 && beta < 1)) refuse(key, "out of range", fmt::format("{}", beta), "at least 0 and below 1");
  }
}

void check_schedule(const RunConfig& config) {
  const SchedulerSection& scheduler = config.scheduler;
  one_of("scheduler.lr_decay_style", scheduler.lr_decay_style, {"constant", "linear", "cosine", "WSD"});
  one_of("scheduler.lr_wsd_decay_style", scheduler.lr_wsd_decay_style,
         {"linear", "cosine", "exponential", "minus_sqrt"});
  const int64_t decay = scheduler.lr_decay_iters.value_or(config.train.train_iters);
  at_least("scheduler.lr_decay_iters", decay, 1);
  at_most("scheduler.lr_decay_iters", decay, kMostIterations);
  at_least("scheduler.lr_warmup_iters", scheduler.lr_warmup_iters, 0);
  if (scheduler.lr_warmup_iters >= decay) {
    refuse("scheduler.lr_warmup_iters", "the warm-up does not end before the decay does",
           fmt::format("{} iterations of warm-up", scheduler.lr_warmup_iters),
           fmt::format("fewer than {} (lr_decay_iters)", decay));
  }
  in_range("scheduler.lr_warmup_init", scheduler.lr_warmup_init, 0, config.optimizer.lr);
  if (scheduler.lr_decay_style == "WSD") {
    if (!scheduler.lr_wsd_decay_iters)
      refuse("scheduler.lr_wsd_decay_iters", "WSD needs the length of its decay", "unset", "iterations");
    at_least("scheduler.lr_wsd_decay_iters", scheduler.lr_wsd_decay_iters, 1);
    at_most("scheduler.lr_wsd_decay_iters", *scheduler.lr_wsd_decay_iters, decay - scheduler.lr_warmup_iters);
  }
}

void check_objective(const RunConfig& config) {
  const ModelSection& model = config.model;
  for (const auto& [key, value] : {std::pair{"model.moe_aux_loss_coeff", model.moe_aux_loss_coeff},
                                   {"model.moe_z_loss_coeff", model.moe_z_loss_coeff},
                                   {"model.moe_router_bias_update_rate", model.moe_router_bias_update_rate},
                                   {"model.mtp_loss_scaling_factor", model.mtp_loss_scaling_factor}})
    in_range(key, value, 0, 1e6);
}

void check_parallelism(const RunConfig& config) {
  const std::pair<const char*, int64_t> sizes[] = {
      {"model.tensor_model_parallel_size", config.model.tensor_model_parallel_size},
      {"model.pipeline_model_parallel_size", config.model.pipeline_model_parallel_size},
      {"model.context_parallel_size", config.model.context_parallel_size}};
  for (const auto& [key, size] : sizes) {
    if (size != 1) refuse(key, "this version trains in one process", std::to_string(size), "1");
  }
}

void check_paths(const RunConfig& config) {
  const DatasetSection& dataset = config.dataset;
  if (dataset.data_path.empty())
    refuse("dataset.data_path", "no training data", "unset", "the prefix of a .bin/.idx pair");
  for (const auto& [key, paths] :
       {std::pair{"dataset.data_path", &dataset.data_path}, {"dataset.valid_data_path", &dataset.valid_data_path}}) {
    if (paths->size() > 1)
      refuse(key, "this version reads one dataset", fmt::format("{} entries", paths->size()), "one prefix");
  }
  if (config.checkpoint.save_rng) {
    refuse("checkpoint.save_rng", "there is no random state to save: every stream is a function of its seed", "true",
           "false");
  }
  if (config.checkpoint.save_interval && config.checkpoint.save.empty()) {
    refuse("checkpoint.save_interval", "a save interval without a folder to save to", "checkpoint.save unset",
           "checkpoint.save=DIR");
  }
  if (config.train.exit_interval && config.checkpoint.save.empty()) {
    refuse("train.exit_interval", "exiting would lose the run", "checkpoint.save unset", "checkpoint.save=DIR");
  }
}

}  // namespace

void check_rules(const RunConfig& config) {
  one_of("mixed_precision", config.mixed_precision, {"bf16_mixed", "fp32"});
  check_batch(config);
  check_optimizer(config);
  check_schedule(config);
  check_objective(config);
  check_parallelism(config);
  check_paths(config);
}

}  // namespace rialto::config
