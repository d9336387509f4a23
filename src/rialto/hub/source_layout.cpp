// Recording and reading a folder's shard layout.
#include "rialto/hub/source_layout.h"

#include <algorithm>

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::hub {
namespace {

constexpr int kVersion = 1;

[[noreturn]] void bad(const std::string& where, std::string_view what) { throw Error(ErrorKind::kInput, where, what); }

const Json& field(const Json& object, const char* key, const std::string& where) {
  if (!object.is_object() || !object.contains(key)) bad(where, fmt::format("the recorded layout has no '{}'", key));
  return object.at(key);
}

std::string text(const Json& value, const std::string& where) {
  if (!value.is_string()) bad(where, "the recorded layout holds something that should be a text");
  return value.get<std::string>();
}

LayoutTensor parse_tensor(const Json& row, const std::string& where) {
  if (!row.is_array() || row.size() != 3 || !row[2].is_array())
    bad(where, "a recorded tensor is not [name, dtype, shape]");
  LayoutTensor tensor;
  tensor.name = text(row[0], where);
  const auto dtype = dtype_from_safetensors(text(row[1], where));
  if (!dtype) bad(where, fmt::format("unknown dtype of recorded tensor '{}'", tensor.name));
  tensor.dtype = *dtype;
  for (const Json& size : row[2]) {
    if (!size.is_number_unsigned())
      bad(where, fmt::format("recorded tensor '{}' has a shape that is none", tensor.name));
    tensor.shape.push_back(size.get<int64_t>());
  }
  return tensor;
}

/// pytorch_model-00001-of-00002.bin is written back as model-00001-of-00002.safetensors.
std::string safetensors_file(const std::string& shard) {
  constexpr std::string_view kPickled = "pytorch_model";
  if (fs::path(shard).extension() != kPickleFormat.extension) return shard;
  const std::string stem = fs::path(shard).stem();
  return (stem.starts_with(kPickled) ? "model" + stem.substr(kPickled.size()) : stem) + ".safetensors";
}

}  // namespace

SourceLayout layout_of(const HfDirectory& directory) {
  SourceLayout layout;
  layout.indexed = directory.has_index();
  if (layout.indexed) {
    const Json index = read_json_file(directory.path() / directory.format().index_file);
    if (index.contains("metadata") && index["metadata"].is_object()) layout.index_metadata = index["metadata"];
  }
  std::vector<std::vector<const formats::SafetensorsEntry*>> entries(directory.shards().size());
  for (const auto& [name, tensor] : directory.tensors()) entries[tensor.shard].push_back(&tensor.entry);
  for (size_t shard = 0; shard < entries.size(); ++shard) {
    // Empty tensors share their offset with the next one: the name decides then.
    std::sort(entries[shard].begin(), entries[shard].end(), [](const auto* a, const auto* b) {
      return std::tie(a->begin, a->end, a->name) < std::tie(b->begin, b->end, b->name);
    });
    LayoutShard& out = layout.shards.emplace_back();
    out.file = safetensors_file(directory.shards()[shard]);
    out.metadata = directory.shard_metadata(shard);
    for (const formats::SafetensorsEntry* entry : entries[shard])
      out.tensors.push_back({entry->name, entry->dtype, entry->shape});
  }
  return layout;
}

Json to_json(const SourceLayout& layout) {
  Json shards = Json::array();
  for (const LayoutShard& shard : layout.shards) {
    Json tensors = Json::array();
    for (const LayoutTensor& tensor : shard.tensors)
      tensors.push_back(Json::array({tensor.name, std::string(safetensors_name(tensor.dtype)), tensor.shape}));
    shards.push_back({{"file", shard.file}, {"metadata", shard.metadata}, {"tensors", std::move(tensors)}});
  }
  return {{"format", "rialto-hf-layout"},
          {"version", kVersion},
          {"indexed", layout.indexed},
          {"index_metadata", layout.index_metadata},
          {"shards", std::move(shards)}};
}

SourceLayout parse_layout(const Json& json, const std::string& where) {
  if (field(json, "format", where) != "rialto-hf-layout" || field(json, "version", where) != kVersion)
    bad(where, "not a recorded layout of this version");
  SourceLayout layout;
  const Json& indexed = field(json, "indexed", where);
  if (!indexed.is_boolean()) bad(where, "'indexed' is not true or false");
  layout.indexed = indexed.get<bool>();
  layout.index_metadata = field(json, "index_metadata", where);
  if (!layout.index_metadata.is_object()) bad(where, "'index_metadata' is not an object");
  const Json& shards = field(json, "shards", where);
  if (!shards.is_array() || shards.empty()) bad(where, "'shards' is not a list of files");
  for (const Json& row : shards) {
    LayoutShard& shard = layout.shards.emplace_back();
    shard.file = text(field(row, "file", where), where);
    const fs::path name(shard.file);
    if (shard.file.empty() || name.filename() != name || name.extension() != ".safetensors")
      bad(where, fmt::format("'{}' is not a plain .safetensors file name", shard.file));
    const Json& metadata = field(row, "metadata", where);
    if (!metadata.is_object()) bad(where, "'metadata' of a shard is not an object");
    for (const auto& [key, value] : metadata.items()) shard.metadata[key] = text(value, where);
    const Json& tensors = field(row, "tensors", where);
    if (!tensors.is_array()) bad(where, "'tensors' of a shard is not a list");
    for (const Json& tensor : tensors) shard.tensors.push_back(parse_tensor(tensor, where));
  }
  return layout;
}

}  // namespace rialto::hub
