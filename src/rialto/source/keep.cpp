// Copying what an exact write-back needs into a checkpoint.
#include "rialto/source/keep.h"

#include "rialto/base/blocks.h"
#include "rialto/formats/safetensors.h"
#include "rialto/hub/source_layout.h"

namespace rialto::source {
namespace {

/// A safetensors file of some of the folder's tensors, streamed.
void keep_tensors(store::CheckpointWriter& writer, const char* file, const hub::HfDirectory& directory,
                  const std::vector<const hub::HfTensor*>& tensors) {
  if (tensors.empty()) return;
  std::vector<formats::SafetensorsEntry> entries;
  for (const hub::HfTensor* tensor : tensors) entries.push_back(tensor->entry);
  writer.add_file(file, [&](const store::ByteSink& sink) {
    const std::string header = formats::make_safetensors_header(entries, {});
    sink(std::as_bytes(std::span(header)));
    for (const hub::HfTensor* tensor : tensors)
      for_each_block(
          tensor->entry.size(), [&](uint64_t at, std::span<std::byte> out) { directory.read(*tensor, at, out); }, sink);
  });
}

}  // namespace

void keep_source(store::CheckpointWriter& writer, const HfWeights& weights) {
  const fs::path folder = hub::kSourceFolder;
  writer.copy_file((folder / "config.json").string(), weights.directory.path() / "config.json");
  for (const std::string& name : weights.directory.companion_files())
    writer.copy_file((folder / name).string(), weights.directory.path() / name);
  writer.add_file(hub::kLayoutFile, hub::to_json(hub::layout_of(weights.directory)).dump() + "\n");

  const auto& tensors = weights.directory.tensors();
  const std::vector<bridge::SourceTensor> stored = stored_tensors(weights.directory);
  std::vector<const hub::HfTensor*> passed, scales;
  for (const bridge::Ignored& ignored : weights.map.ignored) passed.push_back(&tensors.at(ignored.name));
  for (const bridge::CodedTensor& tensor : weights.decoded.coded) {
    scales.push_back(&tensors.at(stored[tensor.scales].name));
    if (tensor.shape_tensor) scales.push_back(&tensors.at(stored[*tensor.shape_tensor].name));
  }
  keep_tensors(writer, hub::kPassThroughFile, weights.directory, passed);
  keep_tensors(writer, hub::kScalesFile, weights.directory, scales);
}

}  // namespace rialto::source
