// Lines and parquet rows behind one face.
#include "rialto/data/row_lines.h"

#include <array>

#include "rialto/data/line_reader.h"
#include "rialto/data/sft_row.h"
#include "rialto/data/text_files.h"
#include "rialto/formats/parquet_rows.h"

namespace rialto::data {
namespace {

constexpr size_t kBatchBytes = 1u << 20;

class Lines final : public RowLines {
 public:
  explicit Lines(const fs::path& path) : lines_(path) {}
  bool next(std::string_view& line) override {
    while (lines_.next(line))
      if (line.find_first_not_of(" \t") != std::string_view::npos) return true;
    return false;
  }
  std::string where() const override { return lines_.where(); }
  uint64_t bytes_read() const override { return lines_.bytes_read(); }
  uint64_t total_bytes() const override { return lines_.total_bytes(); }

 private:
  LineReader lines_;
};

class Columns final : public RowLines {
 public:
  explicit Columns(const fs::path& path) : path_(path), bytes_(fs::file_size(path)), rows_(path, kSftKeys) {}
  bool next(std::string_view& line) override {
    if (at_ == batch_.lengths.size()) {
      batch_ = rows_.next(kBatchBytes);
      at_ = begin_ = 0;
      if (batch_.lengths.empty()) return false;
    }
    const auto length = static_cast<size_t>(batch_.lengths[at_++]);
    line = std::string_view(batch_.bytes).substr(begin_, length);
    begin_ += length;
    ++number_;
    return true;
  }
  std::string where() const override { return path_.string() + ":" + std::to_string(number_); }
  uint64_t bytes_read() const override {  // rows tell no place in the file
    const uint64_t rows = rows_.num_rows();
    return rows == 0 ? bytes_
                     : static_cast<uint64_t>(static_cast<double>(bytes_) * static_cast<double>(number_) /
                                             static_cast<double>(rows));
  }
  uint64_t total_bytes() const override { return bytes_; }

 private:
  fs::path path_;
  uint64_t bytes_;
  formats::ParquetRows rows_;
  formats::ParquetRows::Batch batch_;
  size_t at_ = 0, begin_ = 0;
  uint64_t number_ = 0;
};

}  // namespace

std::unique_ptr<RowLines> open_row_lines(const fs::path& path) {
  if (text_file(path, 0).form == TextFile::Form::kParquet) return std::make_unique<Columns>(path);
  return std::make_unique<Lines>(path);
}

}  // namespace rialto::data
