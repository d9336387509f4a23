// ModelSpec -> run_config.yaml as Megatron Bridge 0.3.1 reads it; proven by reading it back.
//
// Bridge reads the sections it knows by name. `rialto:` at the end holds what its `model:` section has no key for.
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "rialto/base/error.h"
#include "rialto/resolve/resolve.h"
#include "rialto/resolve/uniform.h"

namespace rialto::resolve {
namespace {

/// Collects the lines of a section.
class Section {
 public:
  explicit Section(std::string_view name) : text_(fmt::format("{}:\n", name)) {}
  void add(std::string_view key, std::string_view yaml) { text_ += fmt::format("  {}: {}\n", key, yaml); }
  void add(std::string_view key, const char* yaml) { add(key, std::string_view(yaml)); }
  void add(std::string_view key, bool value) { add(key, std::string_view(write_scalar(value))); }
  void add(std::string_view key, int64_t value) { add(key, std::string_view(write_scalar(value))); }
  void add(std::string_view key, double value) { add(key, std::string_view(write_scalar(value))); }
  void comment(std::string_view line) { text_ += fmt::format("  # {}\n", line); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::string call(std::string_view target) { return fmt::format("{{_call_: false, _target_: {}}}", target); }

/// Megatron's window counts the keys before the query, transformers' counts the query too.
void add_window(Section& section, const Uniform& uniform) {
  std::optional<int64_t> width;
  std::vector<int> windowed;
  for (const std::optional<int64_t>& window : uniform.windows) {
    if (window) width = window;
    windowed.push_back(window ? 1 : 0);
  }
  section.add("window_size", width ? fmt::format("[{}, 0]", *width - 1) : "null");
  const bool all = std::find(windowed.begin(), windowed.end(), 0) == windowed.end();
  section.add("window_attn_skip_freq", width && !all ? fmt::format("[{}]", fmt::join(windowed, ", ")) : "null");
}

void add_rope(Section& section, const Uniform& uniform) {
  const auto* linear = std::get_if<spec::LinearScaling>(&uniform.rope.scaling);
  const auto* llama3 = std::get_if<spec::Llama3Scaling>(&uniform.rope.scaling);
  section.add("position_embedding_type", "rope");
  section.add("rope_scaling", llama3 != nullptr);
  section.add("rope_scaling_factor", llama3 ? llama3->factor : 8.0);
  section.add("rotary_base", uniform.rope.base);
  section.add("rotary_interleaved", false);
  section.add("rotary_percent", 1.0);
  section.add("seq_len_interpolation_factor", linear ? write_scalar(linear->factor) : "null");
}

std::string model_section(const Uniform& uniform) {
  Section section("model");
  section.add("_target_", "megatron.bridge.models.gpt_provider.GPTModelProvider");
  section.add("activation_func", call("torch.nn.functional.silu"));
  section.add("add_bias_linear", false);
  section.add("add_qkv_bias", uniform.qkv_bias);
  section.add("attention_dropout", 0.0);
  section.add("bf16", uniform.dtype == DType::kBF16);
  section.add("context_parallel_size", int64_t{1});
  section.add("expert_model_parallel_size", int64_t{1});
  section.add("expert_tensor_parallel_size", int64_t{1});
  section.add("ffn_hidden_size", uniform.ffn_hidden);
  section.add("fp16", uniform.dtype == DType::kF16);
  section.add("gated_linear_unit", true);
  section.add("hidden_dropout", 0.0);
  section.add("hidden_size", uniform.hidden);
  section.add("init_method_std", uniform.init_std);
  section.add("kv_channels", uniform.head_dim);
  section.add("layernorm_epsilon", uniform.eps);
  section.add("layernorm_zero_centered_gamma", false);
  section.add("make_vocab_size_divisible_by", int64_t{1});
  section.add("mtp_num_layers", "null");
  section.add("multi_latent_attention", false);
  section.add("normalization", "RMSNorm");
  section.add("num_attention_heads", uniform.num_heads);
  section.add("num_layers", uniform.num_layers);
  section.add("num_moe_experts", "null");
  section.add("num_query_groups", uniform.num_groups);
  section.add("params_dtype", call(fmt::format("torch.{}", torch_name(uniform.dtype))));
  section.add("pipeline_model_parallel_size", int64_t{1});
  add_rope(section, uniform);
  section.add("qk_layernorm", uniform.qk_norm);
  section.add("seq_length", uniform.max_positions);
  section.add("sequence_parallel", false);
  section.add("share_embeddings_and_output_weights", uniform.tied);
  section.add("should_pad_vocab", false);
  section.add("softmax_scale", "null");
  section.add("tensor_model_parallel_size", int64_t{1});
  section.add("virtual_pipeline_model_parallel_size", "null");
  section.add("vocab_size", uniform.vocab);
  add_window(section, uniform);
  return section.text();
}

std::string own_section(const Uniform& uniform) {
  Section section("rialto");
  section.comment("what the model section has no key for; other programs leave this section aside");
  section.add("family", write_scalar(uniform.family));
  section.add("eos_token_ids", fmt::format("[{}]", fmt::join(uniform.eos, ", ")));
  section.add("bos_token_id", uniform.bos ? write_scalar(*uniform.bos) : "null");
  if (const auto* llama3 = std::get_if<spec::Llama3Scaling>(&uniform.rope.scaling)) {
    if (*llama3 != spec::Llama3Scaling{.factor = llama3->factor})
      section.comment("Megatron computes low 1, high 4, original 8192 whatever stands here: its logits will differ");
    section.add("rope_low_freq_factor", llama3->low_freq_factor);
    section.add("rope_high_freq_factor", llama3->high_freq_factor);
    section.add("rope_original_max_positions", llama3->original_max_positions);
  }
  return section.text();
}

/// Sections that Bridge indexes, for a checkpoint that no training run describes.
struct DefaultSection {
  std::string_view name, yaml;
};
constexpr DefaultSection kDefaults[] = {
    {"checkpoint",
     "checkpoint:\n"
     "  _target_: megatron.bridge.training.config.CheckpointConfig\n"
     "  ckpt_format: torch_dist\n"
     "  fully_parallel_save: true\n"
     "  save_optim: false\n"
     "  save_rng: false\n"},
    {"comm_overlap", "comm_overlap: null\n"},
    {"dataset", "dataset: null\n"},
    {"ddp", "ddp: null\n"},
    {"dist", "dist: null\n"},
    {"ft", "ft: null\n"},
    {"inprocess_restart", "inprocess_restart: null\n"},
    {"logger", "logger:\n  _target_: megatron.bridge.training.config.LoggerConfig\n"},
    {"mixed_precision", "mixed_precision: null\n"},
    {"nvrx_straggler", "nvrx_straggler: null\n"},
    {"optimizer", "optimizer:\n  _target_: megatron.core.optimizer.optimizer_config.OptimizerConfig\n"},
    {"peft", "peft: null\n"},
    {"profiling", "profiling: null\n"},
    {"rng", "rng:\n  _target_: megatron.bridge.training.config.RNGConfig\n"},
    {"scheduler", "scheduler: null\n"},
    {"straggler", "straggler: null\n"},
    {"tensor_inspect", "tensor_inspect: null\n"},
    {"tokenizer", "tokenizer: null\n"},
    {"train", "train: null\n"},
};

}  // namespace

std::string run_config_from_model(const spec::ModelSpec& model, const std::string& sections_yaml) {
  family_named(model.family);
  const Uniform uniform = uniform_of(model);
  const Node given = parse_yaml(sections_yaml.empty() ? "{}" : sections_yaml, "sections of run_config.yaml");
  for (const char* own : {"model", "rialto"})
    if (given.find(own))
      throw Error(ErrorKind::kInternal, "run_config.yaml",
                  fmt::format("the sections given hold '{}:', which the model makes", own));
  std::string yaml = "_target_: megatron.bridge.training.config.ConfigContainer\n" + model_section(uniform);
  for (const DefaultSection& section : kDefaults)
    if (!given.find(section.name)) yaml += section.yaml;
  yaml += sections_yaml;
  if (!yaml.ends_with('\n')) yaml += '\n';
  yaml += own_section(uniform);
  if (model_from_run_config(parse_yaml(yaml, "run_config.yaml")) != model)
    throw Error(ErrorKind::kConfig, model.family, "this model cannot be described by Megatron's configuration",
                {.hint = "do its layers differ in more than having a window?"});
  return yaml;
}

}  // namespace rialto::resolve
