// Parquet columns and NumPy's pickled dicts as packed rows.
#include "rialto/data/packed_file.h"

#include <array>
#include <limits>
#include <string>

#include "rialto/base/error.h"
#include "rialto/data/packed_npy.h"

namespace rialto::data {
namespace {

constexpr size_t kRowGroup = 500;
constexpr std::array<const char*, 3> kColumns{"input_ids", "loss_mask", "seq_start_id"};

/// The values of one column, handed out row by row.
class Column {
 public:
  Column(const fs::path& path, const char* name) : reader_(path, name) {}
  bool next_group() {
    at_ = row_ = 0;
    return reader_.next(values_, lengths_);
  }
  size_t rows() const { return lengths_.size(); }
  std::span<const int64_t> next() {
    const auto length = static_cast<size_t>(lengths_[row_++]);
    at_ += length;
    return std::span(values_).subspan(at_ - length, length);
  }

 private:
  formats::ParquetLists reader_;
  std::vector<int64_t> values_, lengths_;
  size_t at_ = 0, row_ = 0;
};

void read_parquet(const fs::path& path, const std::function<void(PackedRow)>& take) {
  Column ids(path, kColumns[0]), mask(path, kColumns[1]), starts(path, kColumns[2]);
  uint64_t number = 0;
  while (ids.next_group() && mask.next_group() && starts.next_group()) {
    for (size_t i = 0; i < ids.rows(); ++i, ++number)
      take(
          checked_packed_row(path.string() + " row " + std::to_string(number), ids.next(), mask.next(), starts.next()));
  }
}

}  // namespace

PackedFileWriter::PackedFileWriter(WriteFile& file)
    : writer_(file,
              std::vector<formats::ParquetListWriter::Column>{{kColumns[0], 32}, {kColumns[1], 8}, {kColumns[2], 32}}),
      lists_(kColumns.size()) {}

void PackedFileWriter::add(const PackedRow& row) {
  const auto append = [](formats::ParquetListWriter::Lists& lists, const auto& values) {
    lists.values.insert(lists.values.end(), values.begin(), values.end());
    lists.lengths.push_back(static_cast<int64_t>(values.size()));
  };
  append(lists_[0], row.input_ids);
  append(lists_[1], row.loss_mask);
  append(lists_[2], row.seq_start_id);
  if (lists_[0].lengths.size() == kRowGroup) flush();
}

void PackedFileWriter::flush() {
  writer_.write(lists_);
  lists_.assign(kColumns.size(), {});
}

void PackedFileWriter::finish() {
  if (!lists_[0].lengths.empty()) flush();
  writer_.finish();
}

bool is_packed_file(const fs::path& path) {
  const fs::path ending = path.extension();
  return ending == ".parquet" || ending == ".pq" || ending == ".npy";
}

void read_packed_file(const fs::path& path, const std::function<void(PackedRow)>& take) {
  if (path.extension() == ".npy")
    read_packed_npy(path, take);
  else
    read_parquet(path, take);
}

}  // namespace rialto::data
