// Reading torch.save archives that lie anywhere in a file. Source: the ZIP application note, sections 4.3 and 4.5.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "rialto/base/error.h"
#include "rialto/base/hash.h"
#include "rialto/base/number.h"
#include "rialto/formats/bytes.h"
#include "rialto/formats/tensor_pickle.h"
#include "rialto/formats/torch_zip.h"

namespace rialto::formats {

namespace {

constexpr uint32_t kLocalMagic = 0x04034b50, kCentralMagic = 0x02014b50, kEndMagic = 0x06054b50;
constexpr uint32_t kEnd64Magic = 0x06064b50, kLocator64Magic = 0x07064b50;
constexpr uint64_t kMaxPickleBytes = 32u << 20;
constexpr uint64_t kMaxDirectoryBytes = 64u << 20;

/// One archive in a file. Its first and last bytes, where all small records lie, are read once.
class Archive {
 public:
  Archive(const ReadFile& file, uint64_t begin, uint64_t length) : file_(file), begin_(begin), length_(length) {
    if (begin > file.size() || length > file.size() - begin) {
      fail("it ends after the file does", std::to_string(file.size()) + " bytes in the file");
    }
    constexpr uint64_t kWindow = 2048;
    if (length <= 4 * kWindow) {
      head_.resize(length);
    } else {
      head_.resize(kWindow);
      tail_.resize(kWindow);
      file.read_at(begin + length - tail_.size(), as_writable_bytes(tail_));
    }
    file.read_at(begin, as_writable_bytes(head_));
  }

  [[noreturn]] void fail(std::string_view what, std::string got = {}) const {
    throw Error(ErrorKind::kInput, where(), what, {.got = std::move(got)});
  }

  std::string where() const { return file_.path().string() + ", archive at byte " + std::to_string(begin_); }

  uint64_t length() const { return length_; }
  uint64_t begin() const { return begin_; }

  /// Bytes [offset, offset + size) of the archive.
  std::string read(uint64_t offset, uint64_t size) const {
    if (offset > length_ || size > length_ - offset)
      fail("a part lies outside of it", std::to_string(size) + " bytes at " + std::to_string(offset));
    if (offset + size <= head_.size()) return head_.substr(offset, size);
    if (!tail_.empty() && offset >= length_ - tail_.size())
      return tail_.substr(offset - (length_ - tail_.size()), size);
    std::string bytes(size, '\0');
    file_.read_at(begin_ + offset, as_writable_bytes(bytes));
    return bytes;
  }

 private:
  const ReadFile& file_;
  uint64_t begin_, length_;
  std::string head_, tail_;
};

struct Directory {
  uint64_t offset = 0, size = 0, entries = 0;
};

Directory find_directory(const Archive& archive) {
  constexpr uint64_t kEndBytes = 22, kMaxComment = 65535;
  if (archive.length() < kEndBytes)
    archive.fail("too short for a torch archive", std::to_string(archive.length()) + " bytes");
  // Without a comment, as torch writes, the record is the last 22 bytes.
  uint64_t end = archive.length() - kEndBytes;
  std::string record = archive.read(end, kEndBytes);
  if (load<uint32_t>(record.data()) != kEndMagic || load<uint16_t>(record.data() + 20) != 0) {
    const uint64_t from = archive.length() - std::min(archive.length(), kEndBytes + kMaxComment);
    const std::string tail = archive.read(from, archive.length() - from);
    bool found = false;
    for (size_t i = tail.size() - kEndBytes + 1; i-- > 0 && !found;) {
      if (load<uint32_t>(tail.data() + i) != kEndMagic ||
          i + kEndBytes + load<uint16_t>(tail.data() + i + 20) != tail.size())
        continue;
      end = from + i;
      record = tail.substr(i, kEndBytes);
      found = true;
    }
    if (!found) archive.fail("no zip directory at its end; not a torch archive, one of the old format, or cut short");
  }
  Directory directory = {.offset = load<uint32_t>(record.data() + 16),
                         .size = load<uint32_t>(record.data() + 12),
                         .entries = load<uint16_t>(record.data() + 10)};
  if (load<uint16_t>(record.data() + 4) != 0 || load<uint16_t>(record.data() + 6) != 0)
    archive.fail("a zip of several disks");
  if (directory.offset == 0xFFFFFFFFu || directory.size == 0xFFFFFFFFu || directory.entries == 0xFFFFu) {
    if (end < 20) archive.fail("the zip directory is damaged");
    const std::string locator = archive.read(end - 20, 20);
    if (load<uint32_t>(locator.data()) == kLocator64Magic) {
      const std::string big = archive.read(load<uint64_t>(locator.data() + 8), 56);
      if (load<uint32_t>(big.data()) != kEnd64Magic) archive.fail("the zip directory is damaged");
      directory = {.offset = load<uint64_t>(big.data() + 48),
                   .size = load<uint64_t>(big.data() + 40),
                   .entries = load<uint64_t>(big.data() + 32)};
    }
  }
  if (directory.offset > end || directory.size > end - directory.offset)
    archive.fail("the zip directory lies outside of it");
  if (directory.size > kMaxDirectoryBytes || directory.entries > directory.size / 46)
    archive.fail("the zip directory is damaged");
  return directory;
}

/// Fields that did not fit 32 bits stand in extra field 1, in the order size, stored size, offset.
void read_zip64(const Archive& archive, std::string_view extra, uint64_t& size, uint64_t& stored, uint64_t& offset) {
  while (extra.size() >= 4) {
    const auto id = load<uint16_t>(extra.data());
    const size_t bytes = load<uint16_t>(extra.data() + 2);
    if (bytes > extra.size() - 4) archive.fail("an extra field is damaged");
    if (id == 1) {
      std::string_view data = extra.substr(4, bytes);
      for (uint64_t* field : {&size, &stored, &offset}) {
        if (*field != 0xFFFFFFFFu) continue;
        if (data.size() < 8) archive.fail("a zip64 field is damaged");
        *field = load<uint64_t>(data.data());
        data.remove_prefix(8);
      }
    }
    extra.remove_prefix(4 + bytes);
  }
}

/// Where the data begin: behind the local header, whose name must agree.
uint64_t data_offset(const Archive& archive, uint64_t header, const std::string& name) {
  const std::string local = archive.read(header, 30 + name.size());
  if (load<uint32_t>(local.data()) != kLocalMagic)
    archive.fail("record '" + name + "' has no header where the directory says");
  const uint64_t name_bytes = load<uint16_t>(local.data() + 26), extra_bytes = load<uint16_t>(local.data() + 28);
  if (name_bytes != name.size() || local.compare(30, name.size(), name) != 0)
    archive.fail("record '" + name + "' has another name in its header");
  return header + 30 + name_bytes + extra_bytes;
}

void strip_top_folder(const Archive& archive, std::vector<ZipRecord>& records) {
  if (records.empty()) archive.fail("it is empty");
  const std::string top = records[0].name.substr(0, records[0].name.find('/') + 1);
  std::unordered_set<std::string_view> names;
  for (ZipRecord& record : records) {
    if (top.empty() || !record.name.starts_with(top))
      archive.fail("record '" + record.name + "' lies outside its top folder");
    record.name.erase(0, top.size());
  }
  for (const ZipRecord& record : records) {
    if (!names.insert(record.name).second) archive.fail("record '" + record.name + "' stands twice in it");
  }
}

void check_overlap(const Archive& archive, const std::vector<ZipRecord>& records, uint64_t directory) {
  std::vector<const ZipRecord*> sorted;
  for (const ZipRecord& record : records) sorted.push_back(&record);
  std::sort(sorted.begin(), sorted.end(), [](const ZipRecord* a, const ZipRecord* b) { return a->offset < b->offset; });
  uint64_t end = 0;
  for (const ZipRecord* record : sorted) {
    if (record->offset < end) archive.fail("record '" + record->name + "' overlaps another");
    end = record->offset + record->size;
  }
  if (end > directory) archive.fail("a record overlaps the zip directory");
}

std::vector<ZipRecord> read_records(const Archive& archive) {
  const Directory directory = find_directory(archive);
  const std::string bytes = archive.read(directory.offset, directory.size);
  std::vector<ZipRecord> records;
  size_t at = 0;
  for (uint64_t i = 0; i < directory.entries; ++i) {
    if (bytes.size() - at < 46 || load<uint32_t>(bytes.data() + at) != kCentralMagic)
      archive.fail("the zip directory is damaged");
    const char* entry = bytes.data() + at;
    const size_t name_bytes = load<uint16_t>(entry + 28), extra_bytes = load<uint16_t>(entry + 30),
                 comment_bytes = load<uint16_t>(entry + 32);
    if (bytes.size() - at - 46 < name_bytes + extra_bytes + comment_bytes) archive.fail("the zip directory is damaged");
    ZipRecord record;
    record.name.assign(entry + 46, name_bytes);
    record.crc = load<uint32_t>(entry + 16);
    uint64_t stored = load<uint32_t>(entry + 20), header = load<uint32_t>(entry + 42);
    record.size = load<uint32_t>(entry + 24);
    read_zip64(archive, std::string_view(entry + 46 + name_bytes, extra_bytes), record.size, stored, header);
    if (load<uint16_t>(entry + 8) & 1) archive.fail("record '" + record.name + "' is encrypted");
    if (load<uint16_t>(entry + 10) != 0 || stored != record.size)
      archive.fail("record '" + record.name + "' is compressed; torch never does that");
    record.offset = data_offset(archive, header, record.name);
    if (record.offset > archive.length() || record.size > archive.length() - record.offset)
      archive.fail("record '" + record.name + "' lies outside of it");
    records.push_back(std::move(record));
    at += 46 + name_bytes + extra_bytes + comment_bytes;
  }
  strip_top_folder(archive, records);
  check_overlap(archive, records, directory.offset);
  return records;
}

const ZipRecord* find_record(const std::vector<ZipRecord>& records, std::string_view name) {
  for (const ZipRecord& record : records) {
    if (record.name == name) return &record;
  }
  return nullptr;
}

PicklePtr read_value(const Archive& archive, const std::vector<ZipRecord>& records,
                     std::span<const std::string_view> allowed) {
  const ZipRecord* order = find_record(records, "byteorder");
  if (order && (order->size != 6 || archive.read(order->offset, order->size) != "little"))
    archive.fail("it was written on a big-endian machine");
  const ZipRecord* pickle = find_record(records, "data.pkl");
  if (!pickle) archive.fail("it has no data.pkl; not a torch.save file");
  if (pickle->size > kMaxPickleBytes)
    archive.fail("its data.pkl is too large", std::to_string(pickle->size) + " bytes");
  const std::string bytes = archive.read(pickle->offset, pickle->size);
  if (crc32(0, as_bytes(bytes)) != pickle->crc) archive.fail("its data.pkl is damaged (CRC-32)");
  return read_pickle(as_bytes(bytes), archive.where(), allowed);
}

/// Where a pickled tensor's elements lie, in its storage's record.
StoredTensor place(const Archive& archive, const ZipRecord* storage, const TensorRef& ref) {
  if (!storage) archive.fail("it has no storage '" + ref.key.substr(0, 64) + "'");
  if (ref.first_byte > storage->size || ref.bytes > storage->size - ref.first_byte)
    archive.fail("the tensor is longer than its storage");
  return {.dtype = ref.dtype,
          .shape = ref.shape,
          .offset = archive.begin() + storage->offset + ref.first_byte,
          .size = ref.bytes};
}

}  // namespace

std::vector<ZipRecord> read_zip_directory(const ReadFile& file, uint64_t begin, uint64_t length) {
  return read_records(Archive(file, begin, length));
}

StoredTensor locate_tensor(const ReadFile& file, uint64_t begin, uint64_t length) {
  const Archive archive(file, begin, length);
  const std::vector<ZipRecord> records = read_records(archive);
  const PicklePtr value = read_value(archive, records, tensor_globals());
  const TensorRef ref = parse_tensor(*value, archive.where());
  return place(archive, find_record(records, "data/" + ref.key), ref);
}

std::vector<std::pair<std::string, StoredTensor>> locate_state_dict(const ReadFile& file) {
  constexpr std::string_view kParameter = "torch._utils._rebuild_parameter";
  const Archive archive(file, 0, file.size());
  const std::vector<ZipRecord> records = read_records(archive);
  std::unordered_map<std::string_view, const ZipRecord*> record_of;
  for (const ZipRecord& record : records) record_of.emplace(record.name, &record);
  std::vector<std::string_view> allowed(tensor_globals().begin(), tensor_globals().end());
  allowed.push_back(kParameter);
  const PicklePtr value = read_value(archive, records, allowed);
  const bool ordered = value->kind == PickleValue::Kind::kCall && value->class_name() == "collections.OrderedDict";
  if (!ordered && value->kind != PickleValue::Kind::kDict) archive.fail("it holds no dict from names to tensors");
  std::vector<std::pair<std::string, StoredTensor>> tensors;
  for (const auto& [key, item] : value->dict) {
    if (key->kind != PickleValue::Kind::kString) archive.fail("a name in its dict is no text");
    const std::string where = file.path().string() + ", tensor '" + key->text.substr(0, 256) + "'";
    const PickleValue* tensor = item.get();
    if (tensor->kind == PickleValue::Kind::kCall && tensor->class_name() == kParameter) {
      const std::vector<PicklePtr>& arguments = tensor->items[0]->items;
      if (arguments.empty()) archive.fail("a parameter without a tensor in its dict");
      tensor = arguments[0].get();
    }
    const TensorRef ref = parse_tensor(*tensor, where);
    const auto record = record_of.find("data/" + ref.key);
    tensors.emplace_back(key->text, place(archive, record == record_of.end() ? nullptr : record->second, ref));
  }
  return tensors;
}

TorchFile read_torch_file(const ReadFile& file, uint64_t begin, uint64_t length,
                          std::span<const std::string_view> allowed) {
  const Archive archive(file, begin, length);
  const std::vector<ZipRecord> records = read_records(archive);
  std::vector<std::string_view> names(tensor_globals().begin(), tensor_globals().end());
  names.insert(names.end(), allowed.begin(), allowed.end());
  TorchFile result;
  result.value = read_value(archive, records, names);
  for (const ZipRecord& record : records) {
    if (!record.name.starts_with("data/")) continue;
    std::string bytes = archive.read(record.offset, record.size);
    if (crc32(0, as_bytes(bytes)) != record.crc) archive.fail("its record '" + record.name + "' is damaged (CRC-32)");
    result.storages.emplace_back(record.name.substr(5), std::move(bytes));
  }
  return result;
}

bool is_tensor(const PickleValue& value) { return is_tensor_call(value); }

PicklePtr read_scalar(const TorchFile& file, const PickleValue& tensor) {
  constexpr std::string_view kWhere = "torch file";
  const TensorRef ref = parse_tensor(tensor, kWhere);
  const auto storage =
      std::find_if(file.storages.begin(), file.storages.end(), [&](const auto& s) { return s.first == ref.key; });
  if (num_elements(ref.shape) != 1 || storage == file.storages.end() || ref.first_byte > storage->second.size() ||
      ref.bytes > storage->second.size() - ref.first_byte) {
    throw Error(ErrorKind::kInput, kWhere, "a tensor of one element was expected", {.got = to_text(ref.shape)});
  }
  const char* at = storage->second.data() + ref.first_byte;
  switch (ref.dtype) {
    case DType::kF64:
      return p_float(load<double>(at));
    case DType::kF32:
      return p_float(static_cast<double>(load<float>(at)));
    case DType::kF16:
      return p_float(static_cast<double>(f16_to_f32(load<uint16_t>(at))));
    case DType::kBF16:
      return p_float(static_cast<double>(bf16_to_f32(load<uint16_t>(at))));
    case DType::kI64:
      return p_int(load<int64_t>(at));
    case DType::kI32:
      return p_int(load<int32_t>(at));
    case DType::kI16:
      return p_int(load<int16_t>(at));
    case DType::kI8:
      return p_int(load<int8_t>(at));
    case DType::kU8:
      return p_int(load<uint8_t>(at));
    case DType::kU16:
      return p_int(load<uint16_t>(at));
    case DType::kBool:
      return p_bool(load<uint8_t>(at) != 0);
    default:
      throw Error(ErrorKind::kInput, kWhere, "a scalar of a dtype that is not read",
                  {.got = std::string(torch_name(ref.dtype))});
  }
}

}  // namespace rialto::formats
