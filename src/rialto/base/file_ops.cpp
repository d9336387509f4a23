// The operating system's file operations, and writing small files whole.
#include "rialto/base/file_ops.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "rialto/base/error.h"
#include "rialto/base/io_error.h"

namespace rialto {

Error io_error(const fs::path& path, std::string_view action, int code) {
  std::string hint;
  if (code == ENOSPC || code == EDQUOT) {
    std::error_code ignored;
    const fs::space_info space = fs::space(path.parent_path().empty() ? fs::path(".") : path.parent_path(), ignored);
    hint = "free space on that file system";
    if (!ignored) hint += " (" + std::to_string(space.available >> 20) + " MiB are left)";
  } else if (code == EACCES || code == EPERM) {
    hint = "check the permissions of the file and its folder";
  } else if (code == EROFS) {
    hint = "the file system is mounted read-only";
  }
  return Error(ErrorKind::kIo, path.string(), std::string("cannot ") + std::string(action) + ": " + std::strerror(code),
               {.hint = hint});
}

namespace {

class RealWriteFile final : public WriteFile {
 public:
  RealWriteFile(const fs::path& path, bool truncate) : path_(path) {
    fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | (truncate ? O_TRUNC : 0), 0666);
    if (fd_ < 0) throw io_error(path_, "create", errno);
    const off_t end = truncate ? 0 : ::lseek(fd_, 0, SEEK_END);
    if (end < 0) throw io_error(path_, "append to", errno);
    position_ = started_ = static_cast<uint64_t>(end);
  }
  ~RealWriteFile() override {
    if (fd_ >= 0) ::close(fd_);
  }
  RealWriteFile(const RealWriteFile&) = delete;
  RealWriteFile& operator=(const RealWriteFile&) = delete;

  void write(std::span<const std::byte> bytes) override {
    write_at(position_, bytes);
    position_ += bytes.size();
    start_writeback();
  }

  void write_at(uint64_t offset, std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0) {
        if (errno == EINTR) continue;
        throw io_error(path_, "write", errno);
      }
      if (n == 0) throw io_error(path_, "write", ENOSPC);
      bytes = bytes.subspan(static_cast<size_t>(n));
      offset += static_cast<uint64_t>(n);
    }
  }

  uint64_t position() const override { return position_; }

  void sync() override {
    if (::fsync(fd_) != 0) throw io_error(path_, "sync", errno);
  }

  void close() override {
    const int fd = fd_;
    fd_ = -1;
    if (fd >= 0 && ::close(fd) != 0 && errno != EINTR) throw io_error(path_, "close", errno);
  }

 private:
  /// Lets the disk work while the next bytes are made, so that the final fsync has little left to do.
  void start_writeback() {
    constexpr uint64_t kEvery = 16u << 20;
    if (position_ - started_ < kEvery) return;
#ifdef SYNC_FILE_RANGE_WRITE
    ::sync_file_range(fd_, static_cast<off_t>(started_), static_cast<off_t>(position_ - started_),
                      SYNC_FILE_RANGE_WRITE);
#endif
    started_ = position_;
  }

  fs::path path_;
  int fd_ = -1;
  uint64_t position_ = 0;
  uint64_t started_ = 0;
};

class RealFileOps final : public FileOps {
 public:
  std::unique_ptr<WriteFile> create(const fs::path& path) override {
    return std::make_unique<RealWriteFile>(path, true);
  }

  std::unique_ptr<WriteFile> append(const fs::path& path) override {
    return std::make_unique<RealWriteFile>(path, false);
  }

  void link(const fs::path& target, const fs::path& path) override {
    if (::symlink(target.c_str(), path.c_str()) != 0) throw io_error(path, "create the link", errno);
  }

  void rename(const fs::path& from, const fs::path& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) throw io_error(from, "rename to '" + to.string() + "'", errno);
  }

  void exchange(const fs::path& a, const fs::path& b) override {
#ifdef RENAME_EXCHANGE
    if (::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0) return;
    if (errno != EINVAL && errno != ENOSYS) throw io_error(a, "exchange with '" + b.string() + "'", errno);
#endif
    FileOps::exchange(a, b);
  }

  void sync_dir(const fs::path& path) override {
    const int fd = ::open(path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) throw io_error(path, "open the folder", errno);
    const int code = ::fsync(fd) == 0 ? 0 : errno;
    ::close(fd);
    // Some network file systems cannot sync folders and say so; their renames are durable by themselves.
    if (code != 0 && code != EINVAL && code != ENOTSUP) throw io_error(path, "sync the folder", code);
  }

  void remove_all(const fs::path& path) override {
    std::error_code code;
    fs::remove_all(path, code);
    if (code) throw io_error(path, "remove", code.value());
  }

  void make_dirs(const fs::path& path) override {
    std::error_code code;
    fs::create_directories(path, code);
    if (code) throw io_error(path, "create the folder", code.value());
  }
};

std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span<const char>(text.data(), text.size()));
}

}  // namespace

void FileOps::exchange(const fs::path& a, const fs::path& b) {
  fs::path aside = b;
  aside.replace_filename(".tmp.aside." + b.filename().string());
  rename(b, aside);
  rename(a, b);
  rename(aside, a);
}

std::string_view name_of(FileOp op) {
  switch (op) {
    case FileOp::kCreate:
      return "create";
    case FileOp::kWrite:
      return "write";
    case FileOp::kSync:
      return "sync";
    case FileOp::kRename:
      return "rename";
    case FileOp::kSyncDir:
      return "sync_dir";
    case FileOp::kRemove:
      return "remove";
    case FileOp::kMakeDir:
      return "make_dir";
  }
  return "";
}

FileOps& real_file_ops() {
  static RealFileOps instance;
  return instance;
}

void write_file_synced(FileOps& ops, const fs::path& path, std::string_view bytes) {
  const auto file = ops.create(path);
  file->write(as_bytes(bytes));
  file->sync();
  file->close();
}

void replace_file(FileOps& ops, const fs::path& path, const std::function<void(const fs::path& temporary)>& write) {
  fs::path temporary = path;
  temporary.replace_filename("." + path.filename().string() + ".tmp" + std::to_string(::getpid()));
  try {
    write(temporary);
    ops.rename(temporary, path);
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
  ops.sync_dir(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

void write_file_atomically(FileOps& ops, const fs::path& path, std::string_view bytes) {
  replace_file(ops, path, [&](const fs::path& temporary) { write_file_synced(ops, temporary, bytes); });
}

}  // namespace rialto
