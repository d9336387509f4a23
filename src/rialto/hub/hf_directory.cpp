// Opens a Hugging Face model directory: the index against the shards' headers, both ways, before any tensor is read.
#include "rialto/hub/hf_directory.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "rialto/base/error.h"
#include "rialto/formats/torch_zip.h"

namespace rialto::hub {
namespace {

constexpr uint64_t kMaxConfigBytes = 16u << 20;
constexpr size_t kMaxShards = 10'000;

Error bad(const fs::path& path, std::string_view what, const ErrorParts& parts = {}) {
  return Error(ErrorKind::kInput, path.string(), what, parts);
}

Json read_object(const fs::path& path, uint64_t max_bytes) {
  Json json = read_json_file(path, max_bytes);
  if (!json.is_object()) throw bad(path, "is not a JSON object");
  return json;
}

/// A shard is a file of this folder: no directories, no way out of it.
void check_shard_name(const fs::path& index, const std::string& name, const char* extension) {
  const fs::path path(name);
  if (name.empty() || name.find('\0') != std::string::npos || name.find('\\') != std::string::npos ||
      path.filename() != path || path.extension() != extension)
    throw bad(index, fmt::format("names a shard that is not a plain {} file name", extension),
              {.got = fmt::format("'{}'", name)});
}

/// tensor name -> shard file name.
std::map<std::string, std::string> read_index(const fs::path& path, const char* extension) {
  const Json index = read_object(path, 256u << 20);
  const auto found = index.find("weight_map");
  if (found == index.end() || !found->is_object() || found->empty())
    throw bad(path, "has no tensors", {.want = "an object 'weight_map' from tensor names to shard files"});
  std::map<std::string, std::string> shard_of;
  for (const auto& [tensor, shard] : found->items()) {
    if (!shard.is_string()) throw bad(path, fmt::format("names no file for tensor '{}'", tensor));
    check_shard_name(path, shard.get<std::string>(), extension);
    shard_of[tensor] = shard.get<std::string>();
  }
  return shard_of;
}

/// A state dict as a header: entries in the order of their data, offsets from the start of the file.
formats::SafetensorsHeader read_pickle_header(const ReadFile& file) {
  formats::SafetensorsHeader header;
  header.metadata["format"] = "pt";  // what transformers writes into safetensors files
  for (auto& [name, tensor] : formats::locate_state_dict(file))
    header.entries.push_back({std::move(name), tensor.dtype, tensor.shape, tensor.offset, tensor.offset + tensor.size});
  return header;
}

}  // namespace

bool is_companion_file(const std::string& name) {
  static constexpr std::array kNames = {"generation_config.json",
                                        "special_tokens_map.json",
                                        "added_tokens.json",
                                        "vocab.json",
                                        "vocab.txt",
                                        "merges.txt"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end() || name.starts_with("tokenizer") ||
         name.starts_with("chat_template") || name.ends_with(".model") || name.ends_with(".tiktoken");
}

struct HfDirectory::Impl {
  fs::path path;
  Json config;
  bool pickled = false;
  bool has_index = false;
  std::vector<std::string> shards;
  std::vector<ReadFile> files;
  std::vector<uint64_t> data_starts;
  std::vector<std::map<std::string, std::string>> metadata;
  std::map<std::string, HfTensor> tensors;
  std::vector<std::string> unseen;

  const WeightFormat& format() const { return pickled ? kPickleFormat : kSafetensorsFormat; }
  void find_shards(std::map<std::string, std::string>& shard_of);
  void open_shard(const std::string& name);
  void check_against(const std::map<std::string, std::string>& shard_of) const;
  void set_absent_aside(std::map<std::string, std::string>& shard_of);
};

void HfDirectory::Impl::find_shards(std::map<std::string, std::string>& shard_of) {
  const auto holds = [&](const char* name) { return fs::exists(path / name); };
  pickled = !holds(kSafetensorsFormat.single_file) && !holds(kSafetensorsFormat.index_file);
  has_index = holds(format().index_file);
  if (!has_index) {
    if (!holds(format().single_file))
      throw bad(path, "holds no weights",
                {.want = fmt::format("{} or {} (or {}, or its index)", kSafetensorsFormat.single_file,
                                     kSafetensorsFormat.index_file, kPickleFormat.single_file),
                 .hint = "incomplete download?"});
    shards = {format().single_file};
    return;
  }
  shard_of = read_index(path / format().index_file, format().extension);
  for (const auto& [tensor, shard] : shard_of) shards.push_back(shard);
  std::sort(shards.begin(), shards.end());
  shards.erase(std::unique(shards.begin(), shards.end()), shards.end());
  if (shards.size() > kMaxShards)
    throw bad(path / format().index_file, "names too many shards",
              {.got = fmt::to_string(shards.size()), .want = fmt::format("at most {}", kMaxShards)});
  // transformers would read the single file and leave the index aside; which of the two is meant is not ours to guess.
  if (holds(format().single_file) && !std::binary_search(shards.begin(), shards.end(), format().single_file))
    throw bad(path, fmt::format("holds both {} and {}", format().single_file, format().index_file),
              {.hint = "remove the one that is not meant"});
}

/// Afterwards `shards` and `shard_of` speak of files that are here.
void HfDirectory::Impl::set_absent_aside(std::map<std::string, std::string>& shard_of) {
  std::erase_if(shards, [&](const std::string& name) { return !fs::is_regular_file(path / name); });
  std::erase_if(shard_of, [&](const auto& entry) {
    const bool absent = !std::binary_search(shards.begin(), shards.end(), entry.second);
    if (absent) unseen.push_back(entry.first);
    return absent;
  });
}

void HfDirectory::Impl::open_shard(const std::string& name) {
  if (!fs::is_regular_file(path / name))
    throw bad(path / name, "is missing",
              {.hint = has_index ? fmt::format("{} names it; incomplete download?", format().index_file) : ""});
  ReadFile& file = files.emplace_back(path / name);
  formats::SafetensorsHeader header = pickled ? read_pickle_header(file) : formats::read_safetensors_header(file);
  metadata.push_back(std::move(header.metadata));
  data_starts.push_back(header.data_start);
  for (formats::SafetensorsEntry& entry : header.entries) {
    std::string key = entry.name;
    const auto [at, fresh] = tensors.try_emplace(std::move(key), HfTensor{std::move(entry), files.size() - 1});
    if (!fresh) throw bad(path / name, fmt::format("tensor '{}' is also in {}", at->first, shards[at->second.shard]));
  }
}

void HfDirectory::Impl::check_against(const std::map<std::string, std::string>& shard_of) const {
  for (const auto& [name, tensor] : tensors)
    if (!shard_of.contains(name))
      throw bad(path / shards[tensor.shard], fmt::format("holds tensor '{}', which the index does not name", name));
  for (const auto& [name, shard] : shard_of) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) throw bad(path / shard, fmt::format("lacks tensor '{}', which the index names", name));
    if (shards[found->second.shard] != shard)
      throw bad(path / format().index_file, fmt::format("puts tensor '{}' into the wrong shard", name),
                {.got = shard, .want = shards[found->second.shard]});
  }
}

HfDirectory::HfDirectory(const fs::path& path, Absent absent) : impl_(std::make_unique<Impl>()) {
  impl_->path = path;
  if (!fs::is_directory(path)) throw bad(path, "is not a directory");
  if (!fs::is_regular_file(path / "config.json"))
    throw bad(path, "has no config.json", {.hint = "is this a Hugging Face model?"});
  impl_->config = read_object(path / "config.json", kMaxConfigBytes);
  std::map<std::string, std::string> shard_of;
  impl_->find_shards(shard_of);
  if (absent == Absent::kNamesOnly && impl_->has_index) impl_->set_absent_aside(shard_of);
  for (const std::string& shard : impl_->shards) impl_->open_shard(shard);
  if (impl_->has_index) impl_->check_against(shard_of);
}

HfDirectory::~HfDirectory() = default;
HfDirectory::HfDirectory(HfDirectory&&) noexcept = default;

const fs::path& HfDirectory::path() const { return impl_->path; }
const Json& HfDirectory::config() const { return impl_->config; }
const std::vector<std::string>& HfDirectory::shards() const { return impl_->shards; }
const std::map<std::string, HfTensor>& HfDirectory::tensors() const { return impl_->tensors; }
std::map<std::string, std::string> HfDirectory::shard_metadata(size_t shard) const { return impl_->metadata.at(shard); }
const std::vector<std::string>& HfDirectory::unseen() const { return impl_->unseen; }
bool HfDirectory::has_index() const { return impl_->has_index; }
const WeightFormat& HfDirectory::format() const { return impl_->format(); }

std::string HfDirectory::architecture() const {
  const auto found = impl_->config.find("architectures");
  if (found == impl_->config.end() || !found->is_array() || found->empty() || !found->front().is_string())
    throw bad(impl_->path / "config.json", "does not say which model it is",
              {.want = "\"architectures\": [\"...ForCausalLM\"]"});
  return found->front().get<std::string>();
}

void HfDirectory::read(const HfTensor& tensor, uint64_t begin, std::span<std::byte> out) const {
  if (begin > tensor.entry.size() || out.size() > tensor.entry.size() - begin)
    throw Error(ErrorKind::kInternal, tensor.entry.name, "read past the end of a tensor",
                {.got = fmt::format("bytes {} to {}", begin, begin + out.size()),
                 .want = fmt::format("at most {}", tensor.entry.size())});
  impl_->files.at(tensor.shard).read_at(impl_->data_starts[tensor.shard] + tensor.entry.begin + begin, out);
}

std::vector<std::string> HfDirectory::companion_files() const { return companion_files_of(impl_->path); }

std::vector<std::string> companion_files_of(const fs::path& path) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(path))
    if (entry.is_regular_file() && is_companion_file(entry.path().filename().string()))
      names.push_back(entry.path().filename().string());
  const fs::path templates = path / "additional_chat_templates";
  if (fs::is_directory(templates))
    for (const fs::directory_entry& entry : fs::directory_iterator(templates))
      if (entry.is_regular_file()) names.push_back((templates.filename() / entry.path().filename()).string());
  std::sort(names.begin(), names.end());
  return names;
}

bool is_hf_directory(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path / "config.json", ignored);
}

}  // namespace rialto::hub
