// Streams of compressed files through the Rust crate.
#include "rialto/formats/compressed.h"

#include "rialto/formats/files_abi.h"

namespace rialto::formats {

std::optional<Compression> compression_of(const fs::path& path) {
  const fs::path ending = path.extension();
  if (ending == ".gz") return Compression::kGzip;
  if (ending == ".zst") return Compression::kZstd;
  return std::nullopt;
}

CompressedFile::CompressedFile(const fs::path& path, Compression compression) : path_(path) {
  abi::OwnedBytes error;
  const std::string name = path.string();
  abi::check(
      rialto_unpack_open(abi::data_of(name), name.size(), compression == Compression::kZstd, &handle_, &error.bytes),
      path_, error);
}

CompressedFile::~CompressedFile() { rialto_unpack_free(handle_); }

size_t CompressedFile::read(std::span<std::byte> out) {
  abi::OwnedBytes error;
  size_t read = 0;
  abi::check(rialto_unpack_read(handle_, reinterpret_cast<uint8_t*>(out.data()), out.size(), &read, &error.bytes),
             path_, error);
  return read;
}

uint64_t CompressedFile::consumed() const { return rialto_unpack_consumed(handle_); }

}  // namespace rialto::formats
