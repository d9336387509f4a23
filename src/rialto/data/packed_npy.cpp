// numpy.save of a list of dicts: a header, then a pickle of an object array.
#include "rialto/data/packed_npy.h"

#include <array>
#include <cstring>
#include <limits>

#include "rialto/base/error.h"
#include "rialto/base/mapped_file.h"
#include "rialto/formats/pickle.h"

namespace rialto::data {
namespace {

using formats::PickleValue;
using Kind = PickleValue::Kind;

constexpr std::array<std::string_view, 5> kNames{"numpy.core.multiarray._reconstruct",
                                                 "numpy._core.multiarray._reconstruct", "numpy.ndarray", "numpy.dtype",
                                                 "_codecs.encode"};
constexpr std::string_view kMagic = "\x93NUMPY";

[[noreturn]] void refuse(const std::string& where, const std::string& what) {
  throw Error(ErrorKind::kInput, where, what);
}

/// The pickle behind the header. Source: numpy/lib/format.py.
std::span<const std::byte> pickle_of(const MappedFile& file, const std::string& where) {
  const auto bytes = file.bytes();
  if (bytes.size() < 12 || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0)
    refuse(where, "is not a NumPy file");
  const auto version = std::to_integer<int>(bytes[6]);
  size_t length = 0;
  const size_t prelude = version == 1 ? 10 : 12;
  for (size_t i = prelude; i > 8; --i) length = length << 8 | std::to_integer<size_t>(bytes[i - 1]);
  if (length > bytes.size() - prelude) refuse(where, "ends inside its header");
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + prelude, length);
  if (header.find("'descr': '|O'") == header.npos) refuse(where, "holds numbers, not packed rows (an array of dicts)");
  return bytes.subspan(prelude + length);
}

/// The list of an object array: numpy's _reconstruct call with the state (version, shape, dtype, order, items).
const PickleValue& items_of(const PickleValue& array, const std::string& where) {
  const PickleValue* state = array.state.get();
  if (array.kind != Kind::kCall || !array.class_name().ends_with("multiarray._reconstruct") || !state ||
      state->kind != Kind::kTuple || state->items.size() != 5 || state->items[4]->kind != Kind::kList)
    refuse(where, "is not an array of dicts");
  return *state->items[4];
}

std::vector<int64_t> list_of(const PickleValue& row, const char* key, const std::string& where) {
  const PickleValue* list = row.kind == Kind::kDict ? row.get(key) : nullptr;
  if (!list || list->kind != Kind::kList) refuse(where, std::string("has no list '") + key + "'");
  std::vector<int64_t> values;
  for (const auto& item : list->items) {
    if (item->kind == Kind::kBool)
      values.push_back(item->boolean ? 1 : 0);
    else if (item->kind == Kind::kInt)
      values.push_back(item->integer);
    else if (item->kind == Kind::kFloat && (item->number == 0 || item->number == 1))  // masks made by torch
      values.push_back(item->number == 1 ? 1 : 0);
    else
      refuse(where, std::string("'") + key + "' holds something that is no integer");
  }
  return values;
}

}  // namespace

PackedRow checked_packed_row(const std::string& where, std::span<const int64_t> ids, std::span<const int64_t> mask,
                             std::span<const int64_t> starts) {
  if (ids.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) refuse(where, "is too long");
  if (mask.size() != ids.size())
    throw Error(ErrorKind::kInput, where, "loss_mask has another length than input_ids",
                {.got = std::to_string(mask.size()), .want = std::to_string(ids.size())});
  PackedRow row;
  int64_t last = -1;
  for (const int64_t start : starts) {
    if (start <= last || start >= static_cast<int64_t>(ids.size()) || (last < 0 && start != 0))
      throw Error(ErrorKind::kInput, where, "segments must begin at 0 and rise",
                  {.got = "seq_start_id " + std::to_string(start)});
    row.seq_start_id.push_back(static_cast<int32_t>(last = start));
  }
  if (starts.empty() && !ids.empty()) refuse(where, "has tokens and no segment");
  for (const int64_t id : ids) {
    if (id < 0 || id > std::numeric_limits<int32_t>::max())
      throw Error(ErrorKind::kInput, where, "a token id is out of range", {.got = std::to_string(id)});
    row.input_ids.push_back(static_cast<int32_t>(id));
  }
  for (const int64_t bit : mask) {
    if (bit != 0 && bit != 1)
      throw Error(ErrorKind::kInput, where, "loss_mask holds something else than 0 and 1",
                  {.got = std::to_string(bit)});
    row.loss_mask.push_back(static_cast<uint8_t>(bit));
  }
  return row;
}

void read_packed_npy(const fs::path& path, const std::function<void(PackedRow)>& take) {
  const MappedFile file(path);
  const std::string where = path.string();
  const formats::PicklePtr array = formats::read_pickle(pickle_of(file, where), where, kNames);
  const auto& rows = items_of(*array, where).items;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string at = where + " row " + std::to_string(i);
    take(checked_packed_row(at, list_of(*rows[i], "input_ids", at), list_of(*rows[i], "loss_mask", at),
                            list_of(*rows[i], "seq_start_id", at)));
  }
}

}  // namespace rialto::data
