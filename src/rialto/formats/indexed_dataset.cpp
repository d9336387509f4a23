// Reads .bin/.idx through mapped memory. Everything the index says is checked once, when it is opened.
#include "rialto/formats/indexed_dataset.h"

#include <cstring>
#include <limits>

#include "rialto/base/error.h"
#include "rialto/base/mapped_file.h"
#include "rialto/formats/bytes.h"
#include "rialto/formats/idx_format.h"

namespace rialto::formats {

namespace {

size_t bytes_of_code(uint8_t code) {
  switch (code) {
    case kCodeU8:
    case kCodeI8:
      return 1;
    case kCodeI16:
    case kCodeU16:
      return 2;
    case kCodeI32:
      return 4;
    case kCodeI64:
      return 8;
    default:
      return 0;
  }
}

template <class Element>
bool copy_tokens(const std::byte* from, std::span<int32_t> out) {
  bool fits = true;
  for (size_t i = 0; i < out.size(); ++i) {
    const auto value = load<Element>(from + i * sizeof(Element));
    if constexpr (sizeof(Element) > 4) fits &= value >= 0 && value <= std::numeric_limits<int32_t>::max();
    out[i] = static_cast<int32_t>(value);
  }
  return fits;
}

}  // namespace

struct IndexedDataset::Impl {
  explicit Impl(const fs::path& prefix)
      : idx_path(with_ending(prefix, ".idx")), bin_path(with_ending(prefix, ".bin")), idx(idx_path), bin(bin_path) {
    read_header();
    read_sequences();
    read_documents();
  }

  [[noreturn]] void fail(std::string_view what, const ErrorParts& parts = {}) const {
    throw Error(ErrorKind::kInput, idx_path.string(), what, parts);
  }

  void read_header() {
    if (idx.size() < kIdxHeaderBytes || std::memcmp(idx.data(), kIdxMagic.data(), kIdxMagic.size()) != 0) {
      fail("not a Megatron index (its first bytes are not MMIDIDX)");
    }
    const std::byte* at = idx.data() + kIdxMagic.size();
    if (load<uint64_t>(at) != kIdxVersion)
      fail("an index of another version", {.got = std::to_string(load<uint64_t>(at)), .want = "1"});
    code = load<uint8_t>(at + 8);
    element = bytes_of_code(code);
    if (element == 0) fail("an element type that tokens do not come in", {.got = "code " + std::to_string(code)});
    sequences = load<uint64_t>(at + 9);
    documents = load<uint64_t>(at + 17);
    const uint64_t rest = idx.size() - kIdxHeaderBytes;
    // Bounded first, so that the products below cannot overflow. Multimodal indices end with one more byte a sequence.
    if (sequences > rest / 12 || documents > rest / 8) fail("it is shorter than it says", {.hint = "incomplete copy?"});
    const uint64_t plain = sequences * 12 + documents * 8;
    if (rest != plain && rest != plain + sequences) {
      fail("its size does not fit what it says",
           {.got = std::to_string(rest) + " bytes", .want = std::to_string(plain) + " after the header"});
    }
  }

  void read_sequences() {
    const std::byte* at = idx.data() + kIdxHeaderBytes;  // not aligned: lengths are copied
    lengths.resize(sequences);
    if (sequences > 0) std::memcpy(lengths.data(), at, sequences * 4);
    pointers = at + sequences * 4;
    uint64_t expected = 0;
    for (uint64_t i = 0; i < sequences; ++i) {
      if (lengths[i] < 0) fail("sequence " + std::to_string(i) + " has a negative length");
      const uint64_t bytes = static_cast<uint64_t>(lengths[i]) * element;
      const auto pointer = load<uint64_t>(pointers + i * 8);
      if (pointer != expected) {
        fail("sequence " + std::to_string(i) + " does not begin where the one before it ends",
             {.got = "byte " + std::to_string(pointer), .want = std::to_string(expected)});
      }
      expected += bytes;
    }
    if (expected != bin.size()) {
      throw Error(
          ErrorKind::kInput, bin_path.string(), "its size does not fit its .idx",
          {.got = std::to_string(bin.size()) + " bytes", .want = std::to_string(expected), .hint = "incomplete copy?"});
    }
    tokens = static_cast<int64_t>(expected / element);
  }

  void read_documents() {
    if (documents == 0) fail("it has no document indices");
    indices.resize(documents);
    std::memcpy(indices.data(), idx.data() + kIdxHeaderBytes + sequences * 12, documents * 8);
    if (indices.front() != 0) fail("the first document does not begin at sequence 0");
    for (uint64_t i = 1; i < documents; ++i) {
      if (indices[i] < indices[i - 1]) fail("document " + std::to_string(i) + " begins before the one before it");
    }
    if (indices.back() != static_cast<int64_t>(sequences)) {
      fail("the last document does not end with the last sequence",
           {.got = std::to_string(indices.back()), .want = std::to_string(sequences)});
    }
  }

  fs::path idx_path, bin_path;
  MappedFile idx, bin;
  uint8_t code = 0;
  size_t element = 0;
  uint64_t sequences = 0, documents = 0;
  int64_t tokens = 0;
  std::vector<int32_t> lengths;
  std::vector<int64_t> indices;
  const std::byte* pointers = nullptr;
};

IndexedDataset::IndexedDataset(const fs::path& prefix) : impl_(std::make_unique<Impl>(prefix)) {}
IndexedDataset::~IndexedDataset() = default;
IndexedDataset::IndexedDataset(IndexedDataset&&) noexcept = default;

int64_t IndexedDataset::num_sequences() const { return static_cast<int64_t>(impl_->sequences); }
std::span<const int32_t> IndexedDataset::lengths() const { return impl_->lengths; }
std::span<const int64_t> IndexedDataset::document_indices() const { return impl_->indices; }
int64_t IndexedDataset::num_tokens() const { return impl_->tokens; }
int IndexedDataset::element_bytes() const { return static_cast<int>(impl_->element); }
uint8_t IndexedDataset::element_code() const { return impl_->code; }
std::span<const std::byte> IndexedDataset::token_bytes() const { return impl_->bin.bytes(); }

void IndexedDataset::read(int64_t index, int64_t offset, std::span<int32_t> out) const {
  const Impl& data = *impl_;
  const bool inside = index >= 0 && index < num_sequences() && offset >= 0 &&
                      offset <= data.lengths[static_cast<size_t>(index)] &&
                      out.size() <= static_cast<size_t>(data.lengths[static_cast<size_t>(index)] - offset);
  if (!inside) {
    throw Error(ErrorKind::kInternal, data.bin_path.string(), "tokens outside of a sequence were asked for",
                {.got = std::to_string(out.size()) + " at " + std::to_string(offset) + " of sequence " +
                        std::to_string(index)});
  }
  if (out.empty()) return;
  const std::byte* from =
      data.bin.data() + load<uint64_t>(data.pointers + index * 8) + static_cast<size_t>(offset) * data.element;
  bool fits = true;
  switch (data.code) {
    case kCodeU8:
      copy_tokens<uint8_t>(from, out);
      break;
    case kCodeI8:
      copy_tokens<int8_t>(from, out);
      break;
    case kCodeI16:
      copy_tokens<int16_t>(from, out);
      break;
    case kCodeU16:
      copy_tokens<uint16_t>(from, out);
      break;
    case kCodeI32:
      copy_tokens<int32_t>(from, out);
      break;
    default:
      fits = copy_tokens<int64_t>(from, out);
  }
  if (!fits)
    throw Error(ErrorKind::kInput, data.bin_path.string(),
                "a token of sequence " + std::to_string(index) + " does not fit 32 bits");
}

}  // namespace rialto::formats
