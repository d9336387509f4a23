// Layers of a configuration, and its text.
#include "rialto/config/run_config.h"

#include <filesystem>

#include <fmt/format.h>

#include "rialto/config/overrides.h"
#include "rialto/config/reader.h"
#include "rialto/config/sections.h"

namespace rialto::config {

namespace {

/// The key that an override names, as far as it is one.
std::string key_of(const std::string& text) {
  const size_t first = text.find_first_not_of("+~");
  return first == text.npos ? text : text.substr(first, text.find('=', first) - first);
}

}  // namespace

RunConfig read_run_config(const ConfigSources& sources, std::vector<Problem>* problems) {
  RunConfig config;
  if (!sources.base.empty()) read_documents(config, read_recipe(sources.base), problems);
  for (const std::string& file : sources.files) read_documents(config, read_file(file), problems);
  const auto apply = [&](const std::string& text, std::string_view option) {
    collect(problems, key_of(text), [&] { apply_override(config, parse_override(text, option)); });
  };
  for (const std::string& text : sources.settings) apply(text, "--set");
  for (const std::string& text : sources.overrides) apply(text, "");
  return config;
}

RunConfig read_run_config(const std::string& path, const std::vector<std::string>& overrides) {
  return read_run_config(ConfigSources{.base = path, .files = {}, .settings = overrides, .overrides = {}});
}

namespace {

/// The rows that `wanted` takes, as YAML. A map inside a section, whose keys are written "map.key", is null while all
/// of it is at its defaults: for Bridge a map that is there asks for something.
std::string write_rows(const RunConfig& config, const std::function<bool(const KeyRow&)>& wanted) {
  const RunConfig defaults;
  std::string text;
  std::string_view section, map;
  for (const KeyRow& row : key_rows()) {
    if (!row.is_written() || !wanted(row)) continue;
    if (row.section != section) {
      section = row.section;
      if (!section.empty()) text += fmt::format("{}:\n", section);
    }
    const std::string_view of = map_of(row);
    const bool empty = !of.empty() && write_map(config, row.section, of) == write_map(defaults, row.section, of);
    if (!of.empty() && of != map) text += fmt::format("  {}:{}\n", of, empty ? " null" : "");
    map = of;
    if (empty) continue;
    const std::string_view key = of.empty() ? row.key : row.key.substr(of.size() + 1);
    text += fmt::format("{}{}: {}\n", section.empty() ? "" : of.empty() ? "  " : "    ", key, row.write(config));
  }
  return text;
}

/// A relative path as it is, an absolute one by its last component.
std::string portable(const std::string& path) {
  const std::filesystem::path parsed(path);
  return parsed.is_absolute() ? parsed.filename().string() : path;
}

}  // namespace

std::string write_run_config(const RunConfig& config) {
  return write_rows(config, [](const KeyRow&) { return true; });
}

std::string write_changed(const RunConfig& config) {
  const RunConfig defaults;
  const std::string text =
      write_rows(config, [&](const KeyRow& row) { return row.write(config) != row.write(defaults); });
  return text.empty() ? "{}\n" : text;
}

std::string write_portable_sections(const RunConfig& config) {
  RunConfig copy = config;
  copy.checkpoint.save.clear();
  copy.checkpoint.load.clear();
  copy.checkpoint.pretrained_checkpoint.clear();
  for (std::string* path : {&copy.logger.metrics_jsonl, &copy.logger.save_config_filepath, &copy.logger.tensorboard_dir,
                            &copy.profiling.profile_dir})
    path->clear();
  copy.checkpoint.save_rng = false;  // Bridge looks for a random state in the checkpoint when the record says true
  // The model section that is saved has the longest position there.
  if (!copy.dataset.seq_length) copy.dataset.seq_length = copy.model.seq_length();
  copy.tokenizer.tokenizer_model = portable(copy.tokenizer.tokenizer_model);
  DatasetSection& data = copy.dataset;
  for (auto* paths : {&data.data_path, &data.train_data_path, &data.valid_data_path, &data.test_data_path}) {
    for (std::string& path : *paths) path = portable(path);
  }
  for (auto* path : {&data.data_args_path, &data.per_split_data_args_path, &data.dataset_root,
                     &data.packed_train_data_path, &data.packed_val_data_path})
    *path = portable(*path);
  data.path_to_cache.clear();
  return write_rows(copy, [](const KeyRow& row) { return row.section != "model" && row.section != "recipe"; });
}

std::string write_run_keys(const RunConfig& config) {
  std::string text;
  for (const std::string_view key : {"moe_aux_loss_coeff",
                                     "moe_z_loss_coeff",
                                     "moe_router_bias_update_rate",
                                     "moe_expert_capacity_factor",
                                     "moe_token_drop_policy",
                                     "mtp_loss_scaling_factor",
                                     "calculate_per_token_loss",
                                     "deterministic_mode",
                                     "hidden_dropout",
                                     "attention_dropout",
                                     "recompute_granularity",
                                     "recompute_method",
                                     "recompute_num_layers",
                                     "recompute_modules",
                                     "moe_layer_recompute",
                                     "cpu_offloading",
                                     "cpu_offloading_num_layers",
                                     "fine_grained_activation_offloading",
                                     "offload_modules",
                                     "min_offloaded_tensor_size"})
    text += fmt::format("  {}: {}\n", key, find_row("model", key)->write(config));
  // Without these a preset would say it all; bf16 and fp16 stand in the model's own lines.
  for (const std::string_view key :
       {"fp8", "fp8_recipe", "fp8_margin", "fp8_amax_history_len", "fp8_amax_compute_algo", "fp8_wgrad",
        "first_last_layers_bf16", "num_layers_at_start_in_bf16", "num_layers_at_end_in_bf16"}) {
    const std::string value = find_row("model", key)->write(config);
    if (value != "null") text += fmt::format("  {}: {}\n", key, value);
  }
  return text;
}

std::string describe_run_config() {
  const RunConfig defaults;
  std::string text;
  std::string_view section = "-";
  for (const KeyRow& row : key_rows()) {
    if (!row.is_written()) continue;
    if (row.section != section) {
      section = row.section;
      text += fmt::format("{}\n", section.empty() ? "(top level)" : section);
    }
    const std::string value = row.write(defaults);
    text += fmt::format("  {} [{}]  {}\n", row.key, value == "null" ? "unset" : value, row.help);
  }
  return text;
}

}  // namespace rialto::config
