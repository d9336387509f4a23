// Reading and writing the cache's folders.
#include "rialto/hub/hub_cache.h"

#include <algorithm>
#include <functional>
#include <set>

#include <fmt/format.h>
#include <unistd.h>

#include "rialto/base/error.h"
#include "rialto/base/json.h"

namespace rialto::hub {
namespace {

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    if (end > at) lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

}  // namespace

HubCache::HubCache(const fs::path& cache, const HubId& id) : cache_(cache), folder_(cache / id.cache_folder()) {}

fs::path HubCache::lock_path(const std::string& etag) const {
  return cache_ / ".locks" / folder_.filename() / (etag + ".lock");
}

std::optional<std::string> HubCache::find_commit(const std::string& revision) const {
  if (is_commit(revision)) return revision;
  const fs::path path = folder_ / "refs" / revision;
  if (!is_file(path)) return std::nullopt;
  const std::string commit = read_text_file(path, 1024);
  if (!is_commit(commit)) throw Error(ErrorKind::kInput, path.string(), "holds no commit", {.hint = "remove it"});
  return commit;
}

void HubCache::record_commit(FileOps& ops, const std::string& revision, const std::string& commit) const {
  if (is_commit(revision) || find_commit(revision) == commit) return;
  const fs::path path = folder_ / "refs" / revision;
  ops.make_dirs(path.parent_path());
  write_file_atomically(ops, path, commit);
}

std::optional<std::vector<std::string>> HubCache::recorded_files(const std::string& commit) const {
  const fs::path path = folder_ / ".rialto" / commit;
  if (!is_file(path)) return std::nullopt;
  return lines_of(read_text_file(path, 16u << 20));
}

void HubCache::record_files(FileOps& ops, const std::string& commit, const std::vector<std::string>& files) const {
  ops.make_dirs(folder_ / ".rialto");
  write_file_atomically(ops, folder_ / ".rialto" / commit, fmt::format("{}\n", fmt::join(files, "\n")));
}

void HubCache::link(FileOps& ops, const std::string& commit, const std::string& file, const std::string& etag) const {
  const fs::path path = snapshot(commit) / file;
  const fs::path target = fs::path(blob(etag)).lexically_relative(path.parent_path());
  std::error_code ignored;
  if (fs::is_symlink(path, ignored) && fs::read_symlink(path, ignored) == target) return;
  ops.make_dirs(path.parent_path());
  fs::path temporary = path;
  temporary.replace_filename(fmt::format(".{}.tmp{}", path.filename().string(), ::getpid()));
  if (fs::is_symlink(temporary, ignored)) ops.remove_all(temporary);
  ops.link(target, temporary);
  ops.rename(temporary, path);
}

std::vector<std::string> HubCache::missing_files(const std::string& commit) const {
  const fs::path folder = snapshot(commit);
  std::vector<std::string> names;
  if (const auto recorded = recorded_files(commit)) {
    names = *recorded;
  } else {
    std::error_code ignored;
    std::vector<std::string> present;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored))
      if (is_file(entry.path())) present.push_back(entry.path().filename().string());
    names = weight_files(present, [&](const std::string& index) { return shards_of_index(folder / index); });
    if (names.empty()) names = {"model.safetensors"};
    names.push_back("config.json");
  }
  std::erase_if(names, [&](const std::string& name) { return is_file(folder / name); });
  return names;
}

std::vector<std::string> weight_files(
    const std::vector<std::string>& names,
    const std::function<std::vector<std::string>(const std::string& index)>& index_files) {
  const auto has = [&](const char* name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  for (const char* stem : {"model.safetensors", "pytorch_model.bin"}) {
    if (has(stem)) return {stem};
    const std::string index = std::string(stem) + ".index.json";
    if (!has(index.c_str())) continue;
    std::vector<std::string> files = index_files(index);
    files.push_back(index);
    return files;
  }
  return {};
}

std::vector<std::string> shards_of_index(const fs::path& index) {
  const Json json = read_json_file(index);
  const auto map = json.is_object() ? json.find("weight_map") : json.end();
  if (!json.is_object() || map == json.end() || !map->is_object())
    throw Error(ErrorKind::kInput, index.string(), "has no object 'weight_map'");
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : map->items()) {
    const std::string name = shard.is_string() ? shard.get<std::string>() : "";
    if (name.empty() || name.starts_with('.') || name.find_first_of("/\\\n") != name.npos)
      throw Error(ErrorKind::kInput, index.string(), fmt::format("names no plain file for tensor '{}'", tensor),
                  {.got = shard.dump()});
    shards.insert(name);
  }
  return {shards.begin(), shards.end()};
}

}  // namespace rialto::hub
