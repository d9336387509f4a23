// Carrying rialto_source/ into a checkpoint.
#include "rialto/checkpoint/source_files.h"

#include <algorithm>

#include "rialto/bridge/plan.h"
#include "rialto/formats/safetensors.h"
#include "rialto/hub/hf_directory.h"
#include "rialto/hub/source_layout.h"
#include "rialto/resolve/resolve.h"

namespace rialto::checkpoint {
namespace {

const std::string kFolder = std::string(hub::kSourceFolder) + "/";

/// Tensors that the family names as having no place in the model: an exact write-back returns them.
std::string pass_through(const hub::HfDirectory& directory) {
  auto resolved = resolve::model_from_hf(directory.config(), (directory.path() / "config.json").string());
  std::vector<bridge::SourceTensor> tensors;
  for (const auto& [name, tensor] : directory.tensors())
    tensors.push_back({name, tensor.entry.shape, tensor.entry.dtype});
  bridge::drop_absent_mtp(resolved.model, resolved.family->params, tensors);
  bridge::Map map = bridge::make_map(resolved.model, resolved.family->params, tensors);
  bridge::match_source(map, tensors, resolved.family->ignored);
  if (map.ignored.empty()) return {};
  std::vector<formats::SafetensorsEntry> entries;
  for (const bridge::Ignored& ignored : map.ignored) entries.push_back(directory.tensors().at(ignored.name).entry);
  std::string bytes = formats::make_safetensors_header(entries, {});
  for (const formats::SafetensorsEntry& entry : entries) {
    std::string data(entry.size(), '\0');
    directory.read(directory.tensors().at(entry.name), 0, std::as_writable_bytes(std::span(data)));
    bytes += data;
  }
  return bytes;
}

}  // namespace

void add_source_files(store::CheckpointWriter& writer, const fs::path& hf_dir) {
  const hub::HfDirectory directory(hf_dir);
  writer.copy_file(kFolder + "config.json", hf_dir / "config.json");
  for (const std::string& name : directory.companion_files()) writer.copy_file(kFolder + name, hf_dir / name);
  writer.add_file(hub::kLayoutFile, hub::to_json(hub::layout_of(directory)).dump() + "\n");
  const std::string kept = pass_through(directory);
  if (!kept.empty()) writer.add_file(hub::kPassThroughFile, kept);
}

bool carry_source_files(store::CheckpointWriter& writer, const fs::path& iter_dir) {
  const fs::path folder = iter_dir / hub::kSourceFolder;
  if (!fs::is_directory(folder)) return false;
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) writer.copy_file(kFolder + fs::relative(file, folder).generic_string(), file);
  return true;
}

void add_tokenizer_files(store::CheckpointWriter& writer, const spec::ModelSpec& model, const fs::path& tokenizer) {
  writer.add_file(kFolder + "config.json", to_python_json(resolve::hf_from_model(model)) + "\n");
  for (const std::string& name : hub::companion_files_of(tokenizer)) writer.copy_file(kFolder + name, tokenizer / name);
}

}  // namespace rialto::checkpoint
