// Plain files by position, compressed ones through formats, stdin as it comes.
#include "rialto/data/byte_stream.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include <unistd.h>

#include "rialto/base/error.h"
#include "rialto/formats/compressed.h"

namespace rialto::data {
namespace {

class PlainStream final : public ByteStream {
 public:
  PlainStream(const fs::path& path, uint64_t offset) : file_(path), offset_(offset) {
    if (offset > file_.size()) throw Error(ErrorKind::kInput, path.string(), "became shorter while it was read");
  }
  size_t read(std::span<std::byte> out) override {
    const auto count = static_cast<size_t>(std::min<uint64_t>(out.size(), file_.size() - offset_));
    file_.read_at(offset_, out.first(count));
    offset_ += count;
    return count;
  }
  uint64_t consumed() const override { return offset_; }

 private:
  ReadFile file_;
  uint64_t offset_;
};

class PackedStream final : public ByteStream {
 public:
  PackedStream(const fs::path& path, formats::Compression compression) : file_(path, compression) {}
  size_t read(std::span<std::byte> out) override { return file_.read(out); }
  uint64_t consumed() const override { return file_.consumed(); }

 private:
  formats::CompressedFile file_;
};

class StandardInput final : public ByteStream {
 public:
  size_t read(std::span<std::byte> out) override {
    while (true) {
      const ssize_t count = ::read(STDIN_FILENO, out.data(), out.size());
      if (count >= 0) {
        consumed_ += static_cast<uint64_t>(count);
        return static_cast<size_t>(count);
      }
      if (errno != EINTR) throw Error(ErrorKind::kIo, "stdin", std::string("cannot read: ") + std::strerror(errno));
    }
  }
  uint64_t consumed() const override { return consumed_; }

 private:
  uint64_t consumed_ = 0;
};

}  // namespace

std::unique_ptr<ByteStream> open_stream(const TextFile& file, uint64_t offset) {
  if (!file.is_stdin() && !file.compression) return std::make_unique<PlainStream>(file.path, offset);
  std::unique_ptr<ByteStream> stream = std::make_unique<StandardInput>();
  if (file.compression) stream = std::make_unique<PackedStream>(file.path, *file.compression);
  std::vector<std::byte> dropped(std::min<uint64_t>(offset, 1u << 20));
  while (offset > 0) {
    const size_t count = stream->read(std::span(dropped).first(std::min<uint64_t>(offset, dropped.size())));
    if (count == 0) throw Error(ErrorKind::kInput, file.path.string(), "is shorter than what was read of it before");
    offset -= count;
  }
  return stream;
}

}  // namespace rialto::data
