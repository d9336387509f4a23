// The typed run configuration: Megatron Bridge's ConfigContainer keys, section by section, those that this version
// honours.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rialto/base/schema.h"

namespace rialto::config {

/// model: either taken from `hf_model`/a checkpoint, or spelled out for random weights (Megatron's names).
struct ModelSection {
  /// What the model is: the keys of model_keys() that are set (a map without nulls), each with the place that says it.
  /// rialto/resolve/spelled_model.h makes a model of them.
  Node keys;
  double moe_aux_loss_coeff = 0, moe_z_loss_coeff = 0, moe_router_bias_update_rate = 0;
  double mtp_loss_scaling_factor = 0.1;
  int64_t tensor_model_parallel_size = 1, pipeline_model_parallel_size = 1, context_parallel_size = 1;

  ModelSection() { keys.kind = Node::Kind::kMap; }
  const Node* find(std::string_view key) const { return keys.find(key); }
  /// Null takes the key away.
  void set(std::string_view key, Node value);
  void set(std::string_view key, std::string_view yaml) { set(key, parse_yaml_value(yaml)); }
  std::optional<int64_t> seq_length() const;  ///< tokens of a training sequence
};
struct TrainSection {
  int64_t micro_batch_size = 1, global_batch_size = 1, train_iters = 0;
  std::optional<int64_t> exit_interval;
};
struct ValidationSection {
  int64_t eval_iters = 10;
  std::optional<int64_t> eval_interval;
};
struct OptimizerSection {
  std::string optimizer = "adam";
  double lr = 3e-4, min_lr = 0, weight_decay = 0.1, adam_beta1 = 0.9, adam_beta2 = 0.95, adam_eps = 1e-8,
         clip_grad = 1.0;
  bool use_distributed_optimizer = true;
};
struct SchedulerSection {
  std::string lr_decay_style = "cosine";  ///< constant, linear, cosine, WSD
  std::optional<int64_t> lr_decay_iters, lr_wsd_decay_iters;
  std::string lr_wsd_decay_style = "exponential";
  int64_t lr_warmup_iters = 0;
  double lr_warmup_init = 0;
  bool override_opt_param_scheduler = false;  ///< resume although the schedule differs from the checkpoint's
};
struct DatasetSection {
  std::vector<std::string> data_path;  ///< .bin/.idx prefix
  std::vector<std::string> valid_data_path;
  std::string split = "9999,8,2";
  std::optional<int64_t> seq_length;  ///< default: model.seq_length
  int64_t random_seed = 1234;
  bool eod_mask_loss = false, reset_position_ids = false, reset_attention_mask = false;
};
struct TokenizerSection {
  std::string tokenizer_model;  ///< HF folder
};
struct CheckpointSection {
  std::string save, load, pretrained_checkpoint;  ///< pretrained: HF folder or native root
  std::optional<int64_t> save_interval, ckpt_step;
  bool save_optim = true, load_optim = true, save_rng = false, fully_parallel_save = true;
};
struct LoggerSection {
  int64_t log_interval = 10;
  std::string metrics_jsonl;  ///< file; default: SAVE/metrics.jsonl
};
struct RngSection {
  int64_t seed = 1234;
};

struct RunConfig {
  ModelSection model;
  TrainSection train;
  ValidationSection validation;
  OptimizerSection optimizer;
  SchedulerSection scheduler;
  DatasetSection dataset;
  TokenizerSection tokenizer;
  CheckpointSection checkpoint;
  LoggerSection logger;
  RngSection rng;
  std::string mixed_precision = "bf16_mixed";  ///< "bf16_mixed" or "fp32"
};

/// YAML file, then `section.key=value` overrides. Unknown keys are refused with file:line and the nearest key.
RunConfig read_run_config(const std::string& path, const std::vector<std::string>& overrides);
/// Every key with its value, as YAML that read_run_config takes back unchanged.
std::string write_run_config(const RunConfig& config);
/// The sections besides `model:` as a checkpoint records them: folders of this machine are left out (null), dataset and
/// tokenizer paths keep their last component.
std::string write_portable_sections(const RunConfig& config);
/// Checks the arithmetic (batch sizes, warm-up against decay, precision names). Throws kConfig naming the keys.
void check_rules(const RunConfig& config);
/// Help text for every key, grouped by section.
std::string describe_run_config();

}  // namespace rialto::config
