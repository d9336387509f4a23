// ModelSpec -> run_config.yaml as Megatron Bridge reads it; proven by reading it back.
//
// Bridge reads the sections it knows by name. `rialto:` at the end holds the model exactly, as a config.json.
#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/resolve/model_section.h"
#include "rialto/resolve/resolve.h"

namespace rialto::resolve {
namespace {

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

/// What a run says of its model, where no run does: Megatron's own defaults drop.
constexpr std::string_view kNoRun = "  attention_dropout: 0.0\n  hidden_dropout: 0.0\n";

std::string own_section(const spec::ModelSpec& model) {
  SectionText section("rialto");
  section.comment("the model as its Hugging Face config.json, which says what the model section has no key for;");
  section.comment("both must agree. Other programs leave this section aside");
  section.add("family", model.family);
  section.add("hf_config", write_scalar(hf_from_model(model).dump()));
  return section.text();
}

}  // namespace

std::string run_config_from_model(const spec::ModelSpec& model, const std::string& sections_yaml,
                                  const std::string& run_keys) {
  const Node given = parse_yaml(sections_yaml.empty() ? "{}" : sections_yaml, "sections of run_config.yaml");
  for (const char* own : {"model", "rialto"})
    if (given.find(own))
      throw Error(ErrorKind::kInternal, "run_config.yaml",
                  fmt::format("the sections given hold '{}:', which the model makes", own));
  const std::string own = own_section(model);  // first: it refuses what no config of the family describes
  std::string yaml = "_target_: megatron.bridge.training.config.ConfigContainer\n" + write_model_section(model);
  yaml += run_keys.empty() ? kNoRun : std::string_view(run_keys);
  for (const DefaultSection& section : kDefaults)
    if (!given.find(section.name)) yaml += section.yaml;
  yaml += sections_yaml;
  if (!yaml.ends_with('\n')) yaml += '\n';
  yaml += own;
  if (model_from_run_config(parse_yaml(yaml, "run_config.yaml")) != model)
    throw Error(ErrorKind::kConfig, model.family, "this model cannot be described by Megatron's configuration");
  return yaml;
}

}  // namespace rialto::resolve
