// Producer -> hashing thread -> writing thread, over a handful of reused blocks. Nothing seeks: the CRC of a record
// stands behind its elements, and the zip flag "data descriptor" tells readers to look there.
#include "rialto/store/data_files.h"

#include <cstring>

#include <fmt/format.h>

#include "rialto/base/error.h"

namespace rialto::store {
namespace {

constexpr size_t kBlocks = 5;
constexpr size_t kBlockBytes = 4u << 20;
constexpr size_t kSlackBytes = 16u << 10;  ///< room for a prefix or a suffix beside the elements
constexpr uint64_t kAlignment = 64;        ///< archives start aligned, so that elements are aligned in the file too

uint64_t aligned(uint64_t value) { return (value + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

DataFiles::DataFiles(FileOps& ops, fs::path folder)
    : ops_(ops), folder_(std::move(folder)), free_(kBlocks), to_hash_(kBlocks), to_write_(kBlocks) {
  for (size_t i = 0; i < kBlocks; ++i) free_.push(Block{});
  hasher_ = std::thread([this] { hash_loop(); });
  writer_ = std::thread([this] { write_loop(); });
}

DataFiles::~DataFiles() {
  free_.abort();
  to_hash_.abort();
  to_write_.abort();
  if (hasher_.joinable()) hasher_.join();
  if (writer_.joinable()) writer_.join();
}

DataFiles::File& DataFiles::file(const std::string& name) {
  const auto [found, fresh] = files_.try_emplace(name);
  if (fresh) {
    found->second.name = name;
    found->second.out = ops_.create(folder_ / name);
  }
  return found->second;
}

DataFiles::Block DataFiles::next_block() {
  std::optional<Block> block = free_.pop();
  if (!block) rethrow();
  if (!block->bytes) block->bytes = std::make_unique_for_overwrite<std::byte[]>(kBlockBytes + 2 * kSlackBytes);
  block->used = block->elements_at = 0;
  block->record = nullptr;
  block->first = block->last = false;
  return std::move(*block);
}

void DataFiles::send(Block block) {
  if (!to_hash_.push(std::move(block))) rethrow();
}

void DataFiles::add_tensor(const std::string& name, ChunkRecord made,
                           const std::function<void(const std::function<void(std::span<const std::byte>)>&)>& fill) {
  File& into = file(name);
  const formats::TensorArchive archive = formats::make_tensor_archive(made.dtype, made.sizes, 0);
  if (archive.prefix.size() + kAlignment > kSlackBytes || archive.suffix.size() > kSlackBytes)
    throw Error(ErrorKind::kInternal, made.key, "archive header larger than its slack");
  ChunkRecord& record = chunks_.emplace_back(std::move(made));
  record.length = static_cast<uint64_t>(num_elements(record.sizes)) * size_of(record.dtype);
  const uint64_t start = aligned(into.reserved);
  record.offset = start + archive.prefix.size();
  record.archive = {name, start, archive.prefix.size() + record.length + archive.suffix.size()};

  Block block = next_block();
  block.file = &into;
  block.record = &record;
  block.first = true;
  const size_t padding = static_cast<size_t>(start - into.reserved);
  std::memset(block.bytes.get(), 0, padding);
  std::memcpy(block.bytes.get() + padding, archive.prefix.data(), archive.prefix.size());
  block.used = block.elements_at = padding + archive.prefix.size();
  into.reserved = start + record.archive.length;

  uint64_t pushed = 0;
  fill([&](std::span<const std::byte> bytes) {
    pushed += bytes.size();
    if (pushed > record.length) throw Error(ErrorKind::kInternal, record.key, "more bytes pushed than the chunk has");
    while (!bytes.empty()) {
      if (block.used - block.elements_at == kBlockBytes) {
        send(std::move(block));
        block = next_block();
        block.file = &into;
        block.record = &record;
      }
      const size_t count = std::min(bytes.size(), kBlockBytes - (block.used - block.elements_at));
      std::memcpy(block.bytes.get() + block.used, bytes.data(), count);
      block.used += count;
      bytes = bytes.subspan(count);
    }
  });
  if (pushed != record.length)
    throw Error(ErrorKind::kInternal, record.key, "fewer bytes pushed than the chunk has",
                {.got = fmt::format("{} bytes", pushed), .want = fmt::format("{}", record.length)});
  block.last = true;
  send(std::move(block));
}

formats::FileSpan DataFiles::add_bytes(const std::string& name, std::string_view bytes) {
  File& into = file(name);
  const uint64_t start = aligned(into.reserved);
  std::string padded(static_cast<size_t>(start - into.reserved), '\0');
  padded += bytes;
  into.reserved = start + bytes.size();
  for (size_t at = 0; at < padded.size(); at += kBlockBytes) {
    Block block = next_block();
    block.file = &into;
    block.used = std::min(kBlockBytes, padded.size() - at);
    std::memcpy(block.bytes.get(), padded.data() + at, block.used);
    send(std::move(block));
  }
  return {name, start, bytes.size()};
}

void DataFiles::hash_loop() {
  try {
    Hasher chunk;
    uint32_t crc = 0;
    while (std::optional<Block> block = to_hash_.pop()) {
      if (block->record) {
        const std::span elements(block->bytes.get() + block->elements_at, block->used - block->elements_at);
        if (block->first) {
          chunk.reset();
          crc = 0;
        }
        chunk.update(elements);
        crc = crc32(crc, elements);
        if (block->last) {
          block->record->hash = chunk.hex();
          const std::string suffix =
              formats::make_tensor_archive(block->record->dtype, block->record->sizes, crc).suffix;
          std::memcpy(block->bytes.get() + block->used, suffix.data(), suffix.size());
          block->used += suffix.size();
        }
      }
      block->file->hash.update(std::span(block->bytes.get(), block->used));
      block->file->written += block->used;
      if (!to_write_.push(std::move(*block))) return;
    }
    to_write_.close();
  } catch (...) {
    fail(std::current_exception());
  }
}

void DataFiles::write_loop() {
  try {
    while (std::optional<Block> block = to_write_.pop()) {
      block->file->out->write(std::span(block->bytes.get(), block->used));
      if (!free_.push(std::move(*block))) return;
    }
  } catch (...) {
    fail(std::current_exception());
  }
}

void DataFiles::fail(std::exception_ptr error) {
  {
    const std::lock_guard lock(error_mutex_);
    if (!error_) error_ = error;
  }
  free_.abort();
  to_hash_.abort();
  to_write_.abort();
}

void DataFiles::rethrow() {
  const std::lock_guard lock(error_mutex_);
  if (error_) std::rethrow_exception(error_);
  throw Error(ErrorKind::kInternal, folder_.string(), "the writing threads have ended");
}

void DataFiles::finish() {
  to_hash_.close();
  hasher_.join();
  writer_.join();
  {
    const std::lock_guard lock(error_mutex_);
    if (error_) std::rethrow_exception(error_);
  }
  for (auto& [name, open] : files_) {
    open.out->sync();
    open.out->close();
  }
}

std::vector<FileRecord> DataFiles::files() const {
  std::vector<FileRecord> records;
  for (const auto& [name, open] : files_) records.push_back({name, open.written, open.hash.hex()});
  return records;
}

}  // namespace rialto::store
