// The typed run configuration: Megatron Bridge's ConfigContainer keys, section by section, those that this version
// honours.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "rialto/base/error.h"
#include "rialto/base/schema.h"
#include "rialto/spec/model_spec.h"

namespace rialto::config {

/// model: either taken from `hf_model`/a checkpoint, or spelled out for random weights (Megatron's names).
struct ModelSection {
  /// What the model is: the keys of model_keys() that are set (a map without nulls), each with the place that says it.
  /// rialto/resolve/spelled_model.h makes a model of them.
  Node keys;
  double moe_aux_loss_coeff = 0, moe_z_loss_coeff = 0, moe_router_bias_update_rate = 0;
  std::optional<double> moe_expert_capacity_factor;  ///< unset: experts take all
  std::string moe_token_drop_policy = "probs";
  double mtp_loss_scaling_factor = 0.1;
  bool deterministic_mode = false;
  bool calculate_per_token_loss = true;  ///< false: per micro-batch, Megatron's default

  ModelSection() { keys.kind = Node::Kind::kMap; }
  const Node* find(std::string_view key) const { return keys.find(key); }
  /// Null takes the key away.
  void set(std::string_view key, Node value);
  void set(std::string_view key, std::string_view yaml) { set(key, parse_yaml_value(yaml)); }
  std::optional<int64_t> seq_length() const;  ///< tokens of a training sequence
};
/// Keys of model: that spread it over ranks.
struct ParallelKeys {
  int64_t tensor_model_parallel_size = 1, pipeline_model_parallel_size = 1, context_parallel_size = 1,
          expert_model_parallel_size = 1;
  std::optional<int64_t> expert_tensor_parallel_size;  ///< unset: tensor_model_parallel_size
  std::string moe_token_dispatcher_type = "allgather";
  std::optional<int64_t> virtual_pipeline_model_parallel_size;  ///< chunks of a pipeline rank
  std::optional<int64_t> microbatch_group_size_per_vp_stage;    ///< unset: pipeline_model_parallel_size
  std::string pipeline_model_parallel_layout;                   ///< pipeline_layout.h
  std::optional<int64_t> num_layers_in_first_pipeline_stage, num_layers_in_last_pipeline_stage;
  bool account_for_embedding_in_pipeline_split = false, account_for_loss_in_pipeline_split = false;
  bool sequence_parallel = false;
  std::vector<std::string> cp_comm_type;                     ///< of each decoder layer, or one of all; empty: p2p
  std::vector<int64_t> hierarchical_context_parallel_sizes;  ///< of a2a+p2p: ranks that exchange heads, ranks of a ring
  bool split_weight_gradients = false;                       ///< of a backward pass, from those of its input

  int64_t expert_ranks() const { return expert_tensor_parallel_size.value_or(tensor_model_parallel_size); }
  /// Ranks that hold one copy of the layers that are not experts.
  int64_t model_ranks() const {
    return tensor_model_parallel_size * pipeline_model_parallel_size * context_parallel_size;
  }
};
/// A section of our own: what a recipe is made for.
struct RecipeSection {
  std::string model;
  std::optional<int64_t> gpus;
};
struct TrainSection {
  int64_t micro_batch_size = 1, global_batch_size = 1;
  int64_t train_iters = 0;  ///< 0: unset; exactly one of the three lengths is set
  std::optional<int64_t> train_samples = {};
  std::optional<double> num_epochs = {};
  std::vector<int64_t> rampup_batch_size = {};  ///< [start, increment, samples]; empty: none
  bool decrease_batch_size_if_needed = false;
  std::vector<int64_t> iterations_to_skip = {};  ///< counted from 0, as Megatron does
  bool skip_train = false;
  std::optional<int64_t> exit_interval = {};
  std::optional<double> exit_duration_in_mins = {};
  bool exit_signal_handler = false;
  int64_t exit_signal = 15;
};
struct ValidationSection {
  int64_t eval_iters = 10;
  std::optional<int64_t> eval_interval = {}, start_eval_at_iter = {};
  std::optional<int64_t> eval_global_batch_size = {}, eval_micro_batch_size = {};  ///< unset: those of training
  bool full_validation = false;
};
struct OptimizerSection {
  std::string optimizer = "adam";
  double lr = 3e-4, min_lr = 0, weight_decay = 0.1, adam_beta1 = 0.9, adam_beta2 = 0.95, adam_eps = 1e-8,
         clip_grad = 1.0;
  std::optional<double> grad_norm_skip_threshold, decoupled_lr, decoupled_min_lr;
  bool apply_wd_to_qk_layernorm = false, decoupled_weight_decay = true;
  double sgd_momentum = 0.9, lion_beta1 = 0.95, lion_beta2 = 0.98;
  double muon_momentum = 0.95, muon_extra_scale_factor = 1;
  bool muon_use_nesterov = false, muon_split_qkv = true;
  std::string muon_scale_mode = "spectral", muon_fp32_matmul_prec = "medium";
  int64_t muon_num_ns_steps = 5;
  bool use_distributed_optimizer = true;
  bool log_num_zeros_in_grad = false;
  std::optional<double> loss_scale;  ///< unset: dynamic with fp16, none otherwise
  double initial_loss_scale = 4294967296.0, min_loss_scale = 1, loss_scale_window = 1000;
  int64_t hysteresis = 2;
  bool use_precision_aware_optimizer = false, store_param_remainders = true;
  std::string exp_avg_dtype = "float32", exp_avg_sq_dtype = "float32";  ///< torch's names
  bool optimizer_cpu_offload = false;
  double optimizer_offload_fraction = 0;
};
struct SchedulerSection {
  std::string lr_decay_style = "cosine";  ///< constant, linear, cosine, inverse-square-root, WSD
  std::optional<int64_t> lr_decay_iters, lr_wsd_decay_iters, lr_decay_samples, lr_wsd_decay_samples;
  std::string lr_wsd_decay_style = "exponential";
  int64_t lr_warmup_iters = 0, lr_warmup_samples = 0;
  std::optional<double> lr_warmup_fraction;  ///< of the decay
  double lr_warmup_init = 0;
  std::optional<double> start_weight_decay, end_weight_decay;
  std::string weight_decay_incr_style = "constant";
  std::string no_weight_decay_cond_type;            ///< "" or qwen3_next
  bool use_checkpoint_opt_param_scheduler = false;  ///< resume with the checkpoint's schedule
  bool override_opt_param_scheduler = false;        ///< resume although the schedule differs from the checkpoint's
};
struct DatasetSection {
  std::vector<std::string> data_path;  ///< .bin/.idx prefixes, or weight prefix weight prefix ...; `split` cuts them
  std::string data_args_path;          ///< file with the words of data_path
  std::vector<std::string> train_data_path, valid_data_path, test_data_path;  ///< a blend for each part
  std::string per_split_data_args_path;                                       ///< JSON file of these three
  std::string split = "9999,8,2";
  std::optional<int64_t> seq_length;  ///< default: model.seq_length
  int64_t random_seed = 1234;
  double mid_level_dataset_surplus = 0.005;
  std::string path_to_cache;
  std::string dataset_root;    ///< folder of fine-tuning rows, in place of all these paths
  std::string dataset_subset;  ///< of several that its README.md names
  std::string loss_mode = "assistant", truncation = "refuse";
  std::optional<int64_t> max_train_samples, template_clock;
  bool special_tokens_in_text = false;
  int64_t packed_sequence_size = -1;  ///< tokens of a sample that holds several rows; 0 or less: one row each
  std::string packed_train_data_path, packed_val_data_path;  ///< files that are packed already
  int64_t pad_seq_to_mult = 1, packing_window = 8192;        ///< of rows that are packed as they are read
  bool pack_sequences_in_batch = false;
  int64_t num_workers = 2;  ///< threads that prepare samples
  bool has_packed_samples() const { return packed_sequence_size > 0; }
  bool eod_mask_loss = false, reset_position_ids = false, reset_attention_mask = false;
};
struct TokenizerSection {
  std::string tokenizer_model;  ///< HF folder, or a tokenizer's file
  std::string tokenizer_type;   ///< what it has to be, in Megatron's words; empty: whatever it is
};
struct CheckpointSection {
  std::string save, load, pretrained_checkpoint;  ///< pretrained: HF folder or native root
  std::optional<int64_t> save_interval, ckpt_step;
  bool save_optim = true, load_optim = true, save_rng = false, fully_parallel_save = true;
  bool separate_expert_optimizer = false;
};
struct LoggerSection {
  int64_t log_interval = 10;
  std::string metrics_jsonl;  ///< file; default: SAVE/metrics.jsonl
  bool log_throughput = true, log_params_norm = false;
  int64_t sample_tokens = 0;
  std::optional<double> peak_tflops_per_device;  ///< for MFU; unset: known for some GPUs
  int64_t timing_log_level = 0;
  std::string timing_log_option = "minmax";
  std::string save_config_filepath;  ///< file
  std::string tensorboard_dir;       ///< folder; unset: no event files
  int64_t tensorboard_log_interval = 1, tensorboard_queue_size = 1000, throughput_window_size = 100;
  bool log_throughput_to_tensorboard = false, log_timers_to_tensorboard = false, log_loss_scale_to_tensorboard = true,
       log_validation_ppl_to_tensorboard = false, log_memory_to_tensorboard = false,
       log_l2_norm_grad_to_tensorboard = false, log_runtime_to_tensorboard = false,
       log_world_size_to_tensorboard = false;
  std::string runtime_time_unit = "hours";
};
struct ProfilingSection {
  bool use_pytorch_profiler = false, use_nsys_profiler = false, nvtx_ranges = false, record_shapes = false,
       record_memory_history = false;
  int64_t profile_step_start = 10, profile_step_end = 12;
  std::vector<int64_t> profile_ranks = {0};
  std::string profile_dir;  ///< folder of traces; unset: SAVE/profile
  std::string memory_snapshot_path = "snapshot.pickle";
};
/// Ours: Bridge has nothing like it.
struct ResilienceSection {
  std::string on_nonfinite = "stop";  ///< stop, skip, rewind
  std::string on_spike = "none";      ///< none, stop, skip, rewind
  double spike_factor = 10;
  int64_t spike_window = 100;
  int64_t max_skipped_iterations = 10;
};
struct DdpSection {
  std::optional<int64_t> bucket_size;
  bool overlap_grad_reduce = false, overlap_param_gather = false, average_in_collective = false,
       check_for_nan_in_grad = false;
};
struct DistSection {
  int64_t distributed_timeout_minutes = 10;
};
struct RngSection {
  int64_t seed = 1234;
};

/// What Bridge writes beside mixed_precision under `model:`. The first four must agree with it when they are set; the
/// others take the place of the preset's value (precision.h).
struct ModelPrecision {
  std::optional<bool> bf16, fp16;
  std::optional<std::string> fp8, fp8_recipe;
  std::optional<int64_t> fp8_margin, fp8_amax_history_len;
  std::optional<std::string> fp8_amax_compute_algo;
  std::optional<bool> fp8_wgrad, first_last_layers_bf16;
  std::optional<int64_t> num_layers_at_start_in_bf16, num_layers_at_end_in_bf16;
};

/// Keys of `model:` that say what a training step keeps and drops.
struct MemoryKeys {
  double hidden_dropout = 0, attention_dropout = 0;
  std::string recompute_granularity, recompute_method;  ///< "": none
  std::optional<int64_t> recompute_num_layers;
  std::vector<std::string> recompute_modules = {"core_attn"};
  bool moe_layer_recompute = false;
  bool cpu_offloading = false;
  int64_t cpu_offloading_num_layers = 0;
  bool fine_grained_activation_offloading = false;
  std::vector<std::string> offload_modules;
  int64_t min_offloaded_tensor_size = int64_t{1} << 20;  ///< elements
};

struct RunConfig {
  ModelSection model;
  MemoryKeys memory;
  ModelPrecision model_precision;
  ParallelKeys parallel;
  TrainSection train;
  ValidationSection validation;
  OptimizerSection optimizer;
  SchedulerSection scheduler;
  DatasetSection dataset;
  TokenizerSection tokenizer;
  CheckpointSection checkpoint;
  LoggerSection logger;
  DdpSection ddp;
  DistSection dist;
  ProfilingSection profiling;
  RngSection rng;
  ResilienceSection resilience;
  RecipeSection recipe;
  std::string mixed_precision = "bf16_mixed";  ///< name of a preset
  std::map<std::string, std::string> places;   ///< "file:line" or the override that said a key last, by the key's name
  std::map<std::string, double> stated;        ///< numbers of keys that do not act, which rules compare (known_keys.h)
  int64_t world_size = 1;                      ///< processes of the run: no key, whoever starts them says it

  /// Copies of the model, each with micro-batches of its own; 1 when the ranks do not divide so.
  int64_t data_parallel_size() const {
    const int64_t ranks = parallel.model_ranks();
    return ranks > 0 && world_size % ranks == 0 ? world_size / ranks : 1;
  }
};

/// Lengths of the schedules, in samples, whichever keys say them. A run of num_epochs has a length once
/// with_train_iters() has worked it out; before that its `run` is 0.
struct ScheduleLengths {
  int64_t run = 0, decay = 0, wsd_decay = 0;
  double warmup = 0;  ///< whole, or a fraction of the decay
};
ScheduleLengths schedule_lengths(const RunConfig& config);

/// Where a configuration comes from; each line wins over those before it.
struct ConfigSources {
  std::string base;                    ///< a YAML file, or the name of a built-in recipe; "" for the defaults
  std::vector<std::string> files;      ///< YAML files laid over it, in this order
  std::vector<std::string> settings;   ///< `--set`: section.key=value
  std::vector<std::string> overrides;  ///< words of their own, in Hydra's grammar too
};

/// One thing that is wrong with a configuration.
struct Problem {
  std::string rule;       ///< "R003"; "" for a key or value that cannot be read
  std::string key;        ///< "train.global_batch_size"
  std::string line;       ///< where, what, got, want, hint, as Error has it
  bool is_limit = false;  ///< the configuration is sound, and this version does not run it
};

/// Unknown keys and values of another type are refused with file:line and the nearest key. With `problems`, each of
/// them is added there and the rest is read; without, the first is thrown.
RunConfig read_run_config(const ConfigSources& sources, std::vector<Problem>* problems = nullptr);
/// The same from one file or recipe and `--set` overrides.
RunConfig read_run_config(const std::string& path, const std::vector<std::string>& overrides);

/// Every key with its value, as YAML that read_run_config takes back unchanged.
std::string write_run_config(const RunConfig& config);
/// The same with the keys alone whose value differs from the default; "{}" when none does.
std::string write_changed(const RunConfig& config);
/// The sections besides `model:` as a checkpoint records them: folders of this machine are left out (null), dataset and
/// tokenizer paths keep their last component.
std::string write_portable_sections(const RunConfig& config);
/// The lines of the `model:` section that say what the run does with the model, which the model itself does not.
std::string write_run_keys(const RunConfig& config);

/// Every rule (rules.h) that the configuration breaks, in the order of their numbers. `model`: what the run trains, for
/// the rules that look at it; without it they are left out.
std::vector<Problem> broken_rules(const RunConfig& config, const spec::ModelSpec* model = nullptr);
/// An error about a key: its place (file:line, an override), where something said it, comes first.
Error located_error(const RunConfig& config, std::string_view key, std::string_view what, const ErrorParts& parts);
/// Throws kConfig when a rule is broken: one line with all of them.
void check_rules(const RunConfig& config, const spec::ModelSpec* model = nullptr);
/// The same for problems of any kind; returns when there are none.
void throw_problems(const std::vector<Problem>& problems);

/// The sizes above 1, as the field writes them: "TP4 PP4 VPP5 CP2 EP8". The experts' tensor size is left out.
std::string layout_text(const ParallelKeys& parallel);

/// Help text for every key that acts, grouped by section.
std::string describe_run_config();

}  // namespace rialto::config
