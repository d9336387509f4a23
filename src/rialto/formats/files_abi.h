// The C ABI of rust/src/files_abi.rs, and what its buffers need. Inside formats only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "rialto/base/error.h"
#include "rialto/base/file_ops.h"

extern "C" {

struct RialtoBytes {
  uint8_t* data;
  size_t len;
};

struct RialtoLongs {
  int64_t* data;
  size_t len;
};

// Status of all: 0 done, 1 failed (`error` holds a message).
int32_t rialto_unpack_open(const uint8_t* path, size_t len, int32_t zstd, void** out, RialtoBytes* error);
int32_t rialto_unpack_read(void* unpacker, uint8_t* data, size_t len, size_t* read, RialtoBytes* error);
uint64_t rialto_unpack_consumed(const void* unpacker);
void rialto_unpack_free(void* unpacker);
int32_t rialto_parquet_texts_open(const uint8_t* path, size_t path_len, const uint8_t* column, size_t column_len,
                                  void** out, RialtoBytes* error);
uint64_t rialto_parquet_texts_rows(const void* texts);
int32_t rialto_parquet_texts_skip(void* texts, size_t rows, RialtoBytes* error);
int32_t rialto_parquet_texts_next(void* texts, size_t max_bytes, RialtoBytes* bytes, RialtoLongs* lengths,
                                  RialtoBytes* error);
void rialto_parquet_texts_free(void* texts);
int32_t rialto_parquet_rows_open(const uint8_t* path, size_t path_len, const uint8_t* columns, size_t columns_len,
                                 void** out, RialtoBytes* error);
uint64_t rialto_parquet_rows_count(const void* rows);
int32_t rialto_parquet_rows_next(void* rows, size_t max_bytes, RialtoBytes* bytes, RialtoLongs* lengths,
                                 RialtoBytes* error);
void rialto_parquet_rows_free(void* rows);
int32_t rialto_parquet_lists_open(const uint8_t* path, size_t path_len, const uint8_t* column, size_t column_len,
                                  void** out, RialtoBytes* error);
int32_t rialto_parquet_lists_next(void* lists, RialtoLongs* values, RialtoLongs* lengths, int32_t* more,
                                  RialtoBytes* error);
void rialto_parquet_lists_free(void* lists);
int32_t rialto_parquet_writer_new(const uint8_t* columns, size_t len, void** out, RialtoBytes* error);
int32_t rialto_parquet_writer_write(void* writer, const int32_t* const* values, const int64_t* const* lengths,
                                    size_t columns, size_t rows, RialtoBytes* bytes, RialtoBytes* error);
int32_t rialto_parquet_writer_finish(void* writer, RialtoBytes* bytes, RialtoBytes* error);
void rialto_parquet_writer_free(void* writer);
void rialto_files_free_bytes(RialtoBytes bytes);
void rialto_files_free_longs(RialtoLongs longs);

}  // extern "C"

namespace rialto::formats::abi {

inline const uint8_t* data_of(std::string_view text) { return reinterpret_cast<const uint8_t*>(text.data()); }

struct OwnedBytes {
  RialtoBytes bytes{nullptr, 0};
  OwnedBytes() = default;
  OwnedBytes(const OwnedBytes&) = delete;
  OwnedBytes& operator=(const OwnedBytes&) = delete;
  ~OwnedBytes() { rialto_files_free_bytes(bytes); }
  std::string_view text() const { return {reinterpret_cast<const char*>(bytes.data), bytes.len}; }
};

struct OwnedLongs {
  RialtoLongs longs{nullptr, 0};
  OwnedLongs() = default;
  OwnedLongs(const OwnedLongs&) = delete;
  OwnedLongs& operator=(const OwnedLongs&) = delete;
  ~OwnedLongs() { rialto_files_free_longs(longs); }
  std::span<const int64_t> values() const { return {longs.data, longs.len}; }
};

/// Throws kInput naming `path` when `status` is not 0.
inline void check(int32_t status, const fs::path& path, const OwnedBytes& error) {
  if (status != 0) throw Error(ErrorKind::kInput, path.string(), error.text());
}

}  // namespace rialto::formats::abi
