// TensorBoard event files. Field numbers: tensorboard/compat/proto/event.proto and summary.proto.
#include "rialto/formats/event_file.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

#include <fmt/format.h>
#include <unistd.h>

#include "rialto/formats/bytes.h"

namespace rialto::formats {
namespace {

constexpr std::array<uint32_t, 256> kCrcTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) ? 0x82F63B78u : 0);
    table[byte] = value;
  }
  return table;
}();

uint32_t masked_crc(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8u;
}

// Protobuf's wire format: a tag is field number * 8 + wire type.
void append_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}
void append_field(std::string& out, uint32_t field, std::string_view bytes) {
  append_varint(out, field << 3 | 2);
  append_varint(out, bytes.size());
  out += bytes;
}

/// Event: wall_time = 1, step = 2, then one of file_version = 3, summary = 5, session_log = 7.
std::string event(double wall_time, int64_t step, uint32_t field, std::string_view what) {
  std::string out;
  append_varint(out, 1 << 3 | 1);
  append_le(out, wall_time);
  append_varint(out, 2 << 3 | 0);
  append_varint(out, static_cast<uint64_t>(step));
  append_field(out, field, what);
  return out;
}

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// Seconds in the name of the newest event file of `folder`, or 0. Readers go through the files by name.
int64_t newest_in(const fs::path& folder) {
  int64_t newest = 0;
  if (!fs::is_directory(folder)) return newest;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kEventFilePrefix)) continue;
    int64_t seconds = 0;
    std::from_chars(name.data() + kEventFilePrefix.size(), name.data() + name.size(), seconds);
    newest = std::max(newest, seconds);
  }
  return newest;
}

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 && *name != '\0' ? name : "localhost";
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = (crc >> 8) ^ kCrcTable[(crc ^ static_cast<unsigned char>(c)) & 0xFF];
  return ~crc;
}

std::string tfrecord(std::string_view bytes) {
  std::string out;
  append_le(out, static_cast<uint64_t>(bytes.size()));
  append_le(out, masked_crc(out));
  out += bytes;
  append_le(out, masked_crc(bytes));
  return out;
}

std::string scalar_event(std::string_view tag, double value, int64_t step, double wall_time) {
  std::string scalar, summary;  // Summary.Value: tag = 1, simple_value = 2
  append_field(scalar, 1, tag);
  append_varint(scalar, 2 << 3 | 5);
  append_le(scalar, static_cast<float>(value));
  append_field(summary, 1, scalar);
  return event(wall_time, step, 5, summary);
}

EventFile::EventFile(FileOps& ops, const fs::path& folder, bool restart, int64_t queue_size) : queue_size_(queue_size) {
  const double now = now_seconds();
  const int64_t seconds = std::max(static_cast<int64_t>(now), newest_in(folder) + 1);
  path_ = folder / fmt::format("{}{:010d}.{}.{}", kEventFilePrefix, seconds, host_name(), getpid());
  ops.make_dirs(folder);
  file_ = ops.create(path_);
  queue_ = tfrecord(event(now, 0, 3, "brain.Event:2"));
  if (restart) queue_ += tfrecord(event(now, 0, 7, std::string_view("\x08\x01")));  // SessionLog: status = 1, START = 1
  flush();
}

void EventFile::add(std::string_view tag, double value, int64_t step) {
  queue_ += tfrecord(scalar_event(tag, value, step, now_seconds()));
  if (++queued_ >= queue_size_) flush();
}

void EventFile::flush() {
  if (!queue_.empty()) file_->write(as_bytes(queue_));
  queue_.clear();
  queued_ = 0;
}

}  // namespace rialto::formats
