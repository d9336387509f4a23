// Looking into a folder without reading its tensors.
#include <set>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/convert/convert.h"
#include "rialto/convert/opened.h"
#include "rialto/store/manifest.h"
#include "rialto/store/names.h"

namespace rialto::convert {
namespace {

/// Tensors and elements by dtype.
class DtypeCount {
 public:
  void add(DType dtype, const Shape& shape) {
    Json& entry = counts_[std::string(torch_name(dtype))];
    if (entry.is_null()) entry = {{"tensors", 0}, {"elements", 0}};
    entry["tensors"] = entry["tensors"].get<int64_t>() + 1;
    entry["elements"] = entry["elements"].get<int64_t>() + num_elements(shape);
    elements_ += num_elements(shape);
  }
  const Json& json() const { return counts_; }
  int64_t elements() const { return elements_; }

 private:
  Json counts_ = Json::object();
  int64_t elements_ = 0;
};

/// Adds family, architecture and parameters; an unknown model is a notice, not an error.
void add_model(Json& report, const Json& config, const std::string& where, int64_t elements) {
  report["family"] = nullptr;
  report["architecture"] =
      config.contains("architectures") && config["architectures"].is_array() && !config["architectures"].empty()
          ? config["architectures"][0]
          : Json(nullptr);
  report["parameters"] = elements;
  try {
    const resolve::Resolved resolved = resolve::model_from_hf(config, where);
    report["family"] = resolved.family->name;
    report["layers"] = resolved.model.layers.size();
    report["hidden"] = resolved.model.hidden;
    report["vocab"] = resolved.model.vocab;
    report["tied"] = resolved.model.tied;
    report["parameters"] = spec::num_parameters(resolved.model);
  } catch (const Error& error) {
    report["notices"].push_back(error.what());
  }
}

Json inspect_hf(const fs::path& path, bool hash, Progress& progress) {
  const hub::HfDirectory directory(path);
  Json report = {{"kind", "hf"}, {"path", path.string()}, {"notices", Json::array()}};
  DtypeCount dtypes;
  std::vector<int64_t> in_shard(directory.shards().size());
  for (const auto& [name, tensor] : directory.tensors()) {
    dtypes.add(tensor.entry.dtype, tensor.entry.shape);
    ++in_shard[tensor.shard];
  }
  add_model(report, directory.config(), (path / "config.json").string(), dtypes.elements());
  report["tensors"] = directory.tensors().size();
  report["dtypes"] = dtypes.json();
  uint64_t bytes = 0;
  Json shards = Json::array();
  for (size_t i = 0; i < directory.shards().size(); ++i) {
    const ReadFile file(path / directory.shards()[i]);
    bytes += file.size();
    Json shard = {{"file", directory.shards()[i]}, {"bytes", file.size()}, {"tensors", in_shard[i]}};
    if (hash) {
      check_cancelled(progress, path.string());
      shard["xxh3_128"] = store::hash_range(file, 0, file.size());
    }
    shards.push_back(std::move(shard));
  }
  report["bytes"] = bytes;
  report["shards"] = std::move(shards);
  report["companions"] = directory.companion_files();
  return report;
}

void add_training(Json& report, const store::CheckpointReader& checkpoint) {
  report["training"] = nullptr;
  if (const auto state = checkpoint.train_state())
    report["training"] = {{"step", state->step},
                          {"consumed_train_samples", state->consumed_train_samples},
                          {"skipped_train_samples", state->skipped_train_samples},
                          {"consumed_valid_samples", state->consumed_valid_samples},
                          {"floating_point_operations_so_far", state->floating_point_operations_so_far}};
}

/// Model tensors by key (aliases counted once), optimizer tensors, objects.
void add_tensors(Json& report, const store::CheckpointReader& checkpoint, DtypeCount& dtypes) {
  std::set<std::pair<std::string, uint64_t>> seen;
  int64_t tensors = 0, optimizer = 0, aliases = 0;
  for (const auto& [key, tensor] : checkpoint.metadata().tensors) {
    const formats::FileSpan& first = tensor.chunks.front().span;
    if (key.starts_with("optimizer.")) {
      ++optimizer;
    } else if (!seen.insert({first.file, first.offset}).second) {
      ++aliases;
    } else {
      ++tensors;
      dtypes.add(tensor.dtype, tensor.shape);
    }
  }
  report["tensors"] = tensors;
  report["aliases"] = aliases;
  report["objects"] = checkpoint.metadata().objects.size();
  report["optimizer_tensors"] = optimizer;
}

void add_files(Json& report, const store::CheckpointReader& checkpoint) {
  std::map<std::string, std::string> recorded;
  if (checkpoint.has_manifest())
    for (const Json& file : checkpoint.manifest()["files"])
      recorded[file["path"].get<std::string>()] = file["xxh3_128"].get<std::string>();
  uint64_t bytes = 0;
  Json files = Json::array();
  std::set<std::string> names;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(checkpoint.path()))
    if (entry.is_regular_file()) names.insert(entry.path().lexically_relative(checkpoint.path()).generic_string());
  for (const std::string& name : names) {
    const uint64_t size = fs::file_size(checkpoint.path() / name);
    bytes += size;
    Json file = {{"file", name}, {"bytes", size}};
    if (const auto found = recorded.find(name); found != recorded.end()) file["xxh3_128"] = found->second;
    files.push_back(std::move(file));
  }
  report["bytes"] = bytes;
  report["shards"] = std::move(files);
}

/// The HF config of the checkpoint, or null with the reason among the notices.
Json config_of(const store::CheckpointReader& checkpoint, Json& report) {
  const fs::path recorded = checkpoint.path() / hub::kSourceFolder / "config.json";
  const fs::path run_config = checkpoint.path() / "run_config.yaml";
  try {
    if (fs::exists(recorded)) return read_json_file(recorded);
    if (fs::exists(run_config))
      return resolve::hf_from_model(resolve::model_from_run_config(read_yaml_file(run_config.string())));
    report["notices"].push_back("neither rialto_source/config.json nor run_config.yaml: the model is not known");
  } catch (const Error& error) {
    report["notices"].push_back(error.what());
  }
  return {};
}

Json inspect_native(const fs::path& path, bool hash, Progress& progress) {
  const std::optional<store::Found> found = store::find_checkpoint(path);
  if (!found) throw Error(ErrorKind::kInput, path.string(), "no checkpoint here");
  const store::CheckpointReader checkpoint(
      found->iter_dir, hash ? store::CheckpointReader::Verify::kHashes : store::CheckpointReader::Verify::kSizes,
      &progress);
  Json report = {{"kind", "megatron"},
                 {"path", found->iter_dir.string()},
                 {"iteration", found->iteration},
                 {"notices", found->notices}};
  if (path != found->iter_dir) report["iterations"] = store::list_iterations(path);
  DtypeCount dtypes;
  Json tensors;
  add_tensors(tensors, checkpoint, dtypes);
  const Json config = config_of(checkpoint, report);
  if (!config.is_null()) add_model(report, config, found->iter_dir.string(), dtypes.elements());
  report.update(tensors);
  report["dtypes"] = dtypes.json();
  add_training(report, checkpoint);
  report["manifest"] = checkpoint.has_manifest();
  report["hashes"] = !checkpoint.has_manifest() ? "none" : hash ? "recomputed and equal" : "recorded";
  if (checkpoint.has_manifest()) {
    report["writer"] = checkpoint.manifest()["writer"];
    report["facts"] = checkpoint.facts();
  } else {
    report["notices"].push_back("no manifest (written by another program): damage to its bytes cannot be noticed");
    if (config.contains("sliding_window") && !config["sliding_window"].is_null())
      report["notices"].push_back(fmt::format("window_size is read as Megatron computes it: each query sees {} keys",
                                              config["sliding_window"].dump()));
  }
  add_files(report, checkpoint);
  return report;
}

}  // namespace

Json inspect(const fs::path& path, bool hash, Progress* maybe_progress) {
  Progress& progress = maybe_progress ? *maybe_progress : silent();
  if (!fs::exists(path)) throw Error(ErrorKind::kInput, path.string(), "there is nothing here");
  if (store::is_native_checkpoint(path)) return inspect_native(path, hash, progress);
  if (hub::is_hf_directory(path)) return inspect_hf(path, hash, progress);
  throw Error(ErrorKind::kInput, path.string(), "neither a Hugging Face model nor a Megatron checkpoint");
}

}  // namespace rialto::convert
