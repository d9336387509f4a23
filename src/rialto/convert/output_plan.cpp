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

OutputPlan recorded_plan(const OpenedNative& source) {
  std::unordered_set<std::string> members;  // of coded tensors
  std::map<std::string, int64_t> index_of;
  for (size_t i = 0; i < source.map.hf.size(); ++i) index_of[source.map.hf[i].name] = static_cast<int64_t>(i);
  for (const bridge::CodedTensor& tensor : source.decoded.coded) {
    members.insert(source.recorded[tensor.codes].name);
    members.insert(source.recorded[tensor.scales].name);
    if (tensor.shape_tensor) members.insert(source.recorded[*tensor.shape_tensor].name);
  }
  OutputPlan plan;
  plan.indexed = source.hf.layout->indexed;
  plan.index_metadata = source.hf.layout->index_metadata;
  for (const hub::LayoutShard& recorded : source.hf.layout->shards) {
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

OutputPlan own_plan(const OpenedNative& source) {
  OutputPlan plan;
  uint64_t in_shard = 0;
  for (size_t i = 0; i < source.map.hf.size(); ++i) {
    const bridge::TensorInfo& tensor = source.map.hf[i];
    const uint64_t bytes = bytes_of(tensor.shape, tensor.dtype);
    if (plan.shards.empty() || (in_shard > 0 && in_shard + bytes > kMaxShardBytes)) {
      plan.shards.emplace_back().metadata = {{"format", "pt"}};
      in_shard = 0;
    }
    add(plan, plan.shards.back(), tensor.name, tensor.shape, tensor.dtype, static_cast<int64_t>(i));
    in_shard += bytes;
  }
  plan.indexed = plan.shards.size() > 1;
  for (size_t i = 0; i < plan.shards.size(); ++i)
    plan.shards[i].file = plan.indexed ? fmt::format("model-{:05d}-of-{:05d}.safetensors", i + 1, plan.shards.size())
                                       : "model.safetensors";
  return plan;
}

}  // namespace

OutputPlan plan_output(const OpenedNative& source) {
  return source.hf.layout ? recorded_plan(source) : own_plan(source);
}

std::string make_index(const OutputPlan& plan) {
  Json metadata = plan.index_metadata;
  metadata["total_size"] = plan.bytes;
  std::map<std::string, std::string> file_of;
  for (const OutputShard& shard : plan.shards)
    for (const OutputTensor& tensor : shard.tensors) file_of[tensor.name] = shard.file;
  return to_python_json({{"metadata", metadata}, {"weight_map", file_of}}) + "\n";
}

std::string make_config(const HfSide& side, std::optional<DType> dtype) {
  if (!dtype && side.config_bytes) return *side.config_bytes;
  Json config = side.config;
  if (dtype) {
    const bool has_new = config.contains("dtype"), has_old = config.contains("torch_dtype");
    if (has_new) config["dtype"] = torch_name(*dtype);
    if (has_old || !has_new) config["torch_dtype"] = torch_name(*dtype);
    config.erase("quantization_config");  // the numbers are written, not codes
  }
  return to_python_json(config) + "\n";
}

}  // namespace rialto::convert
