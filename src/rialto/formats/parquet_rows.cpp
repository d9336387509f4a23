// Rows through the Rust crate.
#include "rialto/formats/parquet_rows.h"

#include "rialto/formats/files_abi.h"

namespace rialto::formats {

ParquetRows::ParquetRows(const fs::path& path, std::span<const std::string_view> columns) : path_(path) {
  std::string wanted;
  for (const std::string_view column : columns) wanted.append(column) += '\n';
  abi::OwnedBytes error;
  const std::string name = path.string();
  abi::check(rialto_parquet_rows_open(abi::data_of(name), name.size(), abi::data_of(wanted), wanted.size(), &handle_,
                                      &error.bytes),
             path_, error);
}

ParquetRows::~ParquetRows() { rialto_parquet_rows_free(handle_); }

uint64_t ParquetRows::num_rows() const { return rialto_parquet_rows_count(handle_); }

ParquetRows::Batch ParquetRows::next(size_t max_bytes) {
  abi::OwnedBytes error, bytes;
  abi::OwnedLongs lengths;
  abi::check(rialto_parquet_rows_next(handle_, max_bytes, &bytes.bytes, &lengths.longs, &error.bytes), path_, error);
  return {std::string(bytes.text()), {lengths.values().begin(), lengths.values().end()}};
}

}  // namespace rialto::formats
