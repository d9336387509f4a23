// Choosing what becomes FP8 codes, by the native parameters that a tensor is made of.
#include "rialto/convert/fp8_layout.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "rialto/base/error.h"
#include "rialto/convert/output_plan.h"
#include "rialto/source/hf_weights.h"

namespace rialto::convert {
namespace {

constexpr std::string_view kWeight = ".weight";

/// A weight matrix of a linear layer inside a decoder layer or a prediction block's: Megatron names their modules
/// linear_*, and nothing else so.
bool is_projection(const spec::Param& param) {
  const size_t leaf = param.name.rfind('.') + 1, module = param.name.rfind('.', leaf - 2) + 1;
  return param.layer >= 0 && param.shape.size() == 2 && !param.pinned_dtype &&
         param.name.compare(module, 7, "linear_") == 0 && param.name.compare(leaf, 6, "weight") == 0;
}

/// Of every HF tensor: whether it is made of projections only.
std::vector<bool> made_of_projections(const OpenedNative& source) {
  std::vector<bool> made(source.map.hf.size(), true);
  for (const bridge::Piece& piece : source.map.pieces)
    if (!piece.hf.lo.empty() && (piece.native.lo.empty() || !is_projection(source.params[piece.native.tensor])))
      made[piece.hf.tensor] = false;
  return made;
}

/// One recorded tensor as it will be written: itself, or codes and scales.
void add_coded(std::vector<hub::LayoutTensor>& tensors, const std::string& name, const Shape& shape) {
  constexpr int64_t kBlock = 128;
  tensors.push_back({name, DType::kF8E4M3, shape});
  tensors.push_back(
      {name + "_scale_inv", DType::kF32, {(shape[0] + kBlock - 1) / kBlock, (shape[1] + kBlock - 1) / kBlock}});
}

}  // namespace

bool holds_fp8_blocks(const OpenedNative& source) {
  const auto is_block = [](const bridge::CodedTensor& tensor) { return tensor.codec == bridge::Codec::kFp8Block; };
  return !source.decoded.coded.empty() &&
         std::all_of(source.decoded.coded.begin(), source.decoded.coded.end(), is_block);
}

bool holds_packed_projections(const OpenedNative& source) {
  const std::vector<bool> made = made_of_projections(source);
  for (size_t i = 0; i < made.size(); ++i)
    if (made[i] && source.map.hf[i].shape.size() != 2) return true;
  return false;
}

void code_projections(OpenedNative& source) {
  const std::vector<bool> made = made_of_projections(source);
  std::unordered_map<std::string_view, size_t> coded;
  for (size_t i = 0; i < made.size(); ++i) {
    if (!made[i]) continue;
    const bridge::TensorInfo& tensor = source.map.hf[i];
    if (tensor.shape.size() != 2)
      throw Error(ErrorKind::kConfig, tensor.name,
                  "holds the projections of several experts, and no FP8 layout of such a tensor is published",
                  {.got = "--dtype fp8-block, shape " + to_text(tensor.shape),
                   .want = "one matrix for each expert and projection",
                   .hint = "--dtype bf16 writes numbers"});
    coded.emplace(tensor.name, i);
  }
  if (!source.hf.layout) source.hf.layout = own_layout(source.map);
  for (hub::LayoutShard& shard : source.hf.layout->shards) {
    std::vector<hub::LayoutTensor> tensors;
    for (hub::LayoutTensor& tensor : shard.tensors) {
      if (coded.contains(tensor.name))
        add_coded(tensors, tensor.name, tensor.shape);
      else
        tensors.push_back(std::move(tensor));
    }
    shard.tensors = std::move(tensors);
  }
  source.recorded.clear();
  for (const hub::LayoutShard& shard : source.hf.layout->shards)
    for (const hub::LayoutTensor& tensor : shard.tensors)
      source.recorded.push_back({tensor.name, tensor.shape, tensor.dtype});
  source.decoded = bridge::find_coded(source.recorded, source::decoded_type(source.resolved.model));
  source.hf.scales = {};
}

Json fp8_quantization(const OpenedNative& source) {
  const std::vector<bool> made = made_of_projections(source);
  std::vector<bool> embeds(source.map.hf.size(), false);
  for (const bridge::Piece& piece : source.map.pieces)
    if (piece.relation == bridge::Relation::kCopy &&
        source.params[piece.native.tensor].stack == spec::Stack::kEmbedding)
      embeds[piece.hf.tensor] = true;
  std::set<std::string> numbers;
  const auto add = [&](const std::string& name) {
    if (name.ends_with(kWeight)) numbers.insert(name.substr(0, name.size() - kWeight.size()));
  };
  for (size_t i = 0; i < made.size(); ++i)
    if (!made[i] && !embeds[i] && source.map.hf[i].shape.size() == 2) add(source.map.hf[i].name);
  // A tied head has no tensor of its own, but a module.
  for (const bridge::OptionalCopy& copy : source.tied) add(copy.hf);
  Json quantization = {
      {"activation_scheme", "dynamic"}, {"fmt", "e4m3"}, {"quant_method", "fp8"}, {"weight_block_size", {128, 128}}};
  if (!numbers.empty()) quantization["modules_to_not_convert"] = numbers;
  return quantization;
}

}  // namespace rialto::convert
