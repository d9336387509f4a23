// How a Hugging Face folder spreads its tensors over files: recorded beside native weights, followed on the way back.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "rialto/base/json.h"
#include "rialto/hub/hf_directory.h"

namespace rialto::hub {

struct LayoutTensor {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
};
struct LayoutShard {
  std::string file;
  std::map<std::string, std::string> metadata;  ///< "__metadata__"
  std::vector<LayoutTensor> tensors;            ///< in the order of their data
};
struct SourceLayout {
  bool indexed = false;                  ///< model.safetensors.index.json is written
  Json index_metadata = Json::object();  ///< "metadata" of the index
  std::vector<LayoutShard> shards;
};

SourceLayout layout_of(const HfDirectory& directory);
Json to_json(const SourceLayout& layout);
/// Throws kInput naming `where` on anything that to_json does not write, file names with folders in them included.
SourceLayout parse_layout(const Json& json, const std::string& where);

/// Where a native checkpoint keeps it, inside iter_N.
inline constexpr const char* kSourceFolder = "rialto_source";
inline constexpr const char* kLayoutFile = "rialto_source/tensors.json";
inline constexpr const char* kPassThroughFile = "rialto_source/pass_through.safetensors";
inline constexpr const char* kScalesFile = "rialto_source/scales.safetensors";  ///< of tensors stored as codes

}  // namespace rialto::hub
