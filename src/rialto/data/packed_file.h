// Files of packed rows: Bridge's parquet layout, read and written, and its older .npy, read.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "rialto/base/file_ops.h"
#include "rialto/data/packed_row.h"
#include "rialto/formats/parquet.h"

namespace rialto::data {

/// Columns input_ids list<int32>, loss_mask list<int8>, seq_start_id list<int32>; row groups of 500. The caller syncs
/// and renames.
class PackedFileWriter {
 public:
  explicit PackedFileWriter(WriteFile& file);
  void add(const PackedRow& row);
  void finish();

 private:
  void flush();

  formats::ParquetListWriter writer_;
  std::vector<formats::ParquetListWriter::Lists> lists_;
};

/// True for names that end in .parquet, .pq or .npy.
bool is_packed_file(const fs::path& path);

/// Calls `take` for each row in order. Parquet is read row group by row group; a .npy, which is a pickle, whole (at
/// most 512 MiB; no code of it is run). Throws kInput for damaged files and for rows that are no packed rows: loss_mask
/// of another length, segments that do not begin at 0 and rise, ids that are negative or beyond 32 bits, masks other
/// than 0 and 1.
void read_packed_file(const fs::path& path, const std::function<void(PackedRow)>& take);

}  // namespace rialto::data
