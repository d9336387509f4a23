// Looking up keys and classes that are known without acting.
#include "rialto/config/known_keys.h"

#include <vector>

#include <fmt/format.h>

#include "rialto/config/known_tables.h"

namespace rialto::config {
namespace {

using enum Why;

constexpr KnownKey kTopKeys[] = {
    {"env_vars", "null", kPython, "{}"},
    {"peft", "null", kLoop},
};
constexpr KnownKey kOwnKeys[] = {
    {"hf_config", "null", kNote, "*"},
};
constexpr KnownSection kRest[] = {
    {"rialto", kOwnKeys},
    {"optimizer_config_override_provider", {}},
    {"", kTopKeys},
};

/// Classes that a section may name; one that ends in "*" stands for all that begin so.
struct Target {
  std::string_view section, name;
};
constexpr Target kTargets[] = {
    {"", "megatron.bridge.training.config.ConfigContainer"},
    {"train", "megatron.bridge.training.config.TrainingConfig"},
    {"validation", "megatron.bridge.training.config.ValidationConfig"},
    {"optimizer", "megatron.bridge.training.config.OptimizerConfig"},
    {"optimizer", "megatron.core.optimizer.optimizer_config.OptimizerConfig"},
    {"optimizer", "megatron.core.optimizer.optimizer_config.AdamOptimizerConfig"},
    {"optimizer_config_override_provider", "megatron.bridge.training.config.OptimizerConfigOverrideProvider"},
    {"scheduler", "megatron.bridge.training.config.SchedulerConfig"},
    {"ddp", "megatron.bridge.training.config.DistributedDataParallelConfig"},
    {"ddp", "megatron.core.distributed.distributed_data_parallel_config.DistributedDataParallelConfig"},
    {"model", "megatron.bridge.models.*"},
    {"dataset", "megatron.bridge.training.config.GPTDatasetConfig"},
    {"dataset", "megatron.bridge.training.config.FinetuningDatasetConfig"},
    {"dataset.packed_sequence_specs", "megatron.bridge.data.datasets.packed_sequence.PackedSequenceSpecs"},
    {"dataset.packed_sequence_specs", "megatron.bridge.data.packing.config.PackedSequenceSpecs"},
    {"tokenizer", "megatron.bridge.training.tokenizers.config.TokenizerConfig"},
    {"logger", "megatron.bridge.training.config.LoggerConfig"},
    {"checkpoint", "megatron.bridge.training.config.CheckpointConfig"},
    {"dist", "megatron.bridge.training.config.DistributedInitConfig"},
    {"profiling", "megatron.bridge.training.config.ProfilingConfig"},
    {"comm_overlap", "megatron.bridge.training.comm_overlap.CommOverlapConfig"},
    {"mixed_precision", "megatron.bridge.training.mixed_precision.MixedPrecisionConfig"},
    {"rng", "megatron.bridge.training.config.RNGConfig"},
    {"ft", "megatron.bridge.training.config.FaultToleranceConfig"},
    {"straggler", "megatron.bridge.training.config.StragglerDetectionConfig"},
    {"nvrx_straggler", "megatron.bridge.training.config.NVRxStragglerDetectionConfig"},
    {"inprocess_restart", "megatron.bridge.training.config.InProcessRestartConfig"},
    {"rerun_state_machine", "megatron.bridge.training.config.RerunStateMachineConfig"},
    {"tensor_inspect", "megatron.bridge.training.config.TensorInspectConfig"},
};

bool is_number(const Node& value) { return value.kind == Node::Kind::kInt || value.kind == Node::Kind::kFloat; }

/// Random weights have none here.
bool has_mean(const Node& value) {
  const Node* mean = value.find("mean");
  return mean && !same_value(*mean, parse_yaml_value("0.0"));
}

/// `name`: one class, or several with "|" between them.
bool is_target(const Node& value, std::string_view name) {
  const Node* target = value.kind == Node::Kind::kMap ? value.find("_target_") : &value;
  if (!target || target->kind != Node::Kind::kString) return false;
  for (size_t end; (end = name.find('|')) != name.npos; name.remove_prefix(end + 1))
    if (target->text == name.substr(0, end)) return true;
  return target->text == name;
}

}  // namespace

std::span<const KnownSection> known_sections() {
  static const std::vector<KnownSection> all = [] {
    std::vector<KnownSection> sections;
    for (const auto& part : {known_model(), known_training(), known_files(), known_watch()})
      sections.insert(sections.end(), part.begin(), part.end());
    sections.insert(sections.end(), std::begin(kRest), std::end(kRest));
    return sections;
  }();
  return all;
}

std::string_view reason(Why why) {
  switch (why) {
    case kCheckpoint:
      return "checkpoints are whole torch_dist folders, written before the next iteration, here";
    case kData:
      return "training data is token files, a folder of fine-tuning rows or packed ones, here";
    case kFp8:
      return "FP8 is for the products of the blocks' linear layers here, by four recipes, and FP4 is not in this "
             "version";
    case kFp8Weights:
      return "weights are kept in bf16 or fp16 and coded for each product here";
    case kGpu:
      return "it tunes or watches Megatron's GPU kernels, which are not used here";
    case kInference:
      return "it concerns Megatron's inference engine, which is not used here";
    case kInit:
      return "random weights are a function of rng.seed and init_method_std alone, unpadded, here";
    case kLogging:
      return "runs are recorded in step lines, metrics.jsonl and TensorBoard files, without a service or a log level";
    case kLoop:
      return "this version of the training loop does not do it";
    case kMemory:
      return "of weights and optimizer nothing waits in host memory in this version, and saved activations are not "
             "shared out";
    case kModel:
      return "this version computes no model that has it";
    case kNote:
      return "it is a note that changes nothing";
    case kOptimizer:
      return "gradients and fp32 main parameters have no other type here, and matrices are whole";
    case kParallel:
      return "it comes with other ways of parallel training; data parallel is what this version runs";
    case kPrecision:
      return "it follows from mixed_precision here";
    case kPython:
      return "it needs Python, and nothing that a file names is ever run";
    case kRandom:
      return "random streams are functions of rng.seed here";
    case kReader:
      return "data is read in the process itself, by sample number, without a cache";
    case kSchedule:
      return "it is computed from the keys that say lengths in iterations or samples";
    case kTokenizer:
      return "a tokenizer's own files say what it is and has here";
    case kWatch:
      return "watching over ranks and restarting them is not in this version";
  }
  return "";
}

bool accepts(const KnownKey& key, const Node& value) {
  if (value.kind == Node::Kind::kNull || key.also == "*") return true;
  const bool empty = (value.kind == Node::Kind::kMap || value.kind == Node::Kind::kList) && value.items.empty();
  if (empty && key.bridge_default == "null") return true;
  if (same_value(value, parse_yaml_value(key.bridge_default))) return true;
  if (key.also.empty()) return false;
  if (key.also == "#") return is_number(value);
  if (key.also.starts_with('@')) return is_target(value, key.also.substr(1)) && !has_mean(value);
  return same_value(value, parse_yaml_value(key.also));
}

std::string accepted_values(const KnownKey& key) {
  if (key.also == "*") return "anything";
  const std::string text(key.bridge_default);
  if (key.also.empty()) return text;
  if (key.also == "#") return fmt::format("{} or a number", text);
  return fmt::format("{} or {}", text, key.also.starts_with('@') ? key.also.substr(1) : key.also);
}

std::optional<double> stated_number(const KnownKey& key, const Node& value) {
  const Node* number = key.also == "#" ? &value : key.also.starts_with('@') ? value.find("std") : nullptr;
  return number && is_number(*number) ? std::optional<double>(read_float(*number)) : std::nullopt;
}

bool is_known_target(std::string_view section, std::string_view target) {
  for (const Target& row : kTargets) {
    if (row.section != section) continue;
    if (row.name.ends_with('*') ? target.starts_with(row.name.substr(0, row.name.size() - 1)) : target == row.name)
      return true;
  }
  return false;
}

std::string_view example_target(std::string_view section) {
  for (const Target& row : kTargets) {
    if (row.section == section) return row.name;
  }
  return {};
}

}  // namespace rialto::config
