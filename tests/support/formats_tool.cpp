// Writes and dumps every format of rialto/formats, so that tests/oracle/test_formats.py can hold them against Python.
// Elements of written tensors are the flat index, as the test knows; dumps are JSON on standard output.
#include <cstdio>
#include <iostream>
#include <iterator>

#include "rialto/base/error.h"
#include "rialto/base/hash.h"
#include "rialto/base/json.h"
#include "rialto/base/number.h"
#include "rialto/formats/dcp_metadata.h"
#include "rialto/formats/indexed_dataset.h"
#include "rialto/formats/safetensors.h"
#include "rialto/formats/torch_zip.h"

namespace rialto::formats {
namespace {

using Arguments = std::vector<std::string>;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

Json read_stdin() {
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  return parse_json(text, "standard input");
}

DType dtype_of(const std::string& name) {
  const auto dtype = dtype_from_torch(name);
  if (!dtype) throw Error(ErrorKind::kUsage, "formats_tool", "unknown dtype", {.got = name});
  return *dtype;
}

/// Elements first, first + 1, ... of a dtype; small integers wrap.
std::string elements(DType dtype, int64_t first, int64_t count) {
  std::string out(static_cast<size_t>(count) * size_of(dtype), '\0');
  for (int64_t i = 0; i < count; ++i) {
    const int64_t value = first + i;
    const double number = static_cast<double>(value);
    char* at = out.data() + static_cast<size_t>(i) * size_of(dtype);
    const auto put = [at](auto v) { std::memcpy(at, &v, sizeof v); };
    if (is_floating(dtype) && size_of(dtype) > 1)
      cast_elements(&number, DType::kF64, at, dtype, 1);
    else if (dtype == DType::kBool)
      put(static_cast<uint8_t>(value % 2));
    else if (size_of(dtype) == 1)
      put(static_cast<uint8_t>(value % 100));
    else if (size_of(dtype) == 2)
      put(static_cast<uint16_t>(value));
    else if (size_of(dtype) == 4)
      put(static_cast<int32_t>(value));
    else
      put(value);
  }
  return out;
}

std::string archive_of(DType dtype, const Shape& shape, const std::string& data) {
  const TensorArchive archive = make_tensor_archive(dtype, shape, crc32(0, bytes_of(data)));
  return archive.prefix + data + archive.suffix;
}

void write_archive(const Arguments& a) {
  const DType dtype = dtype_of(a.at(1));
  const Shape shape = parse_json(a.at(2), "shape").get<Shape>();
  write_file_synced(real_file_ops(), a.at(0), archive_of(dtype, shape, elements(dtype, 0, num_elements(shape))));
}

void read_archive(const Arguments& a) {
  const ReadFile file(a.at(0));
  const uint64_t begin = a.size() > 1 ? std::stoull(a[1]) : 0;
  const uint64_t length = a.size() > 2 ? std::stoull(a[2]) : file.size() - begin;
  const StoredTensor tensor = locate_tensor(file, begin, length);
  std::string data(tensor.size, '\0');
  file.read_at(tensor.offset, std::as_writable_bytes(std::span(data.data(), data.size())));
  std::string hex;
  for (const char c : data) {
    char pair[3];
    std::snprintf(pair, sizeof pair, "%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
    hex += pair;
  }
  Json out = {{"dtype", torch_name(tensor.dtype)}, {"shape", tensor.shape}, {"offset", tensor.offset}, {"hex", hex}};
  std::cout << out.dump() << "\n";
}

/// A value with everything that common.pt may hold, two tensors among it.
void write_file(const Arguments& a) {
  const auto pair = [](const char* key, PicklePtr value) { return std::pair{p_str(key), std::move(value)}; };
  const PicklePtr value =
      p_dict({pair("none", p_none()), pair("true", p_bool(true)), pair("int", p_int(-5)),
              pair("big", p_int(int64_t{1} << 40)), pair("byte", p_int(200)), pair("word", p_int(60000)),
              pair("float", p_float(0.1)), pair("text", p_str("caf\xC3\xA9")),
              pair("tuple", p_tuple({p_int(1), p_tuple({}), p_tuple({p_int(1), p_int(2), p_int(3), p_int(4)})})),
              pair("list", p_list({p_int(1), p_list({})})),
              pair("ordered", p_call(p_global("collections", "OrderedDict"), {})),
              pair("size", p_call(p_global("torch", "Size"), {p_tuple({p_int(2), p_int(3)})})),
              pair("step", p_tensor(DType::kI64, {}, "0")), pair("empty", p_list({p_tensor(DType::kU8, {0}, "1")})),
              pair("bf16", p_tensor(DType::kBF16, {2, 3}, "2"))});
  write_file_synced(
      real_file_ops(), a.at(0),
      make_torch_file(*value, {{"0", elements(DType::kI64, 7, 1)}, {"1", ""}, {"2", elements(DType::kBF16, 0, 6)}}));
}

Json tree(const PickleValue& value, const TorchFile& file) {
  using Kind = PickleValue::Kind;
  if (is_tensor(value) && value.items[0]->items[2]->items.empty())
    return {{"scalar", tree(*read_scalar(file, value), file)}};
  Json items = Json::array();
  for (const PicklePtr& item : value.items) items.push_back(tree(*item, file));
  Json entries = Json::array();
  for (const auto& [key, item] : value.dict) entries.push_back({tree(*key, file), tree(*item, file)});
  switch (value.kind) {
    case Kind::kNone:
      return nullptr;
    case Kind::kBool:
      return value.boolean;
    case Kind::kInt:
      return value.integer;
    case Kind::kFloat:
      return value.number;
    case Kind::kString:
      return value.text;
    case Kind::kBytes:
      return {{"bytes", Json::array_t(value.text.begin(), value.text.end())}};
    case Kind::kTuple:
      return {{"tuple", items}};
    case Kind::kList:
      return items;
    case Kind::kSet:
      return {{"set", items}};
    case Kind::kDict:
      return {{"dict", entries}};
    case Kind::kGlobal:
      return {{"global", value.text}};
    case Kind::kPersistentId:
      return {{"persistent", items}};
    default:
      return {{"call", value.class_name()},
              {"args", items},
              {"state", value.state ? tree(*value.state, file) : Json()},
              {"dict", entries}};
  }
}

void read_file(const Arguments& a) {
  const ReadFile file(a.at(0));
  std::vector<std::string_view> allowed(a.begin() + 1, a.end());
  const TorchFile torch_file = read_torch_file(file, 0, file.size(), allowed);
  std::cout << tree(*torch_file.value, torch_file).dump() << "\n";
}

/// Standard input: {"tensors": {key: {"dtype", "shape", "chunks": [[offsets, sizes], ...]}}, "objects": [key, ...]}.
void write_dcp(const Arguments& a) {
  const fs::path folder = a.at(0);
  fs::create_directories(folder);
  const Json spec = read_stdin();
  DcpMetadata metadata;
  std::string data;
  const auto add = [&](const std::string& archive) {
    data += archive;
    return FileSpan{"__0_0.distcp", data.size() - archive.size(), archive.size()};
  };
  for (const auto& [key, entry] : spec.at("tensors").items()) {
    DcpTensor tensor = {.dtype = dtype_of(entry.at("dtype")), .shape = entry.at("shape").get<Shape>(), .chunks = {}};
    int64_t first = 0;  // chunks hold consecutive numbers in the order given
    for (const Json& chunk : entry.at("chunks")) {
      DcpChunk out = {.offsets = chunk.at(0).get<Shape>(), .sizes = chunk.at(1).get<Shape>(), .span = {}};
      const int64_t count = num_elements(out.sizes);
      out.span = add(archive_of(tensor.dtype, out.sizes, elements(tensor.dtype, first, count)));
      first += count;
      tensor.chunks.push_back(std::move(out));
    }
    metadata.tensors.emplace(key, std::move(tensor));
  }
  const FileSpan object = add(make_torch_file(*p_list({p_tensor(DType::kU8, {0}, "0")}), {{"0", ""}}));
  for (const Json& key : spec.at("objects")) metadata.objects.emplace(key, object);
  write_file_synced(real_file_ops(), folder / "__0_0.distcp", data);
  write_file_synced(real_file_ops(), folder / ".metadata", make_dcp_metadata(metadata));
}

void dump_dcp(const Arguments& a) {
  const std::string text = read_text_file(a.at(0), 1u << 30);
  const DcpMetadata metadata = parse_dcp_metadata(bytes_of(text), a.at(0));
  Json out = {{"tensors", Json::object()}, {"objects", Json::object()}};
  const auto span = [](const FileSpan& s) { return Json{s.file, s.offset, s.length}; };
  for (const auto& [key, tensor] : metadata.tensors) {
    Json chunks = Json::array();
    for (const DcpChunk& chunk : tensor.chunks)
      chunks.push_back({{"offsets", chunk.offsets}, {"sizes", chunk.sizes}, {"span", span(chunk.span)}});
    out["tensors"][key] = {{"dtype", torch_name(tensor.dtype)}, {"shape", tensor.shape}, {"chunks", chunks}};
  }
  for (const auto& [key, s] : metadata.objects) out["objects"][key] = span(s);
  std::cout << out.dump() << "\n";
}

void write_idx(const Arguments& a) {
  IndexedDatasetWriter writer(real_file_ops(), a.at(0), std::stoll(a.at(1)));
  for (const Json& document : read_stdin()) writer.add_document(document.get<std::vector<int32_t>>());
  writer.finish();
}

void dump_idx(const Arguments& a) {
  const IndexedDataset data(a.at(0));
  Json sequences = Json::array();
  for (int64_t i = 0; i < data.num_sequences(); ++i) {
    std::vector<int32_t> tokens(static_cast<size_t>(data.lengths()[static_cast<size_t>(i)]));
    data.read(i, 0, tokens);
    sequences.push_back(tokens);
  }
  const auto documents = data.document_indices();
  Json out = {{"bytes", data.element_bytes()},
              {"documents", std::vector<int64_t>(documents.begin(), documents.end())},
              {"sequences", sequences}};
  std::cout << out.dump() << "\n";
}

/// Standard input: [[name, dtype, shape], ...].
void write_tensors(const Arguments& a) {
  std::vector<SafetensorsEntry> entries;
  for (const Json& row : read_stdin()) {
    entries.push_back({.name = row.at(0), .dtype = dtype_of(row.at(1)), .shape = row.at(2).get<Shape>()});
  }
  write_safetensors(real_file_ops(), a.at(0), entries, {{"format", "pt"}}, [&](size_t i, const ByteSink& sink) {
    sink(bytes_of(elements(entries[i].dtype, 0, num_elements(entries[i].shape))));
  });
}

void dump_tensors(const Arguments& a) {
  const SafetensorsHeader header = read_safetensors_header(ReadFile(a.at(0)));
  Json out = {{"metadata", header.metadata}, {"tensors", Json::array()}};
  for (const SafetensorsEntry& e : header.entries)
    out["tensors"].push_back({e.name, torch_name(e.dtype), e.shape, e.begin, e.end});
  std::cout << out.dump() << "\n";
}

int run(const std::string& command, const Arguments& arguments) {
  const std::map<std::string, void (*)(const Arguments&)> commands = {
      {"write-archive", write_archive},  {"read-archive", read_archive}, {"write-file", write_file},
      {"read-file", read_file},          {"write-dcp", write_dcp},       {"dump-dcp", dump_dcp},
      {"write-idx", write_idx},          {"dump-idx", dump_idx},         {"write-safetensors", write_tensors},
      {"dump-safetensors", dump_tensors}};
  const auto found = commands.find(command);
  if (found == commands.end()) throw Error(ErrorKind::kUsage, "formats_tool", "unknown command", {.got = command});
  found->second(arguments);
  return 0;
}

}  // namespace
}  // namespace rialto::formats

int main(int argc, char** argv) {
  try {
    return rialto::formats::run(argc > 1 ? argv[1] : "", {argv + std::min(argc, 2), argv + argc});
  } catch (const rialto::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return rialto::exit_code(error.kind());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
