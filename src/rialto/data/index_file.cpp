// A file of arrays: magic, length of the header, header (JSON: key, sizes in bytes, hash of the arrays), arrays at
// multiples of 64 bytes.
#include "rialto/data/index_file.h"

#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "rialto/base/error.h"
#include "rialto/base/hash.h"
#include "rialto/base/json.h"
#include "rialto/base/mapped_file.h"

namespace rialto::data {
namespace {

constexpr std::string_view kMagic = "RIALTOI1";
constexpr uint64_t kAlign = 64;
constexpr uint64_t kPrelude = 16;  // magic, u64 length of the header

uint64_t aligned(uint64_t offset) { return (offset + kAlign - 1) / kAlign * kAlign; }

std::string hash_of(const Arrays& arrays) {
  Hasher hasher;
  for (const auto bytes : arrays) hasher.update(bytes);
  return hasher.hex();
}

[[noreturn]] void damaged(const fs::path& path, const std::string& what) {
  throw Error(ErrorKind::kInput, path.string(), "a damaged index: " + what,
              {.hint = "delete it, and it is built again"});
}

/// Pads to the next multiple of kAlign.
void pad(WriteFile& file) {
  constexpr std::byte kZeros[kAlign]{};
  file.write(std::span(kZeros).first(aligned(file.position()) - file.position()));
}

void write_arrays(FileOps& ops, const fs::path& path, const std::string& key, const Arrays& arrays) {
  Json header{{"key", key}, {"bytes", Json::array()}, {"hash", hash_of(arrays)}};
  for (const auto bytes : arrays) header["bytes"].push_back(bytes.size());
  const std::string text = header.dump();
  const uint64_t length = text.size();
  replace_file(ops, path, [&](const fs::path& temporary) {
    const auto file = ops.create(temporary);
    file->write(std::as_bytes(std::span(kMagic)));
    file->write(std::as_bytes(std::span(&length, 1)));
    file->write(std::as_bytes(std::span(text)));
    for (const auto bytes : arrays) {
      pad(*file);
      file->write(bytes);
    }
    file->sync();
    file->close();
  });
}

HeldArrays map_arrays(const fs::path& path, const std::string& key) {
  const auto file = std::make_shared<const MappedFile>(path);
  uint64_t length = 0;
  if (file->size() < kPrelude || std::memcmp(file->data(), kMagic.data(), kMagic.size()) != 0)
    damaged(path, "its first bytes are not RIALTOI1");
  std::memcpy(&length, file->data() + kMagic.size(), sizeof length);
  if (length > file->size() - kPrelude) damaged(path, "it ends inside its header");
  HeldArrays held{{}, file};
  uint64_t at = kPrelude + length;
  const Json header = parse_json({reinterpret_cast<const char*>(file->data()) + kPrelude, length}, path.string());
  try {
    if (header.at("key").get<std::string>() != key) damaged(path, "it was built for something else");
    for (const uint64_t bytes : header.at("bytes").get<std::vector<uint64_t>>()) {
      at = aligned(at);
      if (at > file->size() || bytes > file->size() - at) damaged(path, "it is shorter than it says");
      held.arrays.push_back(file->bytes().subspan(at, bytes));
      at += bytes;
    }
    if (at != file->size()) damaged(path, "it is longer than it says");
    if (header.at("hash").get<std::string>() != hash_of(held.arrays)) damaged(path, "its bytes have changed");
  } catch (const Json::exception& error) {
    damaged(path, error.what());
  }
  return held;
}

/// Held by one process at a time, and given back when it ends, however it ends. Some file systems have no locks on
/// folders: then nobody waits.
class FolderLock {
 public:
  explicit FolderLock(const fs::path& folder) : fd_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    while (fd_ >= 0 && ::flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  ~FolderLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int fd_;
};

}  // namespace

HeldArrays cached_arrays(const IndexCache& cache, const std::string& name, const std::string& key,
                         const std::function<HeldArrays()>& build) {
  if (cache.folder.empty()) return build();
  const fs::path path = cache.folder / (name + "-" + hash_hex(std::as_bytes(std::span(key))) + ".index");
  if (!fs::exists(path)) {
    cache.ops->make_dirs(cache.folder);
    const FolderLock lock(cache.folder);
    if (!fs::exists(path)) write_arrays(*cache.ops, path, key, build().arrays);
  }
  return map_arrays(path, key);
}

}  // namespace rialto::data
