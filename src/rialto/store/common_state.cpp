// The common state as Megatron-Core 0.16.1, Megatron-LM and Megatron Bridge 0.3.1 read it.
#include "rialto/store/common_state.h"

namespace rialto::store {
namespace {

using formats::p_bool, formats::p_float, formats::p_int, formats::p_none, formats::p_str;
using Entries = std::vector<std::pair<formats::PicklePtr, formats::PicklePtr>>;

void add(Entries& entries, std::string_view key, formats::PicklePtr value) {
  entries.emplace_back(p_str(std::string(key)), std::move(value));
}

/// What Megatron-LM compares or takes over when it loads a torch_dist checkpoint (training/checkpointing.py,
/// check_checkpoint_args and load_checkpoint). `no_save_rng`: our random streams are not Megatron's.
formats::PicklePtr make_args(const spec::ModelSpec& model, bool has_optimizer) {
  Entries args;
  add(args, "num_layers", p_int(static_cast<int64_t>(model.layers.size())));
  add(args, "hidden_size", p_int(model.hidden));
  if (!model.layers.empty()) {
    std::visit([&](const auto& mixer) { add(args, "num_attention_heads", p_int(mixer.num_heads)); },
               model.layers[0].mixer);
    if (const auto* attention = std::get_if<spec::Attention>(&model.layers[0].mixer)) {
      add(args, "group_query_attention", p_bool(attention->num_groups != attention->num_heads));
      add(args, "num_query_groups", p_int(attention->num_groups));
      add(args, "kv_channels", p_int(attention->head_dim));
      add(args, "add_qkv_bias", p_bool(attention->qkv_bias));
      add(args, "qk_layernorm", p_bool(attention->qk_norm.has_value()));
      if (attention->rope) add(args, "rotary_base", p_float(attention->rope->base));
    }
    if (const auto* ffn = std::get_if<spec::DenseFfn>(&model.layers[0].ffn))
      add(args, "ffn_hidden_size", p_int(ffn->hidden));
  }
  add(args, "max_position_embeddings", p_int(model.max_positions));
  add(args, "position_embedding_type", p_str("rope"));
  add(args, "add_position_embedding", p_bool(true));
  add(args, "normalization", p_str("RMSNorm"));
  add(args, "norm_epsilon", p_float(model.final_norm.eps));
  add(args, "swiglu", p_bool(true));
  add(args, "add_bias_linear", p_bool(false));
  add(args, "untie_embeddings_and_output_weights", p_bool(!model.tied));
  add(args, "padded_vocab_size", p_int(model.vocab));
  add(args, "bf16", p_bool(model.dtype == DType::kBF16));
  add(args, "fp16", p_bool(model.dtype == DType::kF16));
  for (const char* key : {"tensor_model_parallel_size", "pipeline_model_parallel_size", "context_parallel_size",
                          "data_parallel_size", "world_size"})
    add(args, key, p_int(1));
  add(args, "virtual_pipeline_model_parallel_size", p_none());
  add(args, "data_parallel_random_init", p_bool(false));
  add(args, "use_distributed_optimizer", p_bool(true));
  add(args, "use_dist_ckpt", p_bool(true));
  add(args, "dist_ckpt_format", p_str("torch_dist"));
  add(args, "ckpt_format", p_str("torch_dist"));
  add(args, "ckpt_fully_parallel_save", p_bool(true));
  add(args, "no_save_rng", p_bool(true));
  add(args, "no_save_optim", p_bool(!has_optimizer));
  return formats::p_object(formats::p_global("argparse", "Namespace"), {}, formats::p_dict(std::move(args)));
}

}  // namespace

formats::PickleValue make_common(const spec::ModelSpec& model, int64_t iteration, bool has_optimizer) {
  Entries content;
  add(content, "singleton_local_shards", p_bool(false));
  add(content, "chained_optim_avoid_prefix", p_bool(true));
  add(content, "distrib_optim_sharding_type", p_str("fully_reshardable"));
  add(content, "distrib_optim_fully_reshardable_mem_efficient", p_bool(false));
  if (model.per_layer_keys) add(content, "non_homogeneous_layers", p_bool(true));
  Entries common;
  add(common, "checkpoint_version", p_float(3.0));
  add(common, "iteration", p_int(iteration));
  add(common, "content_metadata", formats::p_dict(std::move(content)));
  add(common, "args", make_args(model, has_optimizer));
  return *formats::p_dict(std::move(common));
}

std::span<const std::string_view> common_globals() {
  static constexpr std::string_view kGlobals[] = {
      "argparse.Namespace",
      "collections.OrderedDict",
      "collections.defaultdict",
      "builtins.set",
      "builtins.slice",
      "builtins.complex",
      "pathlib.PosixPath",
      "types.SimpleNamespace",
      "numpy.core.multiarray._reconstruct",
      "numpy._core.multiarray._reconstruct",
      "numpy.ndarray",
      "numpy.dtype",
      "_codecs.encode",
      "torch._utils._rebuild_tensor_v2",
      "torch.",
      "megatron.core.enums.ModelType",
      "megatron.core.optimizer.optimizer_config.OptimizerConfig",
      "megatron.core.rerun_state_machine.RerunDiagnostic",
      "megatron.core.rerun_state_machine.RerunMode",
      "megatron.core.rerun_state_machine.RerunState",
      "megatron.core.transformer.enums.AttnBackend",
      "megatron.training.tokenizer.tokenizer.",
      "signal.Signals",
  };
  return kGlobals;
}

}  // namespace rialto::store
