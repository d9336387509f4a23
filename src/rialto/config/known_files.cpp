// Keys of dataset, tokenizer, checkpoint and logger that do not act.
// Source of names and defaults: Megatron Bridge 0.3.1 and 0.4.2, Megatron-Core 0.16.1.
#include "rialto/config/known_tables.h"

namespace rialto::config {
namespace {

using enum Why;

constexpr KnownKey kDatasetKeys[] = {
    {"packed_sequence_specs.tokenizer_model_name", "null", kNote, "*"},
    {"packed_sequence_specs.num_tokenizer_workers", "-1", kReader, "*"},
    {"packed_sequence_specs.packed_metadata_path", "null", kReader, "*"},
    {"packed_sequence_specs.pad_cu_seqlens", "false", kGpu, "true"},
    {"dataset_kwargs", "null", kData, "{}"},
    {"memmap_workers", "1", kReader, "*"},
    {"do_validation", "true", kData},
    {"do_test", "true", kData},
    {"dataloader_type", "null", kData, "single"},
    {"data_sharding", "true", kReader},
    {"pin_memory", "true", kReader},
    {"persistent_workers", "false", kReader, "true"},
    {"trust_remote_code", "null", kPython},
    {"multiple_validation_sets", "null", kData},
    {"full_validation", "null", kData},
    {"split_matrix", "null", kData},
    {"num_dataset_builder_threads", "1", kReader},
    {"mmap_bin_files", "true", kReader},
    {"mock", "false", kData},
    {"tokenizer", "null", kPython},
    {"allow_ambiguous_pad_tokens", "false", kData},
    {"fast_cache_load", "false", kReader},
    {"defer_npy_index_mmap", "false", kReader},
    {"create_attention_mask", "true", kData},
    {"drop_last_partial_validation_sequence", "true", kData},
    {"add_extra_token_to_sequence", "true", kData},
    {"object_storage_cache_path", "null", kReader},
    {"data_parallel_size", "1", kParallel},
    {"sequence_parallel_size", "0", kParallel},
    {"hybrid_context_parallel", "false", kParallel},
    {"sequences_per_dataset", "null", kData},
    {"token_dtype_code", "null", kData},
    {"context_parallel_size", "null", kParallel},
    {"skip_getting_attention_mask_from_dataset", "true", kData},
    {"drop_last", "true", kReader},
    {"per_dataset_sequences_path", "null", kReader},
};

constexpr KnownKey kTokenizerKeys[] = {
    {"legacy_tokenizer", "false", kTokenizer},
    {"metadata_path", "null", kTokenizer},
    {"vocab_size", "null", kTokenizer},
    {"vocab_file", "null", kTokenizer},
    {"merge_file", "null", kTokenizer},
    {"vocab_extra_ids", "0", kTokenizer},
    {"special_tokens", "null", kTokenizer},
    {"chat_template", "null", kTokenizer},
    {"tiktoken_pattern", "null", kTokenizer},
    {"tiktoken_num_special_tokens", "1000", kTokenizer},
    {"tiktoken_special_tokens", "null", kTokenizer},
    {"tokenizer_prompt_format", "null", kTokenizer},
    {"image_tag_type", "null", kTokenizer},
    {"hf_tokenizer_kwargs", "{}", kTokenizer},
    {"sp_tokenizer_kwargs", "{}", kTokenizer},
    {"force_system_message", "false", kTokenizer},
    {"use_tokenizer_vocab_size", "false", kTokenizer},
};

constexpr KnownKey kCheckpointKeys[] = {
    {"most_recent_k", "-1", kCheckpoint},
    {"load_main_params_from_ckpt", "false", kCheckpoint},
    {"load_rng", "true", kCheckpoint},
    {"non_persistent_save_interval", "null", kParallel},
    {"non_persistent_ckpt_type", "null", kParallel},
    {"non_persistent_global_ckpt_dir", "null", kParallel},
    {"non_persistent_local_ckpt_dir", "null", kParallel},
    {"non_persistent_local_ckpt_algo", "fully_parallel", kParallel},
    {"finetune", "false", kCheckpoint},
    {"use_checkpoint_args", "false", kCheckpoint},
    {"exit_on_missing_checkpoint", "false", kCheckpoint},
    {"ckpt_format", "torch_dist", kCheckpoint},
    {"ckpt_convert_format", "null", kCheckpoint},
    {"ckpt_convert_save", "null", kCheckpoint},
    {"async_save", "false", kCheckpoint},
    {"use_persistent_ckpt_worker", "true", kCheckpoint, "*"},
    {"fully_parallel_load", "false", kParallel},
    {"ckpt_assume_constant_structure", "false", kCheckpoint},
    {"strict_fsdp_dtensor_load", "false", kParallel},
    {"dist_ckpt_strictness", "assume_ok_unexpected", kCheckpoint},
    {"dist_ckpt_optim_fully_reshardable", "false", kCheckpoint, "true"},
    {"distrib_optim_fully_reshardable_mem_efficient", "false", kCheckpoint},
    {"save_tokenizer_assets", "true", kCheckpoint},
    {"replication", "false", kParallel},
    {"replication_jump", "null", kParallel},
    {"replication_factor", "2", kParallel},
    {"storage_writers_per_rank", "1", kCheckpoint},
    {"custom_manager_class", "null", kPython},
    {"also_save_hf_checkpoint", "false", kCheckpoint},
};

constexpr KnownKey kLoggerKeys[] = {
    {"log_progress", "false", kLogging},       {"memory_keys", "null", kLogging},
    {"wandb_project", "null", kLogging},       {"wandb_exp_name", "null", kLogging},
    {"wandb_save_dir", "null", kLogging},      {"wandb_entity", "null", kLogging},
    {"mlflow_experiment", "null", kLogging},   {"mlflow_run_name", "null", kLogging},
    {"mlflow_tracking_uri", "null", kLogging}, {"mlflow_tags", "null", kLogging},
    {"logging_level", "20", kLogging},         {"filter_warnings", "true", kLogging},
    {"modules_to_filter", "null", kLogging},   {"set_level_for_all_loggers", "false", kLogging},
    {"log_energy", "false", kLogging},         {"skip_train_metrics_log", "false", kLogging},
    {"comet_project", "null", kLogging},       {"comet_experiment_name", "null", kLogging},
    {"comet_workspace", "null", kLogging},     {"comet_api_key", "null", kLogging},
    {"comet_tags", "null", kLogging},
};

constexpr KnownSection kSections[] = {
    {"dataset", kDatasetKeys},
    {"tokenizer", kTokenizerKeys},
    {"checkpoint", kCheckpointKeys},
    {"logger", kLoggerKeys},
};

}  // namespace

std::span<const KnownSection> known_files() { return kSections; }

}  // namespace rialto::config
