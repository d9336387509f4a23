// Opening a Hugging Face folder as a source of weights.
#include "rialto/source/hf_weights.h"

#include <unordered_map>

#include "rialto/source/quantization.h"

namespace rialto::source {

DType decoded_type(const spec::ModelSpec& model) { return model.dtype == DType::kF32 ? DType::kF32 : DType::kBF16; }

namespace {

/// Tensors of a folder whose shards are not all there: shapes and types of headers, and where there is none, those that
/// the model wants. What is left to be proven of the latter are their names.
std::vector<bridge::SourceTensor> named_tensors(const hub::HfDirectory& directory, const resolve::Resolved& resolved) {
  std::vector<std::string> stored = directory.unseen();
  for (const auto& [name, tensor] : directory.tensors()) stored.push_back(name);
  std::vector<bridge::SourceTensor> tensors;
  for (std::string& name : bridge::decoded_names(stored))
    tensors.push_back({std::move(name), {}, resolved.model.dtype});
  spec::ModelSpec model = resolved.model;
  bridge::drop_absent_mtp(model, resolved.family->params, tensors);
  const bridge::Map map = bridge::make_map(model, resolved.family->params, tensors);
  std::unordered_map<std::string_view, const Shape*> wanted;
  for (const bridge::TensorInfo& tensor : map.hf) wanted.emplace(tensor.name, &tensor.shape);
  for (const bridge::OptionalCopy& copy : map.optional) wanted.emplace(copy.hf, &map.native[copy.native].shape);
  for (bridge::SourceTensor& tensor : tensors) {
    const auto seen = directory.tensors().find(tensor.name);
    const auto want = wanted.find(tensor.name);
    if (seen != directory.tensors().end() && size_of(seen->second.entry.dtype) > 1)
      tensor = {tensor.name, seen->second.entry.shape, seen->second.entry.dtype};
    else if (want != wanted.end())
      tensor.shape = *want->second;
  }
  return tensors;
}

/// All but the map.
HfWeights look_into(const fs::path& path, hub::Absent absent = hub::Absent::kRefused) {
  hub::HfDirectory directory(path, absent);
  const std::string config_path = (path / "config.json").string();
  resolve::Resolved resolved = resolve::model_from_hf(directory.config(), config_path);
  check_quantization(directory.config(), config_path);
  const DType decoded_as = decoded_type(resolved.model);
  const bool names_only = !directory.unseen().empty();
  bridge::DecodedSource decoded;
  if (names_only)
    decoded.tensors = named_tensors(directory, resolved);
  else
    decoded = bridge::find_coded(stored_tensors(directory), decoded_as);
  bridge::drop_absent_mtp(resolved.model, resolved.family->params, decoded.tensors);
  return {std::move(directory), std::move(resolved), std::move(decoded), decoded_as, {}, names_only};
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

HfWeights open_hf_weights(const fs::path& path, const spec::ModelSpec* model, hub::Absent absent) {
  HfWeights weights = look_into(path, absent);
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
