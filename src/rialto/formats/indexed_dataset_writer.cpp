// Writes tokens to a hidden .bin as documents arrive; .idx and the final names come last.
#include <limits>

#include "rialto/base/error.h"
#include "rialto/formats/bytes.h"
#include "rialto/formats/idx_format.h"
#include "rialto/formats/indexed_dataset.h"

namespace rialto::formats {

struct IndexedDatasetWriter::Impl {
  FileOps& ops;
  fs::path bin, idx, bin_temporary, idx_temporary;
  int64_t vocab;
  bool narrow;  ///< u16 elements
  std::unique_ptr<WriteFile> file;
  std::string buffer;
  std::vector<int32_t> lengths;
  uint64_t tokens = 0;
  bool finished = false;

  size_t element_bytes() const { return narrow ? 2 : 4; }

  void flush() {
    file->write(as_bytes(buffer));
    buffer.clear();
  }

  template <class Element>
  void append(std::span<const int32_t> source) {
    const size_t at = buffer.size();
    buffer.resize(at + source.size() * sizeof(Element));
    uint32_t largest = 0;  // a negative token is a huge unsigned one
    for (size_t i = 0; i < source.size(); ++i) {
      largest = std::max(largest, static_cast<uint32_t>(source[i]));
      const auto element = static_cast<Element>(source[i]);
      std::memcpy(buffer.data() + at + i * sizeof element, &element, sizeof element);
    }
    if (int64_t{largest} >= vocab) {
      throw Error(ErrorKind::kInput, bin.string(), "a token is outside of the vocabulary",
                  {.got = std::to_string(static_cast<int32_t>(largest)), .want = "0 to " + std::to_string(vocab - 1)});
    }
  }

  std::string index() const {
    std::string out(kIdxMagic);
    append_le(out, kIdxVersion);
    append_le(out, narrow ? kCodeU16 : kCodeI32);
    append_le<uint64_t>(out, lengths.size());
    append_le<uint64_t>(out, lengths.size() + 1);
    out.reserve(out.size() + lengths.size() * 20 + 8);
    out.append(reinterpret_cast<const char*>(lengths.data()), lengths.size() * sizeof(int32_t));
    int64_t pointer = 0;
    for (const int32_t length : lengths) {
      append_le(out, pointer);
      pointer += int64_t{length} * static_cast<int64_t>(element_bytes());
    }
    for (int64_t i = 0; i <= static_cast<int64_t>(lengths.size()); ++i) append_le(out, i);  // one sequence a document
    return out;
  }
};

IndexedDatasetWriter::IndexedDatasetWriter(FileOps& ops, const fs::path& prefix, int64_t vocab)
    : impl_(new Impl{.ops = ops,
                     .bin = with_ending(prefix, ".bin"),
                     .idx = with_ending(prefix, ".idx"),
                     .bin_temporary = {},
                     .idx_temporary = {},
                     .vocab = vocab,
                     .narrow = vocab < 65500,
                     .file = {},
                     .buffer = {},
                     .lengths = {}}) {
  if (vocab <= 0 || vocab > int64_t{std::numeric_limits<int32_t>::max()} + 1) {
    throw Error(ErrorKind::kConfig, prefix.string(), "a vocabulary size that tokens of 32 bits cannot have",
                {.got = std::to_string(vocab)});
  }
  const auto hidden = [](const fs::path& path) {
    return path.parent_path() / ("." + path.filename().string() + ".tmp");
  };
  impl_->bin_temporary = hidden(impl_->bin);
  impl_->idx_temporary = hidden(impl_->idx);
  impl_->file = ops.create(impl_->bin_temporary);
}

IndexedDatasetWriter::~IndexedDatasetWriter() {
  if (impl_->finished) return;
  impl_->file.reset();
  for (const fs::path& path : {impl_->bin_temporary, impl_->idx_temporary}) {
    try {
      impl_->ops.remove_all(path);
    } catch (const Error&) {
      // The error that brought us here is the one to report.
    }
  }
}

void IndexedDatasetWriter::add_document(std::span<const int32_t> tokens) {
  if (tokens.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    throw Error(ErrorKind::kInput, impl_->bin.string(), "a document is too long for the format",
                {.got = std::to_string(tokens.size()) + " tokens"});
  }
  constexpr size_t kBufferBytes = 4u << 20;
  constexpr size_t kStep = kBufferBytes / 4;
  for (size_t first = 0; first < tokens.size(); first += kStep) {
    const auto part = tokens.subspan(first, std::min(kStep, tokens.size() - first));
    if (impl_->narrow)
      impl_->append<uint16_t>(part);
    else
      impl_->append<int32_t>(part);
    if (impl_->buffer.size() >= kBufferBytes) impl_->flush();
  }
  impl_->lengths.push_back(static_cast<int32_t>(tokens.size()));
  impl_->tokens += tokens.size();
}

void IndexedDatasetWriter::finish() {
  impl_->flush();
  impl_->file->sync();
  impl_->file->close();
  write_file_synced(impl_->ops, impl_->idx_temporary, impl_->index());
  // A reader opens the .idx first: it appears last.
  impl_->ops.rename(impl_->bin_temporary, impl_->bin);
  impl_->ops.rename(impl_->idx_temporary, impl_->idx);
  impl_->ops.sync_dir(impl_->bin.parent_path());
  impl_->finished = true;
}

uint64_t IndexedDatasetWriter::num_tokens() const { return impl_->tokens; }
uint64_t IndexedDatasetWriter::num_documents() const { return impl_->lengths.size(); }

}  // namespace rialto::formats
