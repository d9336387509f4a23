// Keys that a config.json of any family may hold: bookkeeping of transformers, settings of generation and of other
// tasks. None changes what the model computes, except those that must have a certain value. Source: transformers 4.x
// and 5.23, PretrainedConfig.
#include "rialto/families/family.h"

namespace rialto::families {
namespace {

using enum bridge::ConfigKind;

constexpr bridge::ConfigRow kRows[] = {
    // what the file is
    {"architectures", kKept},
    {"model_type", kKept},
    {"transformers_version", kKept},
    {"_name_or_path", kKept},
    {"name_or_path", kKept},
    {"auto_map", kKept},  // names of Python files; never run, the architecture says what is computed
    {"tokenizer_class", kKept},
    {"is_llama_config", kKept},
    {"transformers.js_config", kKept},
    {"unsloth_fixed", kKept},
    {"unsloth_version", kKept},
    // what would make it another model
    {"quantization_config", kKept},  // source/quantization.cpp reads it
    {"per_layer_config", kMustEqual, "null|{}"},
    {"is_encoder_decoder", kMustEqual, "false"},
    {"add_cross_attention", kMustEqual, "false"},
    {"cross_attention_hidden_size", kMustEqual, "null"},
    {"pruned_heads", kMustEqual, "{}|null"},
    {"partial_rotary_factor", kMustEqual, "1.0|1|null"},
    {"rope_interleaved", kMustEqual, "false"},
    {"use_mrope", kMustEqual, "false"},
    // how Python code runs it
    {"use_cache", kKept},
    {"return_dict", kKept},
    {"output_attentions", kKept},
    {"output_hidden_states", kKept},
    {"tie_last_hidden_states", kKept},
    {"output_scores", kKept},
    {"return_dict_in_generate", kKept},
    {"torchscript", kKept},
    {"use_bfloat16", kKept},
    {"tf_legacy_loss", kKept},
    {"chunk_size_feed_forward", kKept},
    {"is_decoder", kKept},
    {"tie_encoder_decoder", kKept},
    {"attn_implementation", kKept},
    {"_attn_implementation", kKept},
    {"_attn_implementation_autoset", kKept},
    {"_flash_attn_2_enabled", kKept},
    {"cache_implementation", kKept},
    {"pretraining_tp", kKept},  // only the order in which transformers 4 summed slices of a product
    {"gradient_checkpointing", kKept},
    // losses and noise of training experts, in other programs
    {"output_router_logits", kKept},
    {"router_aux_loss_coef", kKept},
    {"router_jitter_noise", kKept},
    {"aux_loss_alpha", kKept},
    {"seq_aux", kKept},
    {"ep_size", kKept},
    {"mtp_loss_scaling_factor", kKept},
    // tokens
    {"pad_token_id", kKept},
    {"unk_token_id", kKept},
    {"sep_token_id", kKept},
    {"decoder_start_token_id", kKept},
    {"forced_bos_token_id", kKept},
    {"forced_eos_token_id", kKept},
    {"prefix", kKept},
    // other tasks
    {"finetuning_task", kKept},
    {"id2label", kKept},
    {"label2id", kKept},
    {"num_labels", kKept},
    {"problem_type", kKept},
    {"task_specific_params", kKept},
    // generation, from before generation_config.json (hub::read_generation_config reads those that count)
    {"max_length", kKept},
    {"min_length", kKept},
    {"max_new_tokens", kKept},
    {"max_sequence_length", kKept},
    {"do_sample", kKept},
    {"early_stopping", kKept},
    {"num_beams", kKept},
    {"num_beam_groups", kKept},
    {"diversity_penalty", kKept},
    {"temperature", kKept},
    {"top_k", kKept},
    {"top_p", kKept},
    {"typical_p", kKept},
    {"repetition_penalty", kKept},
    {"length_penalty", kKept},
    {"exponential_decay_length_penalty", kKept},
    {"no_repeat_ngram_size", kKept},
    {"encoder_no_repeat_ngram_size", kKept},
    {"bad_words_ids", kKept},
    {"suppress_tokens", kKept},
    {"begin_suppress_tokens", kKept},
    {"num_return_sequences", kKept},
    {"remove_invalid_values", kKept},
};
static_assert(bridge::well_formed(kRows));

}  // namespace

std::span<const bridge::ConfigRow> common_config() { return kRows; }

}  // namespace rialto::families
