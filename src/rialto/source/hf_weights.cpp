// Opening a Hugging Face folder as a source of weights.
#include "rialto/source/hf_weights.h"

#include <unordered_map>

#include "rialto/source/quantization.h"

namespace rialto::source {

DType decoded_type(const spec::ModelSpec& model) { return model.dtype == DType::kF32 ? DType::kF32 : DType::kBF16; }

HfWeights open_hf_weights(const fs::path& path, const spec::ModelSpec* model) {
  hub::HfDirectory directory(path);
  resolve::Resolved resolved = resolve::model_from_hf(directory.config(), (path / "config.json").string());
  HfWeights weights{std::move(directory), std::move(resolved), {}, {}};
  check_quantization(weights.directory.config(), (path / "config.json").string());
  std::vector<bridge::SourceTensor> stored;
  for (const auto& [name, tensor] : weights.directory.tensors())
    stored.push_back({name, tensor.entry.shape, tensor.entry.dtype});
  weights.decoded = bridge::find_coded(stored, decoded_type(weights.resolved.model));
  const families::Family& family = *weights.resolved.family;
  bridge::drop_absent_mtp(weights.resolved.model, family.params, weights.decoded.tensors);
  weights.map = bridge::make_map(model ? *model : weights.resolved.model, family.params, weights.decoded.tensors);
  bridge::match_source(weights.map, weights.decoded.tensors, family.ignored);
  bridge::prove_complete(weights.map);
  return weights;
}

std::vector<const hub::HfTensor*> HfWeights::stored() const {
  std::vector<const hub::HfTensor*> tensors;
  for (const auto& [name, tensor] : directory.tensors()) tensors.push_back(&tensor);
  return tensors;
}

bridge::ByteReader HfWeights::reader() const {
  const bridge::ByteReader decode = bridge::decoding_reader(
      decoded,
      [this, tensors = stored()](uint32_t index, uint64_t begin, std::span<std::byte> out) {
        directory.read(*tensors[index], begin, out);
      },
      decoded_type(resolved.model));
  std::unordered_map<std::string_view, uint32_t> index_of;
  for (uint32_t i = 0; i < decoded.tensors.size(); ++i) index_of.emplace(decoded.tensors[i].name, i);
  std::vector<uint32_t> indices;
  for (const bridge::TensorInfo& tensor : map.hf) indices.push_back(index_of.at(tensor.name));
  return [decode, indices = std::move(indices)](uint32_t index, uint64_t begin, std::span<std::byte> out) {
    decode(indices[index], begin, out);
  };
}

}  // namespace rialto::source
