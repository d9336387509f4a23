// Checking a run before anything is started.
#include "rialto/cli/run_check.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/config/model_keys.h"
#include "rialto/config/precision.h"
#include "rialto/data/sft_parts.h"
#include "rialto/hub/hf_directory.h"
#include "rialto/hub/hub_id.h"
#include "rialto/hub/tokenizer.h"
#include "rialto/hub/tokenizer_file.h"
#include "rialto/resolve/resolve.h"
#include "rialto/resolve/spelled_model.h"
#include "rialto/source/hf_weights.h"
#include "rialto/store/checkpoint.h"

namespace rialto::cli {
namespace {

namespace fs = std::filesystem;
using config::Problem;
using config::RunConfig;

bool exists(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error);
}

/// A weight of a blend stands among its prefixes.
bool is_number(const std::string& text) {
  const Node value = parse_yaml_value(text);
  return value.kind == Node::Kind::kInt || value.kind == Node::Kind::kFloat;
}

class Check {
 public:
  explicit Check(const RunConfig& config) : config_(config) {}

  std::vector<Problem> run() {
    problems = config::broken_rules(config_);
    check_paths();
    try {
      if (const auto model = model_of_run()) add_model_rules(*model);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kConfig)
        add_model_error(error);
      else if (problems.empty())
        throw;
    }
    return std::move(problems);
  }

 private:
  void add(std::string_view key, std::string_view what, const ErrorParts& parts) {
    problems.push_back({"", std::string(key), config::located_error(config_, key, what, parts).what()});
  }

  void missing_file(std::string_view key, const std::string& path, std::string_view want) {
    add(key, "no such file", {.got = path, .want = std::string(want)});
  }

  void check_paths() {
    const config::DatasetSection& data = config_.dataset;
    for (const auto& [key, words] : {std::pair{"dataset.data_path", data.data_path},
                                     {"dataset.train_data_path", data.train_data_path},
                                     {"dataset.valid_data_path", data.valid_data_path},
                                     {"dataset.test_data_path", data.test_data_path}}) {
      for (const std::string& prefix : words) {
        if (is_number(prefix)) continue;
        for (const char* ending : {".idx", ".bin"})
          if (!exists(prefix + ending)) missing_file(key, prefix + ending, "the prefix of a .bin/.idx pair");
      }
    }
    for (const auto& [key, file] : {std::pair{"dataset.data_args_path", data.data_args_path},
                                    {"dataset.per_split_data_args_path", data.per_split_data_args_path}})
      if (!file.empty() && !exists(file)) missing_file(key, file, "a file that names data");
    if (!data.dataset_root.empty() && data.packed_train_data_path.empty()) check_rows(data);
    for (const auto& [key, path] : {std::pair{"packed_train_data_path", data.packed_train_data_path},
                                    {"packed_val_data_path", data.packed_val_data_path}})
      if (!path.empty() && path.find_first_of("*?[") == path.npos && !exists(path))
        missing_file(fmt::format("dataset.packed_sequence_specs.{}", key), path,
                     "a .parquet or .npy file of packed rows, or a folder of such");
    const std::string& tokenizer = config_.tokenizer.tokenizer_model;
    if (!tokenizer.empty() && exists(tokenizer))
      hub::require_tokenizer_type(tokenizer, config_.tokenizer.tokenizer_type, "tokenizer.tokenizer_type");
    else if (!tokenizer.empty() && !hub::parse_hub_id(tokenizer))
      missing_file("tokenizer.tokenizer_model", tokenizer, "a Hugging Face folder or a tokenizer's file");
    const std::string& pretrained = config_.checkpoint.pretrained_checkpoint;
    if (!pretrained.empty() && !exists(pretrained) && !hub::parse_hub_id(pretrained))
      missing_file("checkpoint.pretrained_checkpoint", pretrained,
                   "a Hugging Face folder, a native checkpoint or ORG/NAME");
  }

  void check_rows(const config::DatasetSection& data) {
    try {
      if (data::part_files(data.dataset_root, data::Part::kTrain, data.dataset_subset).empty())
        missing_file("dataset.dataset_root", data.dataset_root + "/training.jsonl", "a folder with training.jsonl");
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kConfig) throw;
      problems.push_back({"", "dataset.dataset_subset", error.what()});
    }
  }

  std::optional<spec::ModelSpec> loaded_model() const {
    const config::CheckpointSection& section = config_.checkpoint;
    std::optional<store::Found> found;
    if (!section.load.empty() && exists(section.load)) found = store::find_checkpoint(section.load, section.ckpt_step);
    const std::string& pretrained = section.pretrained_checkpoint;
    if (!found && !pretrained.empty() && exists(pretrained)) {
      if (hub::is_hf_directory(pretrained)) return source::hf_model(pretrained);
      found = store::find_checkpoint(pretrained, {});
    }
    if (!found) return std::nullopt;
    const fs::path file = found->iter_dir / "run_config.yaml";
    if (!exists(file.string())) return std::nullopt;  // the loader says what else is missing there
    return resolve::model_from_run_config(read_yaml_file(file.string()));
  }

  /// None where only the loader can tell.
  std::optional<spec::ModelSpec> model_of_run() {
    if (auto model = loaded_model()) {
      resolve::check_against_model(config_.model, *model);
      return model;
    }
    const bool named = !config_.checkpoint.pretrained_checkpoint.empty();
    // A recipe for a hub model spells out the model too; a section that does not is left to the loaded one.
    if (named && !config_.model.find("num_layers")) return std::nullopt;
    std::optional<int64_t> vocab;
    const std::string& tokenizer = config_.tokenizer.tokenizer_model;
    if (!config_.model.find("vocab_size") && exists(tokenizer)) vocab = hub::Tokenizer(tokenizer).vocab_size();
    const DType dtype = config::precision_of(config_).dtype;
    const spec::ModelSpec model = resolve::model_from_section(config_.model, vocab, dtype);
    (void)resolve::hf_from_model(model);
    return model;
  }

  void add_model_rules(const spec::ModelSpec& model) {
    std::vector<Problem> with_model = config::broken_rules(config_, &model);
    for (Problem& problem : with_model) {
      const auto known = [&](const Problem& other) { return other.rule == problem.rule; };
      if (std::ranges::none_of(problems, known)) problems.push_back(std::move(problem));
    }
  }

  /// The key is the first that the line names.
  void add_model_error(const Error& error) {
    const std::string line = error.what();
    std::string key = "model";
    for (const config::ModelKey& row : config::model_keys()) {
      const std::string name = fmt::format("model.{}", row.key);
      if (line.find(fmt::format("'{}'", name)) != line.npos || line.find(name + " ") != line.npos) key = name;
    }
    problems.push_back({"", key, line});
  }

  const RunConfig& config_;
  std::vector<Problem> problems;
};

std::vector<Problem> those(const std::vector<Problem>& problems, bool limits) {
  std::vector<Problem> out;
  std::ranges::copy_if(problems, std::back_inserter(out), [&](const Problem& p) { return p.is_limit == limits; });
  return out;
}

}  // namespace

std::vector<Problem> check_run(const RunConfig& config) { return Check(config).run(); }

std::vector<Problem> check_run(const config::ConfigSources& sources, std::optional<int64_t> processes) {
  std::vector<Problem> problems;
  RunConfig config = config::read_run_config(sources, &problems);
  if (!problems.empty()) return problems;
  config.world_size = processes ? *processes : config.recipe.gpus.value_or(1);
  return check_run(config);
}

std::vector<Problem> mistakes_of(const std::vector<Problem>& problems) { return those(problems, false); }
std::vector<Problem> limits_of(const std::vector<Problem>& problems) { return those(problems, true); }

}  // namespace rialto::cli
