// The .distcp files being written: torch.save archives one after another, hashed and written by two threads while the
// caller produces the next bytes.
#pragma once

#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "rialto/base/file_ops.h"
#include "rialto/base/hash.h"
#include "rialto/formats/dcp_metadata.h"
#include "rialto/formats/torch_zip.h"
#include "rialto/store/queue.h"

namespace rialto::store {

/// A chunk as the manifest lists it. `hash` is there once finish() has returned.
struct ChunkRecord {
  std::string key;
  formats::FileSpan archive;        ///< as in .metadata
  uint64_t offset = 0, length = 0;  ///< of the elements, in the file
  DType dtype = DType::kF32;
  Shape shape, offsets, sizes;
  std::string hash;  ///< of the elements
};

struct FileRecord {
  std::string path;
  uint64_t size = 0;
  std::string hash;
};

class DataFiles {
 public:
  DataFiles(FileOps& ops, fs::path folder);
  ~DataFiles();

  /// Appends one tensor archive to `file`; `fill` pushes exactly the elements. Throws kInternal on another count, and
  /// whatever the writing threads met.
  void add_tensor(const std::string& file, ChunkRecord record,
                  const std::function<void(const std::function<void(std::span<const std::byte>)>&)>& fill);
  /// Appends bytes as they are (an object already in torch.save's form).
  formats::FileSpan add_bytes(const std::string& file, std::string_view bytes);
  /// Waits for the threads, then fsyncs and closes every file.
  void finish();

  const std::deque<ChunkRecord>& chunks() const { return chunks_; }
  std::vector<FileRecord> files() const;

 private:
  struct File {
    std::string name;
    std::unique_ptr<WriteFile> out;
    uint64_t reserved = 0;  ///< end of the last archive laid out
    uint64_t written = 0;   ///< bytes hashed so far
    Hasher hash;
  };
  struct Block {
    std::unique_ptr<std::byte[]> bytes;  ///< allocated on first use, never cleared: small checkpoints touch little
    size_t used = 0, elements_at = 0;
    File* file = nullptr;
    ChunkRecord* record = nullptr;  ///< null: plain bytes
    bool first = false, last = false;
  };
  File& file(const std::string& name);
  Block next_block();
  void send(Block block);
  void hash_loop();
  void write_loop();
  void fail(std::exception_ptr error);
  void rethrow();

  FileOps& ops_;
  const fs::path folder_;
  std::map<std::string, File> files_;
  std::deque<ChunkRecord> chunks_;
  BoundedQueue<Block> free_, to_hash_, to_write_;
  std::mutex error_mutex_;
  std::exception_ptr error_;
  std::thread hasher_, writer_;
};

}  // namespace rialto::store
