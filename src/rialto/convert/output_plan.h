// Which file gets which tensor when a Hugging Face folder is written.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "rialto/convert/opened.h"
#include "rialto/formats/safetensors.h"

namespace rialto::convert {

struct OutputTensor {
  std::string name;
  int64_t index = kPassedThrough;                             ///< in map.hf
  static constexpr int64_t kPassedThrough = -1, kCoded = -2;  ///< kCoded: a member of a coded tensor
};
struct OutputShard {
  std::string file;
  std::map<std::string, std::string> metadata;
  std::vector<formats::SafetensorsEntry> entries;
  std::vector<OutputTensor> tensors;  ///< parallel to entries
};
struct OutputPlan {
  std::vector<OutputShard> shards;
  bool indexed = false;
  Json index_metadata = Json::object();
  uint64_t bytes = 0;
};

/// The recorded layout where there is one, codes and scales included; else files of at most 5 GB in the model's order.
OutputPlan plan_output(const OpenedNative& source);

/// model.safetensors.index.json of what is really written.
std::string make_index(const OutputPlan& plan);

/// The map's HF tensors in its order, in files of at most 5 GB.
hub::SourceLayout own_layout(const bridge::Map& map);

/// config.json: as it was when no dtype has changed; else with the dtype key set to `dtype` and this
/// `quantization_config` (null: none).
std::string make_config(const HfSide& side, std::optional<DType> dtype, const Json& quantization);

}  // namespace rialto::convert
