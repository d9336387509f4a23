// Writing and reading the state of delayed FP8 scaling.
#include "rialto/checkpoint/fp8_state.h"

#include <algorithm>

#include "rialto/base/error.h"
#include "rialto/checkpoint/checkpoint.h"
#include "rialto/checkpoint/tensors.h"

namespace rialto::checkpoint {
namespace {

constexpr const char *kHistory = "rialto.fp8.amax_history", *kScale = "rialto.fp8.scale";

store::ChunkSpec whole(const char* key, const Shape& shape) {
  return {.key = key,
          .aliases = {},
          .dtype = DType::kF32,
          .shape = shape,
          .offsets = Shape(shape.size(), 0),
          .sizes = shape};
}

void read_into(const store::CheckpointReader& reader, const char* key, int64_t layer, const at::Tensor& target) {
  Shape offsets(static_cast<size_t>(target.dim()) + 1, 0), sizes = {1};
  offsets[0] = layer;
  for (const int64_t size : target.sizes()) sizes.push_back(size);
  fill_bytes(target, [&](std::span<std::byte> out) { reader.read(key, offsets, sizes, out); });
}

}  // namespace

void add_fp8_state(store::CheckpointWriter& writer, model::BlockRecipes& recipes) {
  auto& layers = recipes.delayed();
  if (layers.empty()) return;
  const auto count = static_cast<int64_t>(layers.size());
  writer.add_chunk(whole(kHistory, {count, layers.begin()->second.history().size(0), 3}),
                   [&](const store::ByteSink& sink) {
                     for (auto& [name, scale] : layers) push_bytes(scale.history(), sink);
                   });
  writer.add_chunk(whole(kScale, {count, 3}), [&](const store::ByteSink& sink) {
    for (auto& [name, scale] : layers) push_bytes(scale.scales(), sink);
  });
}

bool load_fp8_state(const fs::path& iter_dir, model::BlockRecipes& recipes) {
  const store::CheckpointReader reader(iter_dir);
  auto& layers = recipes.delayed();
  if (layers.empty() || !reader.has_tensor(kHistory)) return false;
  const Shape stored = reader.shape(kHistory), want = {static_cast<int64_t>(layers.size()), stored.at(1), 3};
  if (stored != want) {
    throw Error(ErrorKind::kInput, iter_dir.string(), "the state of FP8 scaling is another model's",
                {.got = to_text(stored), .want = to_text(want), .hint = {}});
  }
  int64_t layer = 0;
  for (auto& [name, scale] : layers) {
    // A history of another length keeps its newest entries.
    const int64_t shared = std::min(stored[1], scale.history().size(0));
    scale.observed().zero_();
    scale.history().zero_();
    read_into(reader, kHistory, layer, scale.history().narrow(0, 0, shared));
    read_into(reader, kScale, layer++, scale.scales());
  }
  return true;
}

}  // namespace rialto::checkpoint
