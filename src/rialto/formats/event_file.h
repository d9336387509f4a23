// TensorBoard event files: TFRecord frames around protobuf events with one scalar each.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "rialto/base/file_ops.h"

namespace rialto::formats {

inline constexpr std::string_view kEventFilePrefix = "events.out.tfevents.";

/// CRC-32C (Castagnoli), as TFRecord frames have it.
uint32_t crc32c(std::string_view bytes);
/// Length, its checksum, the bytes, their checksum; checksums are masked as TFRecord masks them.
std::string tfrecord(std::string_view bytes);

/// A scalar event as TensorBoard stores it: a float, `step`, seconds since 1970.
std::string scalar_event(std::string_view tag, double value, int64_t step, double wall_time);

/// One event file, written in whole records, so that a crash loses at most what was not flushed.
class EventFile {
 public:
  /// Creates events.out.tfevents.<seconds>.<host>.<pid> in `folder`, newer by name than every event file there.
  /// `restart`: nothing that earlier files say counts any more (TensorBoard drops it).
  EventFile(FileOps& ops, const fs::path& folder, bool restart, int64_t queue_size);
  /// Queued; written when `queue_size` scalars wait.
  void add(std::string_view tag, double value, int64_t step);
  void flush();
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  std::unique_ptr<WriteFile> file_;
  std::string queue_;
  int64_t queued_ = 0, queue_size_ = 1;
};

}  // namespace rialto::formats
