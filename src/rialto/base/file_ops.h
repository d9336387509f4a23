// The file-operations seam: every byte that is written goes through here, so that tests can kill, fill the disk or
// count at each operation. Readers use ReadFile.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rialto {

namespace fs = std::filesystem;

/// An open file that is written front to back, or patched by offset. Closed (not synced) on destruction.
class WriteFile {
 public:
  virtual ~WriteFile() = default;
  virtual void write(std::span<const std::byte> bytes) = 0;
  virtual void write_at(uint64_t offset, std::span<const std::byte> bytes) = 0;  ///< does not move the write position
  virtual uint64_t position() const = 0;
  virtual void sync() = 0;   ///< fsync
  virtual void close() = 0;  ///< reports what the destructor could not; throws kIo
};

/// Kinds of operations, as the fault seam counts them.
enum class FileOp { kCreate, kWrite, kSync, kRename, kSyncDir, kRemove, kMakeDir };
std::string_view name_of(FileOp op);

/// Everything that changes a file system. All methods throw Error{kIo} naming path and reason; ENOSPC hints at free
/// space.
class FileOps {
 public:
  virtual ~FileOps() = default;
  virtual std::unique_ptr<WriteFile> create(const fs::path& path) = 0;  ///< truncates
  virtual std::unique_ptr<WriteFile> append(const fs::path& path) = 0;  ///< goes on at the end; counted as a create
  virtual void link(const fs::path& target, const fs::path& path) = 0;  ///< symbolic; counted as a create
  virtual void rename(const fs::path& from, const fs::path& to) = 0;
  /// Two existing files or folders swap names, at once where the file system can. Counted as a rename.
  virtual void exchange(const fs::path& a, const fs::path& b);
  virtual void sync_dir(const fs::path& path) = 0;
  virtual void remove_all(const fs::path& path) = 0;
  virtual void make_dirs(const fs::path& path) = 0;
};

/// The operating system's file operations. Stateless.
FileOps& real_file_ops();

/// Wraps `inner`; just before or just after the `nth` (from 1) operation of kind `op`, raises SIGKILL, or from then on
/// fails with "no space left" (for kWrite). Spec: "kill:rename:before:1", "kill:sync:after:3", "full:write:2000000"
/// (fails once that many bytes were written). Throws kUsage on any other text. For tests; the programs read it from
/// RIALTO_TEST_FAULT.
std::unique_ptr<FileOps> faulty_file_ops(FileOps& inner, std::string_view spec);

/// Replaces `path` by what `write` makes under a temporary name beside it and has synced: rename, fsync of the folder.
/// When anything throws, the temporary file is gone and `path` is as it was.
void replace_file(FileOps& ops, const fs::path& path, const std::function<void(const fs::path& temporary)>& write);
/// Writes a whole small file: temporary name beside it, fsync, rename over `path`, fsync of the folder.
void write_file_atomically(FileOps& ops, const fs::path& path, std::string_view bytes);
/// Writes a whole small file under its final name and fsyncs it (inside a folder that is renamed later).
void write_file_synced(FileOps& ops, const fs::path& path, std::string_view bytes);

/// A file opened for reading by position. Throws Error{kIo} (kInput when the file ends early) naming the path.
class ReadFile {
 public:
  explicit ReadFile(const fs::path& path);
  ~ReadFile();
  ReadFile(ReadFile&&) noexcept;
  ReadFile& operator=(ReadFile&&) noexcept;
  uint64_t size() const { return size_; }
  const fs::path& path() const { return path_; }
  void read_at(uint64_t offset, std::span<std::byte> out) const;

 private:
  fs::path path_;
  int fd_ = -1;
  uint64_t size_ = 0;
};

/// The whole file as text. Throws kInput when it is larger than `max_bytes` or missing (hint: what the caller expects).
std::string read_text_file(const fs::path& path, uint64_t max_bytes = 64u << 20);

}  // namespace rialto
