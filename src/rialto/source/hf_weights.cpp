// Opening a Hugging Face folder as a source of weights.
#include "rialto/source/hf_weights.h"

#include <unordered_map>

#include "rialto/source/quantization.h"

namespace rialto::source {

DType decoded_type(const spec::ModelSpec& model) { return model.dtype == DType::kF32 ? DType::kF32 : DType::kBF16; }

namespace {

/// All but the map.
HfWeights look_into(const fs::path& path) {
  hub::HfDirectory directory(path);
  const std::string config_path = (path / "config.json").string();
  resolve::Resolved resolved = resolve::model_from_hf(directory.config(), config_path);
  check_quantization(directory.config(), config_path);
  const DType decoded_as = decoded_type(resolved.model);
  bridge::DecodedSource decoded = bridge::find_coded(stored_tensors(directory), decoded_as);
  bridge::drop_absent_mtp(resolved.model, resolved.family->params, decoded.tensors);
  return {std::move(directory), std::move(resolved), std::move(decoded), decoded_as, {}};
}

}  // namespace

std::vector<bridge::SourceTensor> stored_tensors(const hub::HfDirectory& directory) {
  std::vector<bridge::SourceTensor> tensors;
  for (const auto& [name, tensor] : directory.tensors())
    tensors.push_back({name, tensor.entry.shape, tensor.entry.dtype});
  return tensors;
}

bridge::ByteReader stored_reader(const hub::HfDirectory& directory) {
  std::vector<const hub::HfTensor*> tensors;
  for (const auto& [name, tensor] : directory.tensors()) tensors.push_back(&tensor);
  return [&directory, tensors = std::move(tensors)](uint32_t index, uint64_t begin, std::span<std::byte> out) {
    directory.read(*tensors.at(index), begin, out);
  };
}

spec::ModelSpec hf_model(const fs::path& path) { return look_into(path).resolved.model; }

HfWeights open_hf_weights(const fs::path& path, const spec::ModelSpec* model) {
  HfWeights weights = look_into(path);
  const families::Family& family = *weights.resolved.family;
  weights.map = bridge::make_map(model ? *model : weights.resolved.model, family.params, weights.decoded.tensors);
  bridge::match_source(weights.map, weights.decoded.tensors, family.ignored);
  bridge::prove_complete(weights.map);
  return weights;
}

bridge::ByteReader HfWeights::reader() const {
  const bridge::ByteReader decode = bridge::decoding_reader(decoded, stored_reader(directory), decoded_as);
  std::unordered_map<std::string_view, uint32_t> index_of;
  for (uint32_t i = 0; i < decoded.tensors.size(); ++i) index_of.emplace(decoded.tensors[i].name, i);
  std::vector<uint32_t> indices;
  for (const bridge::TensorInfo& tensor : map.hf) indices.push_back(index_of.at(tensor.name));
  return [decode, indices = std::move(indices)](uint32_t index, uint64_t begin, std::span<std::byte> out) {
    decode(indices[index], begin, out);
  };
}

}  // namespace rialto::source
