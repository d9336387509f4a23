// Keys of the sections that watch over ranks, none of which acts.
// Source of names and defaults: Megatron Bridge 0.3.1 and 0.4.2, Megatron-Core 0.16.1.
#include "rialto/config/known_tables.h"

namespace rialto::config {
namespace {

using enum Why;

constexpr KnownKey kFtKeys[] = {
    {"enable_ft_package", "false", kWatch},   {"calc_ft_timeouts", "false", kWatch},
    {"simulate_fault", "false", kWatch},      {"simulated_fault_type", "random", kWatch},
    {"simulated_fault_rank", "null", kWatch}, {"simulated_fault_base_delay", "0", kWatch},
};

constexpr KnownKey kStragglerKeys[] = {
    {"log_straggler", "false", kWatch},
    {"enable_straggler_on_startup", "true", kWatch},
    {"straggler_ctrlr_port", "65535", kWatch},
    {"straggler_minmax_count", "1", kWatch},
    {"disable_straggler_on_startup", "false", kWatch},
};

constexpr KnownKey kNvrxStragglerKeys[] = {
    {"enabled", "false", kWatch},
    {"report_time_interval", "300.0", kWatch},
    {"calc_relative_gpu_perf", "true", kWatch},
    {"calc_individual_gpu_perf", "true", kWatch},
    {"num_gpu_perf_scores_to_print", "5", kWatch},
    {"gpu_relative_perf_threshold", "0.7", kWatch},
    {"gpu_individual_perf_threshold", "0.7", kWatch},
    {"stop_if_detected", "false", kWatch},
    {"enable_logging", "true", kWatch},
    {"profiling_interval", "1", kWatch},
    {"logger_name", "megatron.bridge.NVRxStragglerDetection", kWatch},
};

constexpr KnownKey kInprocessRestartKeys[] = {
    {"enabled", "false", kWatch},
    {"max_iterations", "null", kWatch},
    {"monitor_thread_interval", "1.0", kWatch},
    {"monitor_process_interval", "1.0", kWatch},
    {"progress_watchdog_interval", "1.0", kWatch},
    {"heartbeat_interval", "30.0", kWatch},
    {"soft_timeout", "60.0", kWatch},
    {"hard_timeout", "90.0", kWatch},
    {"heartbeat_timeout", "60.0", kWatch},
    {"barrier_timeout", "120.0", kWatch},
    {"completion_timeout", "120.0", kWatch},
    {"last_call_wait", "1.0", kWatch},
    {"termination_grace_time", "1.0", kWatch},
    {"granularity", "node", kWatch},
    {"active_world_size", "null", kWatch},
    {"empty_cuda_cache", "true", kWatch},
    {"max_rank_faults", "null", kWatch},
    {"monitor_process_logdir", "null", kWatch},
};

constexpr KnownKey kRerunStateMachineKeys[] = {
    {"error_injection_rate", "0", kWatch},     {"error_injection_type", "transient_error", kWatch},
    {"rerun_mode", "disabled", kWatch},        {"check_for_nan_in_loss", "true", kWatch},
    {"check_for_spiky_loss", "false", kWatch}, {"spiky_loss_factor", "10.0", kWatch},
};

constexpr KnownKey kTensorInspectKeys[] = {
    {"enabled", "false", kGpu}, {"features", "null", kGpu},        {"feature_dirs", "null", kGpu},
    {"log_dir", "null", kGpu},  {"init_training_step", "0", kGpu},
};

constexpr KnownSection kSections[] = {
    {"ft", kFtKeys},
    {"straggler", kStragglerKeys},
    {"nvrx_straggler", kNvrxStragglerKeys},
    {"inprocess_restart", kInprocessRestartKeys},
    {"rerun_state_machine", kRerunStateMachineKeys},
    {"tensor_inspect", kTensorInspectKeys},
};

}  // namespace

std::span<const KnownSection> known_watch() { return kSections; }

}  // namespace rialto::config
