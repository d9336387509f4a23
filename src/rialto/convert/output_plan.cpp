// Layout, index and config of an exported folder.
#include "rialto/convert/output_plan.h"

#include <algorithm>
#include <unordered_set>

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::convert {
namespace {

constexpr uint64_t kMaxShardBytes = 5'000'000'000;  ///< as transformers has long sharded

uint64_t bytes_of(const Shape& shape, DType dtype) {
  return static_cast<uint64_t>(num_elements(shape)) * size_of(dtype);
}

void add(OutputPlan& plan, OutputShard& shard, const std::string& name, const Shape& shape, DType dtype,
         int64_t index) {
  shard.entries.push_back({.name = name, .dtype = dtype, .shape = shape});
  shard.tensors.push_back({name, index});
  plan.bytes += bytes_of(shape, dtype);
}

OutputPlan follow_layout(const OpenedNative& source, const hub::SourceLayout& layout) {
  std::unordered_set<std::string> members;  // of coded tensors
  std::map<std::string, int64_t> index_of;
  for (size_t i = 0; i < source.map.hf.size(); ++i) index_of[source.map.hf[i].name] = static_cast<int64_t>(i);
  for (const bridge::CodedTensor& tensor : source.decoded.coded) {
    members.insert(source.recorded[tensor.codes].name);
    members.insert(source.recorded[tensor.scales].name);
    if (tensor.shape_tensor) members.insert(source.recorded[*tensor.shape_tensor].name);
  }
  OutputPlan plan;
  plan.indexed = layout.indexed;
  plan.index_metadata = layout.index_metadata;
  for (const hub::LayoutShard& recorded : layout.shards) {
    OutputShard& shard = plan.shards.emplace_back();
    shard.file = recorded.file;
    shard.metadata = recorded.metadata;
    for (const hub::LayoutTensor& tensor : recorded.tensors) {
      if (members.contains(tensor.name)) {
        add(plan, shard, tensor.name, tensor.shape, tensor.dtype, OutputTensor::kCoded);
        continue;
      }
      const auto found = index_of.find(tensor.name);
      if (found == index_of.end()) {
        if (source.hf.pass_through)
          add(plan, shard, tensor.name, tensor.shape, tensor.dtype, OutputTensor::kPassedThrough);
      } else {
        const bridge::TensorInfo& info = source.map.hf[static_cast<size_t>(found->second)];
        add(plan, shard, tensor.name, info.shape, info.dtype, found->second);
      }
    }
  }
  return plan;
}

}  // namespace

OutputPlan plan_output(const OpenedNative& source) {
  return source.hf.layout ? follow_layout(source, *source.hf.layout) : follow_layout(source, own_layout(source.map));
}

hub::SourceLayout own_layout(const bridge::Map& map) {
  hub::SourceLayout layout;
  uint64_t in_shard = 0;
  for (const bridge::TensorInfo& tensor : map.hf) {
    const uint64_t bytes = bytes_of(tensor.shape, tensor.dtype);
    if (layout.shards.empty() || (in_shard > 0 && in_shard + bytes > kMaxShardBytes)) {
      layout.shards.emplace_back().metadata = {{"format", "pt"}};
      in_shard = 0;
    }
    layout.shards.back().tensors.push_back({tensor.name, tensor.dtype, tensor.shape});
    in_shard += bytes;
  }
  layout.indexed = layout.shards.size() > 1;
  for (size_t i = 0; i < layout.shards.size(); ++i)
    layout.shards[i].file = layout.indexed
                                ? fmt::format("model-{:05d}-of-{:05d}.safetensors", i + 1, layout.shards.size())
                                : "model.safetensors";
  return layout;
}

std::string make_index(const OutputPlan& plan) {
  Json metadata = plan.index_metadata;
  metadata["total_size"] = plan.bytes;
  std::map<std::string, std::string> file_of;
  for (const OutputShard& shard : plan.shards)
    for (const OutputTensor& tensor : shard.tensors) file_of[tensor.name] = shard.file;
  return to_python_json({{"metadata", metadata}, {"weight_map", file_of}}) + "\n";
}

std::string make_config(const HfSide& side, std::optional<DType> dtype, const Json& quantization) {
  if (!dtype && side.config_bytes) return *side.config_bytes;
  Json config = side.config;
  if (dtype) {
    const bool has_new = config.contains("dtype"), has_old = config.contains("torch_dtype");
    if (has_new) config["dtype"] = torch_name(*dtype);
    if (has_old || !has_new) config["torch_dtype"] = torch_name(*dtype);
    config.erase("quantization_config");
    if (!quantization.is_null()) config["quantization_config"] = quantization;
  }
  return to_python_json(config) + "\n";
}

}  // namespace rialto::convert
