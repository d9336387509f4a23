// Parquet through the Rust crate.
#include "rialto/formats/parquet.h"

#include "rialto/formats/bytes.h"
#include "rialto/formats/files_abi.h"

namespace rialto::formats {

ParquetTexts::ParquetTexts(const fs::path& path, std::string_view column) : path_(path) {
  abi::OwnedBytes error;
  const std::string name = path.string();
  abi::check(rialto_parquet_texts_open(abi::data_of(name), name.size(), abi::data_of(column), column.size(), &handle_,
                                       &error.bytes),
             path_, error);
}

ParquetTexts::~ParquetTexts() { rialto_parquet_texts_free(handle_); }

uint64_t ParquetTexts::num_rows() const { return rialto_parquet_texts_rows(handle_); }

void ParquetTexts::skip(uint64_t rows) {
  abi::OwnedBytes error;
  abi::check(rialto_parquet_texts_skip(handle_, rows, &error.bytes), path_, error);
}

ParquetTexts::Batch ParquetTexts::next(size_t max_bytes) {
  abi::OwnedBytes error, bytes;
  abi::OwnedLongs lengths;
  abi::check(rialto_parquet_texts_next(handle_, max_bytes, &bytes.bytes, &lengths.longs, &error.bytes), path_, error);
  return {std::string(bytes.text()), {lengths.values().begin(), lengths.values().end()}};
}

ParquetLists::ParquetLists(const fs::path& path, std::string_view column) : path_(path) {
  abi::OwnedBytes error;
  const std::string name = path.string();
  abi::check(rialto_parquet_lists_open(abi::data_of(name), name.size(), abi::data_of(column), column.size(), &handle_,
                                       &error.bytes),
             path_, error);
}

ParquetLists::~ParquetLists() { rialto_parquet_lists_free(handle_); }

bool ParquetLists::next(std::vector<int64_t>& values, std::vector<int64_t>& lengths) {
  abi::OwnedBytes error;
  abi::OwnedLongs read, counts;
  int32_t more = 0;
  abi::check(rialto_parquet_lists_next(handle_, &read.longs, &counts.longs, &more, &error.bytes), path_, error);
  values.assign(read.values().begin(), read.values().end());
  lengths.assign(counts.values().begin(), counts.values().end());
  return more != 0;
}

ParquetListWriter::ParquetListWriter(WriteFile& file, std::span<const Column> columns) : file_(file) {
  std::string lines;
  for (const Column& column : columns) lines += column.name + " " + std::to_string(column.bits) + "\n";
  abi::OwnedBytes error;
  if (rialto_parquet_writer_new(abi::data_of(lines), lines.size(), &handle_, &error.bytes) != 0)
    throw Error(ErrorKind::kInternal, "parquet", error.text());
}

ParquetListWriter::~ParquetListWriter() { rialto_parquet_writer_free(handle_); }

void ParquetListWriter::write(std::span<const Lists> columns) {
  std::vector<const int32_t*> values;
  std::vector<const int64_t*> lengths;
  for (const Lists& column : columns) {
    size_t total = 0;
    for (const int64_t length : column.lengths) total += static_cast<size_t>(length);
    if (column.lengths.size() != columns.front().lengths.size() || total != column.values.size())
      throw Error(ErrorKind::kInternal, "parquet", "columns of different lengths were to be written");
    values.push_back(column.values.data());
    lengths.push_back(column.lengths.data());
  }
  abi::OwnedBytes error, bytes;
  if (rialto_parquet_writer_write(handle_, values.data(), lengths.data(), columns.size(),
                                  columns.front().lengths.size(), &bytes.bytes, &error.bytes) != 0)
    throw Error(ErrorKind::kInternal, "parquet", error.text());
  file_.write(as_bytes(bytes.text()));
}

void ParquetListWriter::finish() {
  abi::OwnedBytes error, bytes;
  if (rialto_parquet_writer_finish(handle_, &bytes.bytes, &error.bytes) != 0)
    throw Error(ErrorKind::kInternal, "parquet", error.text());
  file_.write(as_bytes(bytes.text()));
}

}  // namespace rialto::formats
