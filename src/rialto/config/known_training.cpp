// Keys of train, validation, optimizer, scheduler, ddp, dist, rng and comm_overlap that do not act.
// Source of names and defaults: Megatron Bridge 0.3.1 and 0.4.2, Megatron-Core 0.16.1.
#include "rialto/config/known_tables.h"

namespace rialto::config {
namespace {

using enum Why;

constexpr KnownKey kTrainKeys[] = {
    {"empty_unused_memory_level", "0", kGpu, "*"},
    {"check_weight_hash_across_dp_replicas_interval", "null", kParallel},
    {"train_sync_interval", "null", kParallel},
    {"exit_signal_handler_for_dataloader", "false", kLoop},
    {"manual_gc", "false", kPython},
    {"manual_gc_interval", "0", kPython},
    {"manual_gc_eval", "true", kPython},
    {"check_optimizer_step_success", "true", kLoop},
    {"skip_sync_grad_norm_across_mp", "false", kParallel},
};

constexpr KnownKey kValidationKeys[] = {{"multiple_validation_sets", "false", kLoop}};

constexpr KnownKey kOptimizerKeys[] = {
    {"fp8_recipe", "null", kPrecision, "*"},
    {"fp16", "false", kPrecision, "true"},
    {"bf16", "false", kPrecision, "true"},
    {"reuse_grad_buf_for_mxfp8_param_ag", "false", kFp8Weights, "true"},
    {"params_dtype", "{_call_: false, _target_: torch.float32}", kPrecision, "@torch.bfloat16|torch.float16"},
    {"main_grads_dtype", "{_call_: false, _target_: torch.float32}", kOptimizer},
    {"main_params_dtype", "{_call_: false, _target_: torch.float32}", kOptimizer},
    {"muon_tp_mode", "blockwise", kOptimizer},
    {"overlap_param_gather_with_optimizer_step", "false", kParallel},
    {"use_torch_optimizer_for_cpu_offload", "false", kMemory},
    {"overlap_cpu_optimizer_d2h_h2d", "false", kMemory},
    {"pin_cpu_grads", "true", kMemory},
    {"pin_cpu_params", "true", kMemory},
    {"barrier_with_L1_time", "false", kLogging},
    {"timers", "null", kPython},
    {"config_logger_dir", "''", kLogging},
};

constexpr KnownKey kSchedulerKeys[] = {
    {"lr_warmup_steps", "null", kSchedule},
    {"lr_decay_steps", "null", kSchedule},
    {"wd_incr_steps", "null", kSchedule},
    {"wsd_decay_steps", "null", kSchedule},
};

constexpr KnownKey kDdpKeys[] = {
    {"grad_reduce_in_fp32", "false", kPrecision, "true"},
    {"align_param_gather", "false", kParallel},
    {"num_distributed_optimizer_instances", "1", kParallel},
    {"check_for_large_grads", "false", kParallel},
    {"pad_buckets_for_high_nccl_busbw", "false", kParallel},
    {"reduce_scatter_with_fp32_accumulation", "false", kParallel},
    {"fp8_param_gather", "false", kFp8Weights, "true"},
    {"reuse_grad_buf_for_mxfp8_param_ag", "false", kFp8Weights, "true"},
    {"use_megatron_fsdp", "false", kParallel},
    {"use_custom_fsdp", "false", kParallel},
    {"data_parallel_sharding_strategy", "no_shard", kParallel},
    {"gradient_reduce_div_fusion", "true", kParallel},
    {"suggested_communication_unit_size", "null", kParallel},
    {"preserve_fp32_weights", "true", kParallel},
    {"keep_fp8_transpose_cache", "false", kFp8},
    {"nccl_ub", "false", kParallel},
    {"fsdp_double_buffer", "false", kParallel},
    {"outer_dp_sharding_strategy", "no_shard", kParallel},
    {"disable_symmetric_registration", "false", kParallel},
    {"fsdp_manual_registration", "false", kParallel},
    {"delay_wgrad_compute", "false", kParallel},
};

constexpr KnownKey kDistKeys[] = {
    {"distributed_backend", "nccl", kParallel, "*"},
    {"align_grad_reduce", "true", kParallel},
    {"local_rank", "0", kParallel, "*"},
    {"lazy_init", "false", kParallel},
    {"use_megatron_fsdp", "false", kParallel},
    {"use_torch_fsdp2", "false", kParallel},
    {"nccl_communicator_config_path", "null", kParallel},
    {"use_tp_pp_dp_mapping", "false", kParallel},
    {"use_gloo_process_groups", "true", kParallel},
    {"use_sharp", "false", kParallel},
    {"sharp_enabled_group", "null", kParallel},
    {"high_priority_stream_groups", "null", kParallel},
    {"external_gpu_device_mapping", "false", kParallel},
    {"enable_megatron_core_experimental", "false", kParallel},
    {"distributed_timeout_seconds_after_init", "null", kParallel},
    {"disable_jit_fuser", "false", kParallel},
    {"use_decentralized_pg", "false", kParallel},
    {"lazy_mpu_init", "false", kParallel},
    {"eval_context_parallel_size", "null", kParallel},
};

constexpr KnownKey kRngKeys[] = {
    {"te_rng_tracker", "false", kRandom, "true"},
    {"inference_rng_tracker", "false", kRandom, "true"},
    {"data_parallel_random_init", "false", kParallel},
};

constexpr KnownKey kCommOverlapKeys[] = {
    {"tp_comm_overlap", "null", kParallel},
    {"tp_comm_overlap_cfg", "null", kParallel},
    {"tp_comm_bootstrap_backend", "nccl", kParallel},
    {"overlap_p2p_comm", "null", kParallel},
    {"batch_p2p_comm", "null", kParallel},
    {"overlap_param_gather_with_optimizer_step", "null", kParallel},
    {"align_param_gather", "null", kParallel},
    {"defer_embedding_wgrad_compute", "null", kParallel},
    {"wgrad_deferral_limit", "null", kParallel},
    {"data_parallel_size", "null", kParallel},
    {"overlap_moe_expert_parallel_comm", "null", kParallel},
    {"delay_wgrad_compute", "null", kParallel},
};

constexpr KnownSection kSections[] = {
    {"train", kTrainKeys},
    {"validation", kValidationKeys},
    {"optimizer", kOptimizerKeys},
    {"scheduler", kSchedulerKeys},
    {"ddp", kDdpKeys},
    {"dist", kDistKeys},
    {"rng", kRngKeys},
    {"comm_overlap", kCommOverlapKeys},
};

}  // namespace

std::span<const KnownSection> known_training() { return kSections; }

}  // namespace rialto::config
