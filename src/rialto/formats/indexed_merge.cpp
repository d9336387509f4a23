// Tokens are copied as they lie; the index is written array by array, reading every pair's index once for each.
#include "rialto/formats/indexed_merge.h"

#include <algorithm>
#include <system_error>
#include <vector>

#include "rialto/base/error.h"
#include "rialto/formats/bytes.h"
#include "rialto/formats/idx_format.h"
#include "rialto/formats/indexed_dataset.h"

namespace rialto::formats {
namespace {

constexpr size_t kStepBytes = 4u << 20;

/// Numbers to a file through a buffer.
class NumberWriter {
 public:
  explicit NumberWriter(WriteFile& file) : file_(file) {}
  template <class T>
  void add(T value) {
    append_le(buffer_, value);
    if (buffer_.size() >= kStepBytes) flush();
  }
  void add_text(std::string_view text) { buffer_ += text; }
  void flush() {
    file_.write(as_bytes(buffer_));
    buffer_.clear();
  }

 private:
  WriteFile& file_;
  std::string buffer_;
};

/// All tokens of `dataset` to `file` as they lie, and past `on_tokens`.
void copy_tokens(const IndexedDataset& dataset, WriteFile& file,
                 const std::function<void(std::span<const int32_t>)>& on_tokens, Progress& told, uint64_t& done) {
  const std::span<const std::byte> bytes = dataset.token_bytes();
  for (size_t at = 0; at < bytes.size(); at += kStepBytes) {
    check_cancelled(told, "data merge");
    const auto step = bytes.subspan(at, std::min(kStepBytes, bytes.size() - at));
    file.write(step);
    told.update(done += step.size());
  }
  if (!on_tokens) return;
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < dataset.num_sequences(); ++i) {
    tokens.resize(static_cast<size_t>(dataset.lengths()[static_cast<size_t>(i)]));
    dataset.read(i, 0, tokens);
    on_tokens(tokens);
  }
}

void write_index(WriteFile& file, std::span<const fs::path> prefixes, uint8_t code, int64_t element_bytes,
                 const MergedTokens& merged) {
  NumberWriter out(file);
  out.add_text(kIdxMagic);
  out.add(kIdxVersion);
  out.add(code);
  out.add(merged.sequences);
  out.add(merged.documents + 1);
  const auto each = [&](const auto& body) {
    for (const fs::path& prefix : prefixes) body(IndexedDataset(prefix));
  };
  each([&](const IndexedDataset& dataset) {
    for (const int32_t length : dataset.lengths()) out.add(length);
  });
  int64_t pointer = 0, sequences = 0;
  each([&](const IndexedDataset& dataset) {
    for (const int32_t length : dataset.lengths()) {
      out.add(pointer);
      pointer += int64_t{length} * element_bytes;
    }
  });
  out.add(int64_t{0});
  each([&](const IndexedDataset& dataset) {
    for (const int64_t index : dataset.document_indices().subspan(1)) out.add(sequences + index);
    sequences += dataset.num_sequences();
  });
  out.flush();
}

/// Both files under hidden names, which are gone when it is; a killed run's are written over by the next one.
struct Temporaries {
  explicit Temporaries(const fs::path& output) : bin(with_ending(output, ".bin")), idx(with_ending(output, ".idx")) {
    bin_temporary = bin.parent_path() / ("." + bin.filename().string() + ".tmp");
    idx_temporary = idx.parent_path() / ("." + idx.filename().string() + ".tmp");
  }
  ~Temporaries() {
    std::error_code ignored;
    fs::remove(bin_temporary, ignored);
    fs::remove(idx_temporary, ignored);
  }
  Temporaries(const Temporaries&) = delete;
  Temporaries& operator=(const Temporaries&) = delete;
  fs::path bin, idx, bin_temporary, idx_temporary;
};

}  // namespace

MergedTokens merge_indexed(FileOps& ops, std::span<const fs::path> prefixes, const fs::path& output,
                           const std::function<void(std::span<const int32_t>)>& on_tokens, Progress& told) {
  if (prefixes.empty()) throw Error(ErrorKind::kUsage, output.string(), "nothing to merge");
  uint64_t total = 0, done = 0;
  for (const fs::path& prefix : prefixes) total += ReadFile(with_ending(prefix, ".bin")).size();
  MergedTokens merged;
  uint8_t code = 0;
  int64_t element_bytes = 0;
  const Temporaries files(output);
  told.begin("merge", total, "bytes");
  const auto file = ops.create(files.bin_temporary);
  for (const fs::path& prefix : prefixes) {
    const IndexedDataset dataset(prefix);
    if (code == 0) code = dataset.element_code();
    if (dataset.element_code() != code) {
      throw Error(ErrorKind::kConfig, prefix.string(), "has tokens of another element type than the first pair",
                  {.got = "code " + std::to_string(dataset.element_code()),
                   .want = std::to_string(code),
                   .hint = "tokenize all with one tokenizer"});
    }
    element_bytes = dataset.element_bytes();
    copy_tokens(dataset, *file, on_tokens, told, done);
    merged.sequences += static_cast<uint64_t>(dataset.num_sequences());
    merged.documents += dataset.document_indices().size() - 1;
    merged.tokens += static_cast<uint64_t>(dataset.num_tokens());
  }
  file->sync();
  file->close();
  const auto index = ops.create(files.idx_temporary);
  write_index(*index, prefixes, code, element_bytes, merged);
  index->sync();
  index->close();
  // A reader opens the .idx first: it appears last.
  ops.rename(files.bin_temporary, files.bin);
  ops.rename(files.idx_temporary, files.idx);
  ops.sync_dir(files.bin.has_parent_path() ? files.bin.parent_path() : fs::path("."));
  told.end();
  return merged;
}

}  // namespace rialto::formats
