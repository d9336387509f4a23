// Copying what an exact write-back needs into a checkpoint.
#include "rialto/source/keep.h"

#include <algorithm>

#include "rialto/formats/safetensors.h"
#include "rialto/hub/source_layout.h"

namespace rialto::source {
namespace {

constexpr uint64_t kBlockBytes = 4u << 20;

/// A safetensors file of some of the folder's tensors, streamed.
void keep_tensors(store::CheckpointWriter& writer, const char* file, const hub::HfDirectory& directory,
                  const std::vector<const hub::HfTensor*>& tensors) {
  if (tensors.empty()) return;
  std::vector<formats::SafetensorsEntry> entries;
  for (const hub::HfTensor* tensor : tensors) entries.push_back(tensor->entry);
  writer.add_file(file, [&](const store::ByteSink& sink) {
    const std::string header = formats::make_safetensors_header(entries, {});
    sink(std::as_bytes(std::span(header)));
    std::vector<std::byte> block;
    for (const hub::HfTensor* tensor : tensors) {
      for (uint64_t at = 0; at < tensor->entry.size(); at += block.size()) {
        block.resize(static_cast<size_t>(std::min(kBlockBytes, tensor->entry.size() - at)));
        directory.read(*tensor, at, block);
        sink(block);
      }
    }
  });
}

}  // namespace

void keep_source(store::CheckpointWriter& writer, const HfWeights& weights) {
  const fs::path folder = hub::kSourceFolder;
  writer.copy_file((folder / "config.json").string(), weights.directory.path() / "config.json");
  for (const std::string& name : weights.directory.companion_files())
    writer.copy_file((folder / name).string(), weights.directory.path() / name);
  writer.add_file(hub::kLayoutFile, hub::to_json(hub::layout_of(weights.directory)).dump() + "\n");

  const std::vector<const hub::HfTensor*> stored = weights.stored();
  std::vector<const hub::HfTensor*> passed, scales;
  for (const bridge::Ignored& ignored : weights.map.ignored)
    passed.push_back(&weights.directory.tensors().at(ignored.name));
  for (const bridge::CodedTensor& tensor : weights.decoded.coded) {
    scales.push_back(stored[tensor.scales]);
    if (tensor.shape_tensor) scales.push_back(stored[*tensor.shape_tensor]);
  }
  keep_tensors(writer, hub::kPassThroughFile, weights.directory, passed);
  keep_tensors(writer, hub::kScalesFile, weights.directory, scales);
}

}  // namespace rialto::source
