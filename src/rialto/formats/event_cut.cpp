// Reads TFRecord frames and as much protobuf as it takes to see an event's step and tag.
#include "rialto/formats/event_cut.h"

#include <optional>

#include "rialto/formats/bytes.h"
#include "rialto/formats/event_file.h"

namespace rialto::formats {
namespace {

constexpr uint64_t kMostBytes = uint64_t{4} << 30;
constexpr size_t kFrame = 8 + 4 + 4;  ///< bytes of a record besides its content

/// One field of a message: a number, or bytes.
struct WireField {
  uint64_t number = 0, value = 0;
  std::string_view bytes;
};

std::optional<uint64_t> take_varint(std::string_view& in) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !in.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

/// nullopt at the end, or where the bytes are no message.
std::optional<WireField> take_field(std::string_view& in) {
  const auto tag = take_varint(in);
  if (!tag) return std::nullopt;
  WireField field{.number = *tag >> 3};
  const uint64_t type = *tag & 7;
  if (type == 0) {
    const auto value = take_varint(in);
    if (!value) return std::nullopt;
    field.value = *value;
    return field;
  }
  size_t size = type == 1 ? 8 : 4;
  if (type == 2) {
    const auto length = take_varint(in);
    if (!length) return std::nullopt;
    size = *length;
  } else if (type != 1 && type != 5) {
    return std::nullopt;
  }
  if (size > in.size()) return std::nullopt;
  field.bytes = in.substr(0, size);
  in.remove_prefix(size);
  return field;
}

std::string_view bytes_of_field(std::string_view message, uint64_t number) {
  while (const auto field = take_field(message))
    if (field->number == number) return field->bytes;
  return {};
}

int64_t step_of(std::string_view event) {
  while (const auto field = take_field(event))
    if (field->number == 2) return static_cast<int64_t>(field->value);
  return 0;
}

/// The record at the front of `in`, or nothing when it is cut short or damaged.
std::string_view first_record(std::string_view in) {
  if (in.size() < kFrame) return {};
  const auto size = load<uint64_t>(in.data());
  if (size > in.size() - kFrame) return {};
  const std::string_view record = in.substr(0, kFrame + size);
  return record == tfrecord(record.substr(12, size)) ? record : std::string_view();
}

}  // namespace

void cut_event_files(FileOps& ops, const fs::path& folder,
                     const std::function<bool(std::string_view tag, int64_t step)>& keep) {
  if (!fs::is_directory(folder)) return;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.path().filename().string().starts_with(kEventFilePrefix)) continue;
    const std::string text = read_text_file(entry.path(), kMostBytes);
    std::string kept;
    for (std::string_view left = text, record; !(record = first_record(left)).empty();
         left.remove_prefix(record.size())) {
      const std::string_view event = record.substr(12, record.size() - kFrame);
      const std::string_view tag = bytes_of_field(bytes_of_field(bytes_of_field(event, 5), 1), 1);
      if (tag.empty() || keep(tag, step_of(event))) kept += record;
    }
    if (kept.size() != text.size()) write_file_atomically(ops, entry.path(), kept);
  }
}

}  // namespace rialto::formats
