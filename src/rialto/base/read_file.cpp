// Reading by position, and small text files whole.
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rialto/base/error.h"
#include "rialto/base/file_ops.h"
#include "rialto/base/io_error.h"

namespace rialto {

ReadFile::ReadFile(const fs::path& path) : path_(path) {
  fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ < 0) {
    if (errno == ENOENT || errno == ENOTDIR) throw Error(ErrorKind::kInput, path.string(), "no such file");
    throw io_error(path, "open", errno);
  }
  struct stat info{};
  if (::fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd_);
    fd_ = -1;
    throw Error(ErrorKind::kInput, path.string(), "not a regular file");
  }
  size_ = static_cast<uint64_t>(info.st_size);
}

ReadFile::~ReadFile() {
  if (fd_ >= 0) ::close(fd_);
}

ReadFile::ReadFile(ReadFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), size_(other.size_) {}

ReadFile& ReadFile::operator=(ReadFile&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    path_ = std::move(other.path_);
    fd_ = std::exchange(other.fd_, -1);
    size_ = other.size_;
  }
  return *this;
}

void ReadFile::read_at(uint64_t offset, std::span<std::byte> out) const {
  if (offset > size_ || out.size() > size_ - offset) {
    throw Error(ErrorKind::kInput, path_.string(), "the file ends early",
                {.got = std::to_string(size_) + " bytes",
                 .want = std::to_string(out.size()) + " bytes at offset " + std::to_string(offset),
                 .hint = "incomplete download or copy?"});
  }
  while (!out.empty()) {
    const ssize_t n = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
    if (n < 0) {
      if (errno == EINTR) continue;
      throw io_error(path_, "read", errno);
    }
    if (n == 0) throw Error(ErrorKind::kInput, path_.string(), "the file became shorter while it was read");
    out = out.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
}

std::string read_text_file(const fs::path& path, uint64_t max_bytes) {
  const ReadFile file(path);
  if (file.size() > max_bytes) {
    throw Error(ErrorKind::kInput, path.string(), "the file is too large",
                {.got = std::to_string(file.size()) + " bytes", .want = "at most " + std::to_string(max_bytes)});
  }
  std::string text(file.size(), '\0');
  file.read_at(0, std::as_writable_bytes(std::span<char>(text.data(), text.size())));
  return text;
}

}  // namespace rialto
