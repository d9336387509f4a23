// Writing torch.save archives: stored records, storages aligned to 64 bytes. Source: the ZIP application
// note, 4.3, 4.5.
#include <limits>

#include "rialto/base/error.h"
#include "rialto/base/hash.h"
#include "rialto/formats/bytes.h"
#include "rialto/formats/torch_zip.h"

namespace rialto::formats {

namespace {

constexpr uint64_t kAlignment = 64;
constexpr uint32_t kFull32 = 0xFFFFFFFFu;
constexpr uint16_t kUtf8Names = 0x0800;
constexpr uint16_t kDescriptor = 0x0008;  ///< the CRC stands behind the bytes, so that they can be streamed

bool needs64(uint64_t value) { return value >= kFull32; }
uint32_t low32(uint64_t value) { return needs64(value) ? kFull32 : static_cast<uint32_t>(value); }

/// Headers of records in the order they are added, and the directory of them all.
class ZipWriter {
 public:
  /// The header in front of a record's bytes; `padding` extra bytes of it move the bytes (0, or at least 4).
  /// `streamed`: the CRC is not in it; descriptor() goes behind the bytes.
  std::string add(const std::string& name, uint64_t size, uint32_t crc, uint64_t padding, bool streamed = false) {
    const std::string full = "archive/" + name;
    const auto flags = static_cast<uint16_t>(kUtf8Names | (streamed ? kDescriptor : 0));
    std::string header;
    append_le<uint32_t>(header, 0x04034b50);
    fields(header, size, streamed ? 0 : crc, flags);
    append_le(header, static_cast<uint16_t>(full.size()));
    append_le(header, static_cast<uint16_t>(zip64_bytes(size) + padding));
    header += full;
    if (needs64(size)) {
      append_le<uint16_t>(header, 1);
      append_le<uint16_t>(header, 16);
      append_le(header, size);
      append_le(header, size);
    }
    if (padding > 0) {
      header += "FB";  // the identifier that torch uses for padding
      append_le(header, static_cast<uint16_t>(padding - 4));
      header.append(padding - 4, 'Z');
    }
    add_to_directory(full, size, crc, flags);
    at_ += header.size() + size;
    return header;
  }

  /// What follows the bytes of a streamed record.
  std::string descriptor(uint64_t size, uint32_t crc) {
    std::string bytes;
    append_le<uint32_t>(bytes, 0x08074b50);
    append_le(bytes, crc);
    for (int i = 0; i < 2; ++i) {
      if (needs64(size))
        append_le(bytes, size);
      else
        append_le(bytes, static_cast<uint32_t>(size));
    }
    at_ += bytes.size();
    return bytes;
  }

  /// Padding that puts the bytes of the next record on a multiple of 64.
  uint64_t padding_for(const std::string& name, uint64_t size) const {
    return padding_to(at_ + 30 + std::string_view("archive/").size() + name.size() + zip64_bytes(size));
  }

  static uint64_t padding_to(uint64_t end) {
    const uint64_t padding = (kAlignment - end % kAlignment) % kAlignment;
    return padding > 0 && padding < 4 ? padding + kAlignment : padding;
  }

  std::string finish() {
    std::string end = std::move(directory_);
    const uint64_t size = end.size();
    if (needs64(at_)) {
      append_le<uint32_t>(end, 0x06064b50);
      append_le<uint64_t>(end, 44);
      append_le<uint16_t>(end, 45);
      append_le<uint16_t>(end, 45);
      append_le<uint32_t>(end, 0);
      append_le<uint32_t>(end, 0);
      append_le<uint64_t>(end, count_);
      append_le<uint64_t>(end, count_);
      append_le<uint64_t>(end, size);
      append_le<uint64_t>(end, at_);
      append_le<uint32_t>(end, 0x07064b50);
      append_le<uint32_t>(end, 0);
      append_le<uint64_t>(end, at_ + size);
      append_le<uint32_t>(end, 1);
    }
    append_le<uint32_t>(end, 0x06054b50);
    append_le<uint32_t>(end, 0);  // both disk numbers
    append_le(end, static_cast<uint16_t>(count_));
    append_le(end, static_cast<uint16_t>(count_));
    append_le(end, static_cast<uint32_t>(size));
    append_le(end, low32(at_));
    append_le<uint16_t>(end, 0);
    return end;
  }

  uint64_t position() const { return at_; }

 private:
  static uint64_t zip64_bytes(uint64_t size) { return needs64(size) ? 20 : 0; }

  static void fields(std::string& out, uint64_t size, uint32_t crc, uint16_t flags) {
    append_le<uint16_t>(out, needs64(size) ? 45 : 20);  // version needed
    append_le(out, flags);
    append_le<uint16_t>(out, 0);  // stored
    append_le<uint32_t>(out, 0);  // no time: equal values give equal bytes
    append_le(out, crc);
    append_le(out, low32(size));
    append_le(out, low32(size));
  }

  void add_to_directory(const std::string& full, uint64_t size, uint32_t crc, uint16_t flags) {
    if (++count_ >= 0xFFFF) throw Error(ErrorKind::kInternal, "torch archive", "too many records");
    std::string extra;
    if (needs64(size)) {
      append_le(extra, size);
      append_le(extra, size);
    }
    if (needs64(at_)) append_le(extra, at_);
    append_le<uint32_t>(directory_, 0x02014b50);
    append_le<uint16_t>(directory_, needs64(size) || needs64(at_) ? 45 : 20);
    fields(directory_, size, crc, flags);
    append_le(directory_, static_cast<uint16_t>(full.size()));
    append_le(directory_, static_cast<uint16_t>(extra.empty() ? 0 : extra.size() + 4));
    append_le<uint16_t>(directory_, 0);  // comment
    append_le<uint16_t>(directory_, 0);  // disk
    append_le<uint16_t>(directory_, 0);  // internal attributes
    append_le<uint32_t>(directory_, 0);  // external attributes
    append_le(directory_, low32(at_));
    directory_ += full;
    if (!extra.empty()) {
      append_le<uint16_t>(directory_, 1);
      append_le(directory_, static_cast<uint16_t>(extra.size()));
      directory_ += extra;
    }
  }

  uint64_t at_ = 0;
  uint64_t count_ = 0;
  std::string directory_;
};

std::string small_record(ZipWriter& zip, const std::string& name, std::string_view bytes, uint64_t padding = 0) {
  return zip.add(name, bytes.size(), crc32(0, as_bytes(bytes)), padding).append(bytes);
}

/// Everything behind the last storage, padded so that the archive ends on a multiple of 64.
std::string closing_records(ZipWriter& zip) {
  const auto close = [](ZipWriter writer, uint64_t padding) {
    std::string bytes = small_record(writer, "byteorder", "little");
    bytes += small_record(writer, "version", "3\n", padding);
    return bytes += writer.finish();
  };
  return close(zip, ZipWriter::padding_to(zip.position() + close(zip, 0).size()));
}

}  // namespace

TensorArchive make_tensor_archive(DType dtype, const Shape& shape, uint32_t crc) {
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(static_cast<uint64_t>(num_elements(shape)), uint64_t{size_of(dtype)}, &bytes)) {
    throw Error(ErrorKind::kShape, "torch archive", "a tensor too large to exist", {.got = to_text(shape)});
  }
  ZipWriter zip;
  TensorArchive archive;
  archive.prefix = small_record(zip, "data.pkl", write_pickle(*p_tensor(dtype, shape, "0")));
  archive.prefix += zip.add("data/0", bytes, crc, zip.padding_for("data/0", bytes), true);
  archive.suffix = zip.descriptor(bytes, crc);
  archive.suffix += closing_records(zip);
  return archive;
}

std::string make_torch_file(const PickleValue& value,
                            const std::vector<std::pair<std::string, std::string>>& storages) {
  ZipWriter zip;
  std::string file = small_record(zip, "data.pkl", write_pickle(value));
  for (const auto& [key, bytes] : storages) {
    const std::string name = "data/" + key;
    file += small_record(zip, name, bytes, zip.padding_for(name, bytes.size()));
  }
  return file += closing_records(zip);
}

}  // namespace rialto::formats
